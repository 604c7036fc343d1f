//! The division of the engine's slots among tenants, as a function of events. No clock, no I/O.
//!
//! Half of the slots are guaranteed: each tenant has a part of that half by its weight, and at
//! least one. No other tenant takes a guaranteed slot, whether it is used or not. Beyond its
//! guarantee a tenant takes slots that are guaranteed to no tenant.
//!
//! Requests of one tenant are served in order, and among tenants the one that holds the least by
//! weight goes first. A request that needs more slots than are free holds back those behind it, but
//! not tenants that are within their guarantee.

use std::collections::{BTreeMap, VecDeque};

use crate::model::TenantName;

/// The slots of all tenants, and the waiting requests.
pub(super) struct SlotDivision {
    slots: u64,
    free: u64,
    /// Guaranteed slots that their tenants do not hold, over all tenants.
    reserved: u64,
    tenants: BTreeMap<TenantName, TenantSlots>,
    /// Number of waiting requests, over all tenants.
    waiting: u64,
    next_number: u64,
}

/// A waiting request for slots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket {
    tenant: TenantName,
    number: u64,
}

/// The slots of one tenant.
#[derive(Default)]
struct TenantSlots {
    weight: u64,
    guaranteed: u64,
    held: u64,
    queue: VecDeque<QueuedCount>,
}

struct QueuedCount {
    number: u64,
    count: u64,
}

impl SlotDivision {
    pub(super) fn new(slots: u32) -> Self {
        let slots = u64::from(slots);
        SlotDivision {
            slots,
            free: slots,
            reserved: 0,
            tenants: BTreeMap::new(),
            waiting: 0,
            next_number: 0,
        }
    }

    /// Guarantees each of these tenants its part by weight, and no slots to others. Held slots stay
    /// held. Returns true if each tenant is guaranteed at least one slot.
    pub(super) fn divide(&mut self, weights: impl IntoIterator<Item = (TenantName, u32)>) -> bool {
        for part in self.tenants.values_mut() {
            part.weight = 1;
            part.guaranteed = 0;
        }

        let weights: BTreeMap<_, _> =
            weights.into_iter().map(|(name, weight)| (name, u64::from(weight))).collect();
        let half = self.slots / 2;
        let all = weights.values().sum::<u64>().max(1);
        let tenants = weights.len() as u64;
        // With many tenants, some slots must be left that each of them can use.
        let at_least = u64::from(tenants <= self.slots * 3 / 4);

        for (name, weight) in weights {
            let part = self.tenants.entry(name).or_default();
            part.weight = weight;
            part.guaranteed = (half * weight / all).max(at_least);
        }

        self.tenants.retain(|_, part| part.is_relevant());
        self.reserved = self.tenants.values().map(TenantSlots::unused_guarantee).sum();
        at_least == 1
    }

    /// The largest number of slots that this tenant can ever hold.
    pub(super) fn max_for_tenant(&self, tenant: &TenantName) -> u64 {
        let others = self
            .tenants
            .iter()
            .filter(|(name, _)| *name != tenant)
            .map(|(_, part)| part.guaranteed);
        let own = self.tenants.get(tenant).map_or(0, |part| part.guaranteed);
        self.slots.saturating_sub(others.sum()).max(own).min(self.slots)
    }

    /// Takes slots if they are free and no other request waits for them. Returns false if it took
    /// none.
    pub(super) fn try_take(&mut self, tenant: &TenantName, count: u64) -> bool {
        let part = self.tenants.get(tenant);
        let own_wait = part.is_some_and(|part| !part.queue.is_empty());
        let fits = !own_wait && self.fits(tenant, count, !self.has_waiters());

        if fits {
            self.take(tenant, count);
        }

        fits
    }

    /// Adds a request to the queue.
    pub(super) fn enqueue(&mut self, tenant: &TenantName, count: u64) -> Ticket {
        let number = self.next_number;
        self.next_number += 1;
        self.waiting += 1;
        self.tenants
            .entry(tenant.clone())
            .or_default()
            .queue
            .push_back(QueuedCount { number, count });
        Ticket { tenant: tenant.clone(), number }
    }

    /// Removes a waiting request. Returns false if it was not waiting, because its slots were taken
    /// before.
    pub(super) fn remove(&mut self, ticket: &Ticket) -> bool {
        let Some(part) = self.tenants.get_mut(&ticket.tenant) else { return false };

        let before = part.queue.len();
        part.queue.retain(|queued| queued.number != ticket.number);

        let left = part.queue.len() < before;
        self.waiting -= u64::from(left);
        self.remove_if_unused(&ticket.tenant);

        left
    }

    /// Returns slots.
    pub(super) fn give_back(&mut self, tenant: &TenantName, count: u64) {
        self.update_tenant(tenant, |part| part.held = part.held.saturating_sub(count));
        self.free += count;
        self.remove_if_unused(tenant);
    }

    /// Takes free slots for waiting requests. Returns the requests that have theirs now.
    pub(super) fn grant(&mut self) -> Vec<Ticket> {
        let mut granted = Vec::new();
        while self.free > 0 {
            let round = self.grant_round();
            if round.is_empty() {
                break;
            }
            granted.extend(round);
        }

        granted
    }

    /// Tries the first request of each tenant once.
    fn grant_round(&mut self) -> Vec<Ticket> {
        let waiting = self.tenants.iter().filter_map(|(name, part)| {
            Some((part.held_by_weight(), name.clone(), part.queue.front()?))
        });
        let mut waiting: Vec<_> =
            waiting.map(|(held, name, queued)| (held, name, queued.number, queued.count)).collect();
        waiting.sort();

        let mut granted = Vec::new();
        let mut beyond_guarantees = true;
        for (_, tenant, number, count) in waiting {
            if self.fits(&tenant, count, beyond_guarantees) {
                self.take(&tenant, count);
                self.update_tenant(&tenant, |part| {
                    part.queue.pop_front();
                });
                self.waiting -= 1;
                granted.push(Ticket { tenant, number });
            } else {
                beyond_guarantees = false;
            }
        }

        granted
    }

    /// True if a request waits.
    pub(super) fn has_waiters(&self) -> bool {
        self.waiting > 0
    }

    /// True if a request waits for slots of this tenant: the tenant itself waits, or it holds more
    /// than its guarantee.
    pub(super) fn has_waiters_for(&self, tenant: &TenantName) -> bool {
        let part = self.tenants.get(tenant);
        part.is_some_and(|part| {
            !part.queue.is_empty() || (part.held > part.guaranteed && self.has_waiters())
        })
    }

    /// The tenant that holds the most beyond its guarantee, except those left out.
    pub(super) fn most_beyond_guarantee(&self, left_out: &[TenantName]) -> Option<TenantName> {
        let beyond = self
            .tenants
            .iter()
            .filter(|(name, part)| part.held > part.guaranteed && !left_out.contains(name));
        beyond.max_by_key(|(_, part)| part.held - part.guaranteed).map(|(name, _)| name.clone())
    }

    fn fits(&self, tenant: &TenantName, count: u64, beyond_guarantee: bool) -> bool {
        let none = TenantSlots::default();
        let part = self.tenants.get(tenant).unwrap_or(&none);
        let of_others = self.reserved - part.unused_guarantee();
        let is_guaranteed = part.held + count <= part.guaranteed;
        count <= self.free
            && (is_guaranteed || (beyond_guarantee && count + of_others <= self.free))
    }

    fn take(&mut self, tenant: &TenantName, count: u64) {
        self.update_tenant(tenant, |part| part.held += count);
        self.free -= count;
    }

    fn update_tenant(&mut self, tenant: &TenantName, change: impl FnOnce(&mut TenantSlots)) {
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.clone(), TenantSlots::default());
        }
        let Some(part) = self.tenants.get_mut(tenant) else { return };

        let before = part.unused_guarantee();
        change(part);
        self.reserved = self.reserved + part.unused_guarantee() - before;
    }

    /// Removes a tenant without a guarantee, held slots or waiting requests.
    fn remove_if_unused(&mut self, tenant: &TenantName) {
        if self.tenants.get(tenant).is_some_and(|part| !part.is_relevant()) {
            self.tenants.remove(tenant);
        }
    }
}

impl TenantSlots {
    /// Guaranteed slots that it does not hold.
    fn unused_guarantee(&self) -> u64 {
        self.guaranteed.saturating_sub(self.held)
    }

    /// Held slots by weight. The least goes first.
    fn held_by_weight(&self) -> u64 {
        self.held.saturating_mul(1 << 20) / self.weight.max(1)
    }

    fn is_relevant(&self) -> bool {
        self.guaranteed > 0 || self.held > 0 || !self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests;
