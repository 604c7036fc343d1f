//! The circuit breaker: takes a version out of service that does nothing but fail.
//!
//! After so many faults in a row, requests are refused at once for a while, so that they cost
//! nothing. Then one is let through: if it is answered the version serves again, if not the pause
//! is doubled.
//!
//! Callers must not be able to take a version from each other. So only errors count that the model
//! is to blame for ([`Blame`]), repeats count once ([`RequestSource`]), and each caller has a count
//! of its own: a caller whose requests do nothing but fail is refused alone. The version goes out
//! of service for everybody only when that has happened to two callers, with no answer to anybody
//! in between, or to the only one that there is.

mod circuit;
mod source;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::model::{Blame, BreakerSettings, InferError, ModelId};
use crate::tenant::Tenant;
use circuit::Circuit;
pub(super) use source::RequestSource;

/// Callers that are counted by themselves: more keys than a tenant has, and a bound on what is
/// kept.
const MAX_CALLERS: usize = 1024;

pub(super) struct Breaker {
    id: ModelId,
    settings: BreakerSettings,
    tenant: Arc<Tenant>,
    /// True if anything is counted. Without it requests take no lock.
    counts_anything: AtomicBool,
    /// True if the version is out of service.
    open: AtomicBool,
    counts: Mutex<Counts>,
    trips: watch::Sender<u64>,
}

#[derive(Default)]
struct Counts {
    /// Over all callers.
    version: Circuit,
    /// By caller, for those with faults since their last answer.
    callers: HashMap<Option<Arc<str>>, Circuit>,
}

/// A request that was let through, and whose outcome counts. One that ends without an outcome,
/// because its caller has gone, leaves everything as it was.
pub(super) struct Attempt<'a> {
    breaker: &'a Breaker,
    source: RequestSource,
    probes: Probes,
}

/// The circuits that a request is the probe of.
#[derive(Clone, Copy, Default)]
struct Probes {
    version: bool,
    caller: bool,
}

impl Breaker {
    /// The breaker of that version.
    pub(super) fn new(id: ModelId, settings: BreakerSettings, tenant: Arc<Tenant>) -> Self {
        let (counts_anything, open) = (AtomicBool::new(false), AtomicBool::new(false));
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

    /// Lets a request through. Fails while its caller, or the version, is out of service.
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

    /// Fails as [`Breaker::admit`] would now, without letting anything through.
    pub(super) fn check(&self, source: &RequestSource) -> Result<(), InferError> {
        if self.counts_anything() { self.lock().check(source, Instant::now()) } else { Ok(()) }
    }

    /// Fails while the version is out of service for everybody.
    pub(super) fn check_version(&self) -> Result<(), InferError> {
        if self.is_open() { self.lock().version.check(Instant::now()) } else { Ok(()) }
    }

    /// Puts the version back into service, as if it had never failed.
    pub(super) fn reset(&self) {
        let mut counts = self.lock();
        *counts = Counts::default();
        self.note(&counts);
    }

    /// How often it was taken out of service.
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
            self.note(&counts);
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
        self.note(&counts);
        drop(counts);

        if refuses_caller && callers > 1 {
            self.tell(source);
        }
        if trips {
            self.trips.send_modify(|trips| *trips += 1);
        }
    }

    /// Logs that a caller is refused from now on.
    fn tell(&self, source: &RequestSource) {
        let (ModelId { tenant, name, version }, key) = (&self.id, source.caller().as_deref());
        tracing::warn!(%tenant, model = %name, %version, key, "a caller's requests keep failing; it is refused for now");
    }

    /// Keeps what is read without the lock.
    fn note(&self, counts: &Counts) {
        self.open.store(counts.version.is_open(), Ordering::Relaxed);
        self.counts_anything
            .store(!counts.version.is_idle() || !counts.callers.is_empty(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Counts a fault. Tells whether its caller is refused from now on.
    fn fail(
        &mut self,
        source: &RequestSource,
        blame: Blame,
        probes: Probes,
        settings: &BreakerSettings,
        now: Instant,
    ) -> bool {
        let came_of = source.of_fault(blame);
        self.version.fail(came_of, probes.version, settings, now);
        if self.callers.len() >= MAX_CALLERS && !self.callers.contains_key(source.caller()) {
            return false;
        }
        let caller = self.callers.entry(source.caller().clone()).or_default();
        caller.fail(came_of, probes.caller, settings, now);
        caller.has_failed_enough(settings) && caller.open(settings, now)
    }

    /// True if it has failed often enough in a row, over all and for so many callers.
    fn has_failed_for(&self, callers: usize, settings: &BreakerSettings) -> bool {
        let refused = || self.callers.values().filter(|caller| caller.is_open());
        self.version.has_failed_enough(settings) && refused().count() >= callers
    }
}

impl Attempt<'_> {
    /// Counts how it ended.
    pub(super) fn conclude<T>(self, outcome: &Result<T, InferError>) {
        match outcome.as_ref().map_err(InferError::blame) {
            Ok(_) => self.breaker.succeed(&self.source, self.probes),
            Err(blame @ (Blame::Model | Blame::Amount)) => {
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
