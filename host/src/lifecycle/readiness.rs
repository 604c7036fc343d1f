//! Readiness of the server: every tenant's models have been tried, or `ready_timeout` has passed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::TenantName;

/// The progress of all tenants since the start, until the server is ready. It stays ready from then
/// on.
pub(super) struct Readiness {
    ready: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `ready_timeout` has passed, so slow tenants are no longer waited for.
    overdue: bool,
    tenants: BTreeMap<TenantName, Progress>,
}

/// The progress of one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
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
        let tenants = tenants.map(|tenant| (tenant, Progress::default())).collect();
        Readiness { ready, state: Mutex::new(State { overdue: false, tenants }) }
    }

    /// True once the server has been ready.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Records the progress of a tenant.
    pub(super) fn note(&self, tenant: &TenantName, progress: Progress) {
        self.update(|state| {
            state.tenants.insert(tenant.clone(), progress);
        });
    }

    /// Removes a tenant.
    pub(super) fn forget(&self, tenant: &TenantName) {
        self.update(|state| {
            state.tenants.remove(tenant);
        });
    }

    /// Stops waiting for slow tenants.
    pub(super) fn stop_waiting(&self) {
        self.update(|state| state.overdue = true);
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        if self.is_ready() {
            return;
        }

        let mut state = self.lock();
        change(&mut state);
        if !self.is_ready() && state.is_ready() {
            state.tell();
            self.ready.store(true, Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_ready(&self) -> bool {
        let any_settled = || self.tenants.values().any(|progress| progress.settled);
        // A server that has not read any repository has nothing to serve.
        self.late().next().is_none() || (self.overdue && any_settled())
    }

    /// The tenants whose models have not all been tried.
    fn late(&self) -> impl Iterator<Item = &TenantName> {
        // A missing volume delays readiness only if its tenant is the only one.
        let alone = self.tenants.len() == 1;
        let is_known = move |progress: &Progress| progress.settled || (progress.degraded && !alone);
        let late = self
            .tenants
            .iter()
            .filter(move |(_, progress)| !is_known(progress) || progress.loading);

        late.map(|(tenant, _)| tenant)
    }

    fn tell(&self) {
        let late: Vec<_> = self.late().collect();
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

    const SETTLED: Progress = Progress { settled: true, degraded: false, loading: false };
    const LOADING: Progress = Progress { loading: true, ..SETTLED };
    const DEGRADED: Progress = Progress { settled: false, degraded: true, loading: false };

    fn name(name: &str) -> TenantName {
        TenantName::new(name).unwrap()
    }

    fn of(tenants: &[&str]) -> Readiness {
        Readiness::new(Arc::default(), tenants.iter().map(|tenant| name(tenant)))
    }

    #[test]
    fn the_server_is_ready_once_every_tenant_has_been_tried_and_stays_so() {
        let readiness = of(&["a", "b"]);
        readiness.note(&name("a"), SETTLED);
        assert!(!readiness.is_ready(), "nothing is known of b");

        readiness.note(&name("b"), LOADING);
        assert!(!readiness.is_ready());

        readiness.note(&name("b"), SETTLED);
        assert!(readiness.is_ready());

        readiness.note(&name("b"), LOADING);
        assert!(readiness.is_ready());
    }

    #[test]
    fn slow_tenants_are_waited_for_until_it_has_taken_too_long() {
        let readiness = of(&["a", "b"]);
        readiness.note(&name("a"), LOADING);
        assert!(!readiness.is_ready());

        readiness.stop_waiting();
        assert!(readiness.is_ready(), "the repository of a is known");

        let readiness = of(&["a", "b"]);
        readiness.stop_waiting();
        assert!(!readiness.is_ready(), "no repository is known");

        readiness.note(&name("b"), SETTLED);
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_repository_that_cannot_be_read_keeps_out_only_a_tenant_that_is_alone() {
        let readiness = of(&["a", "b"]);
        readiness.note(&name("a"), DEGRADED);
        readiness.note(&name("b"), SETTLED);
        assert!(readiness.is_ready());

        let readiness = of(&["a"]);
        readiness.note(&name("a"), DEGRADED);
        assert!(!readiness.is_ready());

        let readiness = of(&["a", "b"]);
        readiness.note(&name("a"), SETTLED);
        readiness.forget(&name("b"));
        assert!(readiness.is_ready(), "b is gone");
    }
}
