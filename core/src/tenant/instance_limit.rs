//! The limit on a tenant's instances, and its waiting callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Tenant;
use super::slots::SlotGuard;

/// A limit that can change while permits are held and callers wait.
pub(super) struct InstanceLimit {
    permits: Arc<Semaphore>,
    limit: AtomicUsize,
    /// Number of held permits beyond a limit that was lowered. They are not returned to the
    /// semaphore.
    excess: AtomicUsize,
    /// Number of callers that wait for a permit.
    waiting: AtomicUsize,
}

impl InstanceLimit {
    pub(super) fn new(limit: u64) -> Self {
        let limit = bounded(limit);
        let permits = Arc::new(Semaphore::new(limit));
        InstanceLimit {
            permits,
            limit: AtomicUsize::new(limit),
            excess: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Called by one task at a time.
    pub(super) fn set_limit(&self, limit: u64) {
        let limit = bounded(limit);
        let before = self.limit.swap(limit, Ordering::Relaxed);
        if limit < before {
            let forgotten = self.permits.forget_permits(before - limit);
            self.excess.fetch_add(before - limit - forgotten, Ordering::Relaxed);
        } else {
            let kept = (0..limit - before).take_while(|_| self.take_excess()).count();
            self.permits.add_permits(limit - before - kept);
        }
    }

    pub(super) fn used(&self) -> u64 {
        let out = self.limit.load(Ordering::Relaxed) + self.excess.load(Ordering::Relaxed);
        out.saturating_sub(self.permits.available_permits()) as u64
    }

    /// Counts one more waiting caller until the result is dropped.
    pub(super) fn register_waiter(&self) -> WaitGuard<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        WaitGuard(&self.waiting)
    }

    pub(super) fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    pub(super) fn try_take(&self, tenant: &Arc<Tenant>) -> Option<CountedInstance> {
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        Some(CountedInstance { tenant: tenant.clone(), permit: Some(permit) })
    }

    pub(super) async fn take(&self, tenant: &Arc<Tenant>) -> CountedInstance {
        // The semaphore is never closed.
        let permit = self.permits.clone().acquire_owned().await.ok();
        CountedInstance { tenant: tenant.clone(), permit }
    }

    fn take_excess(&self) -> bool {
        self.excess
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |excess| excess.checked_sub(1))
            .is_ok()
    }
}

/// A waiting caller.
pub(super) struct WaitGuard<'a>(&'a AtomicUsize);

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn bounded(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

/// The permission to have one instance: within the tenant's quota and the engine's slots. Given
/// back on drop, which must not happen before the instance is dropped.
pub struct InstancePermit {
    tenant: Arc<Tenant>,
    _counted: Option<CountedInstance>,
    _slots: SlotGuard,
}

impl InstancePermit {
    /// A permission to have an instance in these slots. It does not count against the tenant's
    /// quota if `counted` is `None`.
    pub(super) fn new(
        tenant: &Arc<Tenant>,
        counted: Option<CountedInstance>,
        slots: SlotGuard,
    ) -> Self {
        InstancePermit { tenant: tenant.clone(), _counted: counted, _slots: slots }
    }

    /// The tenant of the instance.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }
}

/// One instance of the tenant's quota, given back on drop.
pub(super) struct CountedInstance {
    tenant: Arc<Tenant>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for CountedInstance {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && self.tenant.instances.take_excess()
        {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantName;
    use crate::tenant::{Quota, SlotRequest, Slots, TenantSettings};

    fn with(instances: u64) -> TenantSettings {
        TenantSettings {
            quota: Quota { instances, ..Quota::unlimited() },
            ..TenantSettings::default()
        }
    }

    fn request() -> SlotRequest {
        SlotRequest::new(Slots::new(10), 1)
    }

    #[test]
    fn a_limit_that_is_lowered_and_raised_is_exact() {
        let tenant = Tenant::new(TenantName::default_tenant(), with(3));
        let request = request();
        let take = || tenant.try_acquire_instance(&request);
        let mut held: Vec<_> = (0..3).filter_map(|_| take()).collect();

        assert!(take().is_none());

        tenant.apply(with(1));
        assert_eq!((held.len(), tenant.instances()), (3, 3));

        held.pop();
        held.pop();
        assert!(take().is_none(), "one is still held, and one is the limit");

        tenant.apply(with(2));
        held.extend(take());
        assert_eq!((held.len(), tenant.instances()), (2, 2));
        assert!(take().is_none());

        drop(held);
        assert_eq!(tenant.instances(), 0);
    }

    #[test]
    fn a_limit_can_be_raised_while_more_permits_are_held() {
        let tenant = Tenant::new(TenantName::default_tenant(), with(4));
        let request = request();
        let held: Vec<_> = (0..4).filter_map(|_| tenant.try_acquire_instance(&request)).collect();

        tenant.apply(with(1));
        tenant.apply(with(3));
        assert!(tenant.try_acquire_instance(&request).is_none());

        drop(held);
        let again: Vec<_> = (0..5).filter_map(|_| tenant.try_acquire_instance(&request)).collect();
        assert_eq!(again.len(), 3);
    }
}
