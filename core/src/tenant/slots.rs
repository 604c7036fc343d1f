//! The engine's slots: a limit on instances, divided among tenants.
//!
//! An instance takes as many slots as its component needs, and gives them back when it is dropped.
//! wasmtime's pools have room for all slots, so they never refuse an instance that has its
//! slots.

mod division;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use tokio::sync::Notify;

use super::Tenant;
use crate::model::TenantName;
use crate::mutex::lock;
use division::{SlotDivision, Ticket};

/// The slots of one engine.
pub struct Slots {
    shared: Mutex<Shared>,
    /// Held from the choice of a tenant until one of its idle instances is dropped.
    reclaiming: Mutex<()>,
}

struct Shared {
    division: SlotDivision,
    /// Waiting requests.
    waiters: HashMap<Ticket, Arc<SlotWaiter>>,
    /// Tenants whose idle instances can be dropped.
    tenants: HashMap<TenantName, Weak<Tenant>>,
}

/// A waiting request.
#[derive(Default)]
struct SlotWaiter {
    granted: AtomicBool,
    wakeup: Notify,
}

/// The number of slots that an instance of a component takes. A clone is shallow.
#[derive(Clone)]
pub struct SlotRequest {
    slots: Arc<Slots>,
    count: u32,
}

/// Slots held by a tenant's instance, given back on drop.
pub(super) struct SlotGuard {
    slots: Arc<Slots>,
    tenant: TenantName,
    count: u32,
}

/// A waiting request. It leaves the queue on drop.
struct QueuedRequest<'a> {
    request: &'a SlotRequest,
    tenant: &'a Arc<Tenant>,
    ticket: Ticket,
    waiter: Arc<SlotWaiter>,
}

impl Slots {
    /// Slots without guarantees to any tenant.
    pub fn new(count: u32) -> Arc<Self> {
        let shared = Shared {
            division: SlotDivision::new(count),
            waiters: HashMap::new(),
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
    pub fn max_for_tenant(&self, tenant: &TenantName) -> u64 {
        self.lock().division.max_for_tenant(tenant)
    }

    /// True if a request waits for slots of this tenant: the tenant itself waits, or it holds more
    /// than its guarantee.
    pub fn has_waiters_for(&self, tenant: &TenantName) -> bool {
        self.lock().division.has_waiters_for(tenant)
    }

    /// Changes the division and wakes the requests that have their slots then.
    fn change<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        let mut shared = self.lock();
        let outcome = change(&mut shared);
        for ticket in shared.division.grant() {
            if let Some(waiter) = shared.waiters.get(&ticket) {
                waiter.granted.store(true, Ordering::Release);
                waiter.wakeup.notify_one();
            }
        }

        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl SlotRequest {
    /// A request for `count` of these slots.
    pub fn new(slots: Arc<Slots>, count: u32) -> Self {
        SlotRequest { slots, count }
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
    pub(super) fn try_take(&self, tenant: &Tenant) -> Option<SlotGuard> {
        let taken = self.slots.lock().division.try_take(tenant.name(), self.count.into());
        taken.then(|| self.guard(tenant))
    }

    /// Waits for the slots and takes them. Idle instances are dropped for it: first those of the
    /// tenant that holds the most beyond its guarantee.
    pub(super) async fn take(&self, tenant: &Arc<Tenant>) -> SlotGuard {
        if let Some(guard) = self.try_take(tenant) {
            return guard;
        }

        let queued = self.enqueue(tenant);
        queued.reclaim_idle();
        queued.wait_until_granted().await
    }

    fn enqueue<'a>(&'a self, tenant: &'a Arc<Tenant>) -> QueuedRequest<'a> {
        let waiter = Arc::<SlotWaiter>::default();
        let ticket = self.slots.change(|shared| {
            let ticket = shared.division.enqueue(tenant.name(), self.count.into());
            shared.waiters.insert(ticket.clone(), waiter.clone());
            ticket
        });
        QueuedRequest { request: self, tenant, ticket, waiter }
    }

    fn guard(&self, tenant: &Tenant) -> SlotGuard {
        SlotGuard { slots: self.slots.clone(), tenant: tenant.name().clone(), count: self.count }
    }
}

impl QueuedRequest<'_> {
    /// Drops idle instances one by one until the slots are free or none is left: those of the
    /// tenant that holds the most beyond its guarantee at the time, and last those of the tenant
    /// itself.
    fn reclaim_idle(&self) {
        let mut have_none = Vec::new();
        while !self.is_granted() {
            let slots = &self.request.slots;
            // One request at a time: two choices at once could together take guaranteed slots.
            let _reclaiming = lock(&slots.reclaiming);
            let Some(name) = slots.lock().division.most_beyond_guarantee(&have_none) else { break };
            let holder = slots.lock().tenants.get(&name).and_then(Weak::upgrade);
            if !holder.is_some_and(|holder| holder.reclaim()) {
                have_none.push(name);
            }
        }

        while !self.is_granted() && self.tenant.reclaim() {}
    }

    fn is_granted(&self) -> bool {
        self.waiter.granted.load(Ordering::Acquire)
    }

    async fn wait_until_granted(self) -> SlotGuard {
        while !self.is_granted() {
            self.waiter.wakeup.notified().await;
        }
        // The returned guard gives the slots back from here on.
        self.waiter.granted.store(false, Ordering::Release);
        self.request.guard(self.tenant)
    }
}

impl Drop for QueuedRequest<'_> {
    fn drop(&mut self) {
        self.request.slots.change(|shared| {
            shared.waiters.remove(&self.ticket);
            let waited = shared.division.remove(&self.ticket);
            if !waited && self.is_granted() {
                shared.division.give_back(self.tenant.name(), self.request.count.into());
            }
        });
    }
}

impl Drop for SlotGuard {
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
    async fn a_waiting_request_gets_returned_slots_and_a_dropped_one_keeps_none() {
        let slots = Slots::new(2);
        let request = SlotRequest::new(slots.clone(), 2);
        let tenant = tenant("a");
        let held = request.take(&tenant).await;
        let mut first = Box::pin(request.take(&tenant));
        let second = request.take(&tenant);

        assert!(futures_util::poll!(&mut first).is_pending());

        drop(held);
        // It has its slots, but is dropped before it is polled.
        drop(first);
        drop(second.await);
        assert!(request.try_take(&tenant).is_some());
        assert!(slots.lock().waiters.is_empty());
    }

    #[test]
    fn a_flooding_tenant_leaves_others_their_guarantee() {
        let slots = Slots::new(10);
        let (a, b) = (tenant("a"), tenant("b"));
        slots.divide(&[a.clone(), b.clone()]);

        let request = SlotRequest::new(slots, 1);
        let held: Vec<_> = (0..20).map_while(|_| request.try_take(&a)).collect();
        assert_eq!(held.len(), 8);
        assert!(request.try_take(&b).is_some());
    }
}
