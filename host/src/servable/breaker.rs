//! The circuit breaker: refuses requests to a version that keeps failing.
//!
//! After `faults` consecutive faults, requests are refused for a pause, at no cost. Then one
//! request is let through as a probe: if it succeeds, the version serves again; if it fails, the
//! pause is doubled.
//!
//! Callers must not be able to take a version from each other. Therefore only errors that the model
//! is to blame for count ([`Blame`]), repeats of a request count once ([`RequestSource`]), and each
//! caller has a circuit of its own: a caller whose requests only fail is refused alone. The version
//! is taken out of service for all callers only after that has happened to two callers without a
//! success in between, or to the tenant's only caller.

mod circuit;
mod request_source;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::watch;

use crate::model::{Blame, BreakerSettings, InferError, ModelId};
use crate::mutex::lock;
use crate::tenant::Tenant;
use circuit::Circuit;
pub(super) use request_source::RequestSource;

/// Limit on separately counted callers. It exceeds the number of a tenant's keys and bounds the
/// memory.
const MAX_TRACKED_CALLERS: usize = 1024;

pub(super) struct Breaker {
    id: ModelId,
    settings: BreakerSettings,
    tenant: Arc<Tenant>,
    /// True if any fault is counted. Requests take the lock only then.
    counts_anything: AtomicBool,
    /// True if the version is out of service.
    open: AtomicBool,
    counts: Mutex<Counts>,
    trips: watch::Sender<u64>,
}

#[derive(Default)]
struct Counts {
    /// Faults of all callers.
    version: Circuit,
    /// One circuit for each caller with faults since its last success. `None` stands for callers
    /// without a key.
    callers: HashMap<Option<Arc<str>>, Circuit>,
}

/// An admitted request whose outcome counts. Dropping it without an outcome, because the caller has
/// disconnected, counts nothing.
pub(super) struct Attempt<'a> {
    breaker: &'a Breaker,
    source: RequestSource,
    probes: Probes,
}

/// The circuits that this request probes.
#[derive(Clone, Copy, Default)]
struct Probes {
    version: bool,
    caller: bool,
}

impl Breaker {
    pub(super) fn new(id: ModelId, settings: BreakerSettings, tenant: Arc<Tenant>) -> Self {
        let counts_anything = AtomicBool::new(false);
        let open = AtomicBool::new(false);
        Breaker {
            id,
            settings,
            tenant,
            counts_anything,
            open,
            counts: Mutex::default(),
            trips: watch::Sender::new(0),
        }
    }

    /// Admits a request. Fails with `Suspended` while its caller or the version is refused.
    pub(super) fn admit(&self, source: &RequestSource) -> Result<Attempt<'_>, InferError> {
        self.admit_at(source, Instant::now())
    }

    fn admit_at(&self, source: &RequestSource, now: Instant) -> Result<Attempt<'_>, InferError> {
        let probes = if self.counts_anything() {
            self.lock().admit(source, now)?
        } else {
            Probes::default()
        };
        Ok(Attempt { breaker: self, source: source.clone(), probes })
    }

    /// Fails as [`Breaker::admit`] would now, without admitting the request.
    pub(super) fn check(&self, source: &RequestSource) -> Result<(), InferError> {
        if self.counts_anything() { self.lock().check(source, Instant::now()) } else { Ok(()) }
    }

    /// Fails while the version is out of service for all callers.
    pub(super) fn check_version(&self) -> Result<(), InferError> {
        if self.is_open() { self.lock().version.check(Instant::now()) } else { Ok(()) }
    }

    /// Puts the version back into service and clears all counts.
    pub(super) fn reset(&self) {
        let mut counts = self.lock();
        *counts = Counts::default();
        self.update_flags(&counts);
    }

    /// A counter of how often the version was taken out of service.
    pub(super) fn trips(&self) -> watch::Receiver<u64> {
        self.trips.subscribe()
    }

    /// True if the version is out of service.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn counts_anything(&self) -> bool {
        self.counts_anything.load(Ordering::Relaxed)
    }

    fn succeed(&self, source: &RequestSource, probes: Probes) {
        if self.counts_anything() {
            let mut counts = self.lock();
            counts.succeed(source, probes);
            self.update_flags(&counts);
        }
    }

    fn fail(&self, source: &RequestSource, blame: Blame, probes: Probes, now: Instant) {
        if self.settings.faults == 0 {
            return;
        }
        let callers = if self.tenant.has_one_caller() { 1 } else { 2 };

        let mut counts = self.lock();
        let refuses_caller = counts.fail(source, blame, probes, &self.settings, now);
        let trips = counts.has_failed_for(callers, &self.settings)
            && counts.version.open(&self.settings, now);
        self.update_flags(&counts);
        drop(counts);

        if refuses_caller && callers > 1 {
            self.log_refused_caller(source);
        }
        if trips {
            self.trips.send_modify(|trips| *trips += 1);
        }
    }

    /// Logs that a caller is refused from now on.
    fn log_refused_caller(&self, source: &RequestSource) {
        let (ModelId { tenant, name, version }, key) = (&self.id, source.caller().as_deref());
        tracing::warn!(%tenant, model = %name, %version, key, "a caller's requests keep failing; it is refused for now");
    }

    /// Updates the flags that are read without the lock.
    fn update_flags(&self, counts: &Counts) {
        self.open.store(counts.version.is_open(), Ordering::Relaxed);

        self.counts_anything
            .store(!counts.version.is_idle() || !counts.callers.is_empty(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }
}

impl Counts {
    fn check(&self, source: &RequestSource, now: Instant) -> Result<(), InferError> {
        self.version.check(now)?;
        self.callers.get(source.caller()).map_or(Ok(()), |caller| caller.check(now))
    }

    fn admit(&mut self, source: &RequestSource, now: Instant) -> Result<Probes, InferError> {
        self.check(source, now)?;
        let caller = self.callers.get_mut(source.caller()).is_some_and(Circuit::admit);
        Ok(Probes { version: self.version.admit(), caller })
    }

    fn end_probes(&mut self, source: &RequestSource, probes: Probes) {
        if probes.version {
            self.version.end_probe();
        }
        if let Some(caller) = self.callers.get_mut(source.caller()).filter(|_| probes.caller) {
            caller.end_probe();
        }
    }

    fn succeed(&mut self, source: &RequestSource, probes: Probes) {
        self.version.succeed(probes.version);
        let Some(caller) = self.callers.get_mut(source.caller()) else { return };
        caller.succeed(probes.caller);
        if caller.is_idle() {
            self.callers.remove(source.caller());
        }
    }

    /// Counts a fault. Returns true if its caller is refused from now on.
    fn fail(
        &mut self,
        source: &RequestSource,
        blame: Blame,
        probes: Probes,
        settings: &BreakerSettings,
        now: Instant,
    ) -> bool {
        let came_of = source.fault_key(blame);
        self.version.fail(came_of, probes.version, settings, now);
        if self.callers.len() >= MAX_TRACKED_CALLERS && !self.callers.contains_key(source.caller())
        {
            return false;
        }

        let caller = self.callers.entry(source.caller().clone()).or_default();
        caller.fail(came_of, probes.caller, settings, now);
        caller.has_failed_enough(settings) && caller.open(settings, now)
    }

    /// True if there are enough consecutive faults over all callers, and enough callers are
    /// refused.
    fn has_failed_for(&self, callers: usize, settings: &BreakerSettings) -> bool {
        let refused = || self.callers.values().filter(|caller| caller.is_open());
        self.version.has_failed_enough(settings) && refused().count() >= callers
    }
}

impl Attempt<'_> {
    /// Counts the outcome.
    pub(super) fn record<T>(self, outcome: &Result<T, InferError>) {
        match outcome.as_ref().map_err(InferError::blame) {
            Ok(_) => self.breaker.succeed(&self.source, self.probes),
            Err(blame @ (Blame::Model | Blame::Limit)) => {
                self.breaker.fail(&self.source, blame, self.probes, Instant::now());
            }
            Err(Blame::Caller | Blame::Interceptor | Blame::Circumstances) => {}
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.probes.version || self.probes.caller {
            self.breaker.lock().end_probes(&self.source, self.probes);
        }
    }
}

#[cfg(test)]
mod tests;
