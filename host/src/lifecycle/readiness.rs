//! Readiness of the server: every tenant's models have been tried, or `ready_timeout` has passed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::model::TenantName;
use crate::mutex::lock;

/// The progress of all tenants since the start, until the server is ready. It stays ready from then
/// on.
pub(super) struct Readiness {
    ready: Arc<AtomicBool>,
    state: Mutex<ReadinessState>,
}

#[derive(Default)]
struct ReadinessState {
    /// `ready_timeout` has passed, so slow tenants are no longer waited for.
    timed_out: bool,
    tenants: BTreeMap<TenantName, TenantProgress>,
}

/// The progress of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TenantProgress {
    /// Everything in its repository has been observed settled once.
    pub(super) settled: bool,
    /// Its repository cannot be read now.
    pub(super) degraded: bool,
    /// Some of its models are being loaded.
    pub(super) loading: bool,
}

impl Readiness {
    /// Sets `ready` once the models of these tenants have been tried.
    pub(super) fn new(ready: Arc<AtomicBool>, tenants: impl Iterator<Item = TenantName>) -> Self {
        let tenants = tenants.map(|tenant| (tenant, TenantProgress::default())).collect();
        Readiness { ready, state: Mutex::new(ReadinessState { timed_out: false, tenants }) }
    }

    /// True once the server has been ready.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Records the progress of a tenant.
    pub(super) fn record_progress(&self, tenant: &TenantName, progress: TenantProgress) {
        self.update(|state| {
            state.tenants.insert(tenant.clone(), progress);
        });
    }

    /// Removes a tenant.
    pub(super) fn remove_tenant(&self, tenant: &TenantName) {
        self.update(|state| {
            state.tenants.remove(tenant);
        });
    }

    /// Stops waiting for slow tenants after `timeout`.
    pub(super) fn expire_after(self: Arc<Self>, timeout: Duration) {
        tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            self.expire();
        });
    }

    /// Stops waiting for slow tenants.
    fn expire(&self) {
        self.update(|state| state.timed_out = true);
    }

    fn update(&self, change: impl FnOnce(&mut ReadinessState)) {
        if self.is_ready() {
            return;
        }

        let mut state = self.lock();
        change(&mut state);
        if !self.is_ready() && state.is_ready() {
            state.log_ready();
            self.ready.store(true, Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, ReadinessState> {
        lock(&self.state)
    }
}

impl ReadinessState {
    fn is_ready(&self) -> bool {
        let any_settled = || self.tenants.values().any(|progress| progress.settled);
        // A server that has not read any repository has nothing to serve.
        self.pending_tenants().next().is_none() || (self.timed_out && any_settled())
    }

    /// The tenants whose models have not all been tried.
    fn pending_tenants(&self) -> impl Iterator<Item = &TenantName> {
        // A missing volume delays readiness only if its tenant is the only one.
        let alone = self.tenants.len() == 1;
        let is_known =
            move |progress: &TenantProgress| progress.settled || (progress.degraded && !alone);
        let late = self
            .tenants
            .iter()
            .filter(move |(_, progress)| !is_known(progress) || progress.loading);

        late.map(|(tenant, _)| tenant)
    }

    fn log_ready(&self) {
        let late: Vec<_> = self.pending_tenants().collect();
        if late.is_empty() {
            tracing::info!("every wanted model has been tried");
        }

        for tenant in late {
            tracing::warn!(%tenant, "ready, although not all of this tenant's models have been tried (ready_timeout)");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLED: TenantProgress =
        TenantProgress { settled: true, degraded: false, loading: false };
    const LOADING: TenantProgress = TenantProgress { loading: true, ..SETTLED };
    const DEGRADED: TenantProgress =
        TenantProgress { settled: false, degraded: true, loading: false };

    fn name(name: &str) -> TenantName {
        TenantName::new(name).unwrap()
    }

    fn readiness_of(tenants: &[&str]) -> Readiness {
        Readiness::new(Arc::default(), tenants.iter().map(|tenant| name(tenant)))
    }

    #[test]
    fn the_server_becomes_ready_once_every_tenant_was_tried() {
        let readiness = readiness_of(&["a", "b"]);
        readiness.record_progress(&name("a"), SETTLED);
        assert!(!readiness.is_ready(), "nothing is known of b");

        readiness.record_progress(&name("b"), LOADING);
        assert!(!readiness.is_ready());

        readiness.record_progress(&name("b"), SETTLED);
        assert!(readiness.is_ready());

        readiness.record_progress(&name("b"), LOADING);
        assert!(readiness.is_ready());
    }

    #[test]
    fn slow_tenants_delay_readiness_until_the_timeout() {
        let readiness = readiness_of(&["a", "b"]);
        readiness.record_progress(&name("a"), LOADING);
        assert!(!readiness.is_ready());

        readiness.expire();
        assert!(readiness.is_ready(), "the repository of a is known");

        let readiness = readiness_of(&["a", "b"]);
        readiness.expire();
        assert!(!readiness.is_ready(), "no repository is known");

        readiness.record_progress(&name("b"), SETTLED);
        assert!(readiness.is_ready());
    }

    #[test]
    fn an_unreadable_repository_delays_readiness_only_of_a_single_tenant() {
        let readiness = readiness_of(&["a", "b"]);
        readiness.record_progress(&name("a"), DEGRADED);
        readiness.record_progress(&name("b"), SETTLED);
        assert!(readiness.is_ready());

        let readiness = readiness_of(&["a"]);
        readiness.record_progress(&name("a"), DEGRADED);
        assert!(!readiness.is_ready());

        let readiness = readiness_of(&["a", "b"]);
        readiness.record_progress(&name("a"), SETTLED);
        readiness.remove_tenant(&name("b"));
        assert!(readiness.is_ready(), "b is gone");
    }
}
