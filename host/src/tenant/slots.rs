//! The engine's slots: a limit on instances, divided among tenants.
//!
//! An instance takes as many slots as its component needs, and gives them back when it is dropped.
//! wasmtime's pools have room for all slots, so they never refuse an instance that has its slots.

mod division;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::Tenant;
use crate::model::TenantName;
use division::{Division, Ticket};

/// The slots of one engine.
pub struct Slots {
    shared: Mutex<Shared>,
    /// Held from the choice of a tenant until one of its idle instances is dropped.
    reclaiming: Mutex<()>,
}

struct Shared {
    division: Division,
    /// Waiting requests.
    places: HashMap<Ticket, Arc<Place>>,
    /// Tenants whose idle instances can be dropped.
    tenants: HashMap<TenantName, Weak<Tenant>>,
}

/// A waiting request.
#[derive(Default)]
struct Place {
    granted: AtomicBool,
    bell: Notify,
}

/// The number of slots that an instance of a component takes. A clone is shallow.
#[derive(Clone)]
pub struct Room {
    slots: Arc<Slots>,
    count: u32,
}

/// Slots held by a tenant's instance, given back on drop.
pub(super) struct HeldSlots {
    slots: Arc<Slots>,
    tenant: TenantName,
    count: u32,
}

/// A waiting request. It leaves the queue on drop.
struct Waiting<'a> {
    room: &'a Room,
    tenant: &'a Arc<Tenant>,
    ticket: Ticket,
    place: Arc<Place>,
}

impl Slots {
    /// Slots without guarantees to any tenant.
    pub fn new(count: u32) -> Arc<Self> {
        let shared = Shared {
            division: Division::new(count),
            places: HashMap::new(),
            tenants: HashMap::new(),
        };
        Arc::new(Slots { shared: Mutex::new(shared), reclaiming: Mutex::default() })
    }

    /// Guarantees each of these tenants its part of the slots by weight, and no slots to other
    /// tenants.
    pub fn divide(&self, tenants: &[Arc<Tenant>]) {
        let weights =
            tenants.iter().map(|tenant| (tenant.name().clone(), tenant.settings().weight));
        let each_has_one = self.change(|shared| {
            shared.tenants = tenants
                .iter()
                .map(|tenant| (tenant.name().clone(), Arc::downgrade(tenant)))
                .collect();
            shared.division.divide(weights)
        });

        if !each_has_one {
            tracing::warn!(
                tenants = tenants.len(),
                "there are too few instances to guarantee one to each tenant; raise engine.instances"
            );
        }
    }

    /// The largest number of slots that this tenant can ever hold.
    pub fn most_for(&self, tenant: &TenantName) -> u64 {
        self.lock().division.most_for(tenant)
    }

    /// True if a request waits for slots of this tenant: the tenant itself waits, or it holds more
    /// than its guarantee.
    pub fn wants_back(&self, tenant: &TenantName) -> bool {
        self.lock().division.wants_back(tenant)
    }

    /// Changes the division and wakes the requests that have their slots then.
    fn change<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        let mut shared = self.lock();
        let outcome = change(&mut shared);
        for ticket in shared.division.grant() {
            if let Some(place) = shared.places.get(&ticket) {
                place.granted.store(true, Ordering::Release);
                place.bell.notify_one();
            }
        }

        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// A request for `count` of these slots.
    pub fn new(slots: Arc<Slots>, count: u32) -> Self {
        Room { slots, count }
    }

    /// The slots it is a part of.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// The number of slots.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Takes the slots for an instance of this tenant, if they are free.
    pub(super) fn try_take(&self, tenant: &Tenant) -> Option<HeldSlots> {
        let taken = self.slots.lock().division.try_take(tenant.name(), self.count.into());
        taken.then(|| self.held(tenant))
    }

    /// Waits for the slots and takes them. Idle instances are dropped for it: first those of the
    /// tenant that holds the most beyond its guarantee.
    pub(super) async fn take(&self, tenant: &Arc<Tenant>) -> HeldSlots {
        if let Some(held) = self.try_take(tenant) {
            return held;
        }
        let waiting = self.line_up(tenant);
        waiting.make_room();
        waiting.granted().await
    }

    fn line_up<'a>(&'a self, tenant: &'a Arc<Tenant>) -> Waiting<'a> {
        let place = Arc::<Place>::default();
        let ticket = self.slots.change(|shared| {
            let ticket = shared.division.line_up(tenant.name(), self.count.into());
            shared.places.insert(ticket.clone(), place.clone());
            ticket
        });
        Waiting { room: self, tenant, ticket, place }
    }

    fn held(&self, tenant: &Tenant) -> HeldSlots {
        HeldSlots { slots: self.slots.clone(), tenant: tenant.name().clone(), count: self.count }
    }
}

impl Waiting<'_> {
    /// Drops idle instances one by one until the slots are free or none is left: those of the
    /// tenant that holds the most beyond its guarantee at the time, and last those of the tenant
    /// itself.
    fn make_room(&self) {
        let mut have_none = Vec::new();
        while !self.is_granted() {
            let slots = &self.room.slots;
            // One request at a time: two choices at once could together take guaranteed slots.
            let _reclaiming = slots.reclaiming.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(name) = slots.lock().division.most_beyond_guarantee(&have_none) else { break };
            let holder = slots.lock().tenants.get(&name).and_then(Weak::upgrade);
            if !holder.is_some_and(|holder| holder.reclaim()) {
                have_none.push(name);
            }
        }

        while !self.is_granted() && self.tenant.reclaim() {}
    }

    fn is_granted(&self) -> bool {
        self.place.granted.load(Ordering::Acquire)
    }

    async fn granted(self) -> HeldSlots {
        while !self.is_granted() {
            self.place.bell.notified().await;
        }
        // The returned guard gives the slots back from here on.
        self.place.granted.store(false, Ordering::Release);
        self.room.held(self.tenant)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.room.slots.change(|shared| {
            shared.places.remove(&self.ticket);
            let waited = shared.division.leave(&self.ticket);
            if !waited && self.is_granted() {
                shared.division.give_back(self.tenant.name(), self.room.count.into());
            }
        });
    }
}

impl Drop for HeldSlots {
    fn drop(&mut self) {
        self.slots.change(|shared| shared.division.give_back(&self.tenant, self.count.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::TenantSettings;

    fn tenant(name: &str) -> Arc<Tenant> {
        Tenant::new(TenantName::new(name).unwrap(), TenantSettings::default())
    }

    #[tokio::test]
    async fn who_waits_gets_what_is_given_back_and_who_leaves_takes_nothing_along() {
        let slots = Slots::new(2);
        let (room, tenant) = (Room::new(slots.clone(), 2), tenant("a"));
        let held = room.take(&tenant).await;
        let (mut first, second) = (Box::pin(room.take(&tenant)), room.take(&tenant));

        assert!(futures_util::poll!(&mut first).is_pending());

        drop(held);
        // It has its slots, but is dropped before it is polled.
        drop(first);
        drop(second.await);
        assert!(room.try_take(&tenant).is_some());
        assert!(slots.lock().places.is_empty());
    }

    #[test]
    fn a_tenant_that_floods_leaves_others_their_part() {
        let slots = Slots::new(10);
        let (a, b) = (tenant("a"), tenant("b"));
        slots.divide(&[a.clone(), b.clone()]);

        let room = Room::new(slots, 1);
        let held: Vec<_> = (0..20).map_while(|_| room.try_take(&a)).collect();
        assert_eq!(held.len(), 8);
        assert!(room.try_take(&b).is_some());
    }
}
