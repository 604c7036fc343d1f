//! The engine's slots: how many instances there may be at once, divided among tenants.
//!
//! An instance takes as many slots as its component needs, and gives them back when it is gone.
//! wasmtime's pools have room for all slots, so whoever holds its slots is never refused by them.

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
    /// Held from the choice of a tenant until an idle instance of it is gone.
    reclaiming: Mutex<()>,
}

struct Shared {
    division: Division,
    /// The requests that wait.
    places: HashMap<Ticket, Arc<Place>>,
    /// Who may be asked to let go of idle instances.
    tenants: HashMap<TenantName, Weak<Tenant>>,
}

/// A request's place in the line.
#[derive(Default)]
struct Place {
    granted: AtomicBool,
    bell: Notify,
}

/// What an instance takes: so many slots of that engine. A clone is shallow.
#[derive(Clone)]
pub struct Room {
    slots: Arc<Slots>,
    count: u32,
}

/// Slots that a tenant's instance holds, given back on drop.
pub(super) struct HeldSlots {
    slots: Arc<Slots>,
    tenant: TenantName,
    count: u32,
}

/// A request that waits. It leaves the line on drop.
struct Waiting<'a> {
    room: &'a Room,
    tenant: &'a Arc<Tenant>,
    ticket: Ticket,
    place: Arc<Place>,
}

impl Slots {
    /// So many slots, of which nothing is guaranteed to anybody yet.
    pub fn new(count: u32) -> Arc<Self> {
        let shared = Shared {
            division: Division::new(count),
            places: HashMap::new(),
            tenants: HashMap::new(),
        };
        Arc::new(Slots { shared: Mutex::new(shared), reclaiming: Mutex::default() })
    }

    /// Guarantees each of these tenants its part of the slots by weight, and others nothing.
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

    /// The most slots that this tenant can ever have at once.
    pub fn most_for(&self, tenant: &TenantName) -> u64 {
        self.lock().division.most_for(tenant)
    }

    /// True if somebody waits for slots that this tenant holds: it waits itself, or holds more than
    /// its guarantee.
    pub fn wants_back(&self, tenant: &TenantName) -> bool {
        self.lock().division.wants_back(tenant)
    }

    /// Changes the division, and wakes those whose slots are there then.
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
    /// So many slots of these.
    pub fn new(slots: Arc<Slots>, count: u32) -> Self {
        Room { slots, count }
    }

    /// The slots that it is part of.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// How many slots it is.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Takes it for an instance of that tenant, if it is to be had at once.
    pub(super) fn try_take(&self, tenant: &Tenant) -> Option<HeldSlots> {
        let taken = self.slots.lock().division.try_take(tenant.name(), self.count.into());
        taken.then(|| self.held(tenant))
    }

    /// Waits until it is to be had, and takes it. Idle instances are let go of for it: first those
    /// of the tenant that holds the most beyond its guarantee.
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
    /// Lets go of idle instances until the slots are there or no such instance is left: one after
    /// the other, of the tenant that holds the most beyond its guarantee then, and at last of the
    /// tenant itself.
    fn make_room(&self) {
        let mut have_none = Vec::new();
        while !self.is_granted() {
            let slots = &self.room.slots;
            // One request at a time: two that choose at once could together take what is
            // guaranteed.
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
        // From here on they are given back by what is returned.
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
        // It has its slots, but goes away before it looks.
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
