//! A counter with a limit, and guards that give back exactly what they took.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Resource, Tenant, UNLIMITED};
use crate::model::QuotaExceeded;

/// The amount of a resource in use, and its limit.
pub(super) struct QuotaCounter {
    limit: AtomicU64,
    /// Held by guards.
    taken: AtomicU64,
    /// In use in another way, known only as a total.
    base: AtomicU64,
}

impl Default for QuotaCounter {
    fn default() -> Self {
        QuotaCounter {
            limit: AtomicU64::new(UNLIMITED),
            taken: AtomicU64::new(0),
            base: AtomicU64::new(0),
        }
    }
}

impl QuotaCounter {
    pub(super) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn set_base(&self, base: u64) {
        self.base.store(base, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> u64 {
        self.base.load(Ordering::Relaxed).saturating_add(self.taken.load(Ordering::Relaxed))
    }

    /// The amount held by guards.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes an amount if it fits. Fails with the limit otherwise.
    fn take(&self, amount: u64) -> Result<(), u64> {
        let base = self.base.load(Ordering::Relaxed);
        let limit = self.limit.load(Ordering::Relaxed);
        let fits = |taken: u64| {
            let taken = taken.checked_add(amount)?;
            (taken.saturating_add(base) <= limit).then_some(taken)
        };
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map(drop)
            .map_err(|_| limit)
    }

    fn release(&self, amount: u64) {
        self.taken.fetch_sub(amount, Ordering::Relaxed);
    }
}

/// An amount of a tenant's resource, given back on drop.
pub struct QuotaGuard {
    tenant: Arc<Tenant>,
    resource: Resource,
    amount: u64,
}

impl QuotaGuard {
    pub(super) fn take(
        tenant: &Arc<Tenant>,
        resource: Resource,
        amount: u64,
    ) -> Result<QuotaGuard, QuotaExceeded> {
        let mut held = QuotaGuard::empty(tenant, resource);
        held.grow(amount)?;
        Ok(held)
    }

    /// A guard that holds nothing yet.
    pub fn empty(tenant: &Arc<Tenant>, resource: Resource) -> QuotaGuard {
        QuotaGuard { tenant: tenant.clone(), resource, amount: 0 }
    }

    /// Changes the amount that is held. Fails, and changes nothing, if the tenant's quota does not
    /// allow it.
    pub fn resize(&mut self, amount: u64) -> Result<(), QuotaExceeded> {
        match amount.checked_sub(self.amount) {
            Some(0) => {}
            Some(more) => self.grow(more)?,
            None => self.shrink(self.amount - amount),
        }
        Ok(())
    }

    /// Takes an additional amount. Fails, and takes nothing, if the tenant's quota does not allow
    /// it.
    pub fn grow(&mut self, amount: u64) -> Result<(), QuotaExceeded> {
        let taken = self.tenant.quota_counter(self.resource).take(amount);
        let name = self.resource.name();
        taken.map_err(|limit| {
            self.tenant.record_refusal(QuotaExceeded { quota: name, limit, retry_after_seconds: 1 })
        })?;
        self.amount += amount;

        Ok(())
    }

    /// Gives back an amount, at most all of it.
    pub fn shrink(&mut self, amount: u64) {
        let amount = amount.min(self.amount);
        self.amount -= amount;
        self.tenant.quota_counter(self.resource).release(amount);
    }

    /// The amount that is held.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// The tenant whose resource it is.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }
}

impl Drop for QuotaGuard {
    fn drop(&mut self) {
        if self.amount == 0 {
            return;
        }
        self.tenant.quota_counter(self.resource).release(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantName;
    use crate::tenant::{Quota, TenantSettings};

    fn tenant(memory: u64) -> Arc<Tenant> {
        let quota = Quota { memory, ..Quota::unlimited() };
        Tenant::new(
            TenantName::default_tenant(),
            TenantSettings { quota, ..TenantSettings::default() },
        )
    }

    #[test]
    fn guards_give_back_what_they_took_and_never_exceed_the_limit() {
        let tenant = tenant(10);
        let mut held = tenant.take(Resource::Memory, 4).unwrap();
        assert!(held.grow(6).is_ok());
        assert_eq!(held.grow(1).unwrap_err().limit, 10);
        assert!(tenant.take(Resource::Memory, 1).is_err());
        assert!(tenant.take(Resource::Memory, 0).is_ok());
        assert_eq!((tenant.used(Resource::Memory), tenant.refused()), (10, 2));

        drop(held);
        assert_eq!(tenant.used(Resource::Memory), 0);
    }

    #[test]
    fn a_lower_limit_takes_nothing_away_and_a_higher_one_applies_at_once() {
        let tenant = tenant(10);
        let held = tenant.take(Resource::Memory, 10).unwrap();
        let with = |memory| TenantSettings {
            quota: Quota { memory, ..Quota::unlimited() },
            ..Default::default()
        };

        tenant.apply(with(5));
        assert_eq!(tenant.used(Resource::Memory), 10);
        assert!(tenant.take(Resource::Memory, 1).is_err());

        tenant.apply(with(11));
        assert!(tenant.take(Resource::Memory, 1).is_ok());

        drop(held);
        tenant.set_stored_bytes(7);
        assert_eq!(tenant.used(Resource::Storage), 7);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let tenant = tenant(100);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for amount in 0..10_000 {
                        let _ =
                            tenant.take(Resource::Memory, amount % 60).map(|mut held| held.grow(7));
                    }
                });
            }
        });
        assert_eq!(tenant.used(Resource::Memory), 0);
    }

    #[test]
    fn amounts_that_overflow_are_refused() {
        let tenant = tenant(u64::MAX);
        let _one = tenant.take(Resource::Memory, 1).unwrap();
        assert!(tenant.take(Resource::Memory, u64::MAX).is_err());
    }
}
