//! Takes a version out of service that does nothing but fail.
//!
//! After so many calls in a row that ended in a fault of the model's own, requests are refused at once for a
//! while, so that they cost nobody anything. Then one is let through: if it is answered all is well again, if
//! not the pause is doubled.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::model::{BreakerSettings, InferError};

/// The pause is doubled up to this many times its first length.
const LONGEST: u32 = 16;

pub(super) struct Breaker {
    settings: BreakerSettings,
    /// Faults in a row.
    faults: AtomicU32,
    open: AtomicBool,
    pause: Mutex<Pause>,
    trips: watch::Sender<u64>,
}

struct Pause {
    /// When the next request may try, if the breaker is open.
    until: Instant,
    length: Duration,
    /// Somebody is trying.
    probing: bool,
}

/// A request that was let through, and whose outcome counts. One that ends without an outcome, because its
/// caller has gone, leaves everything as it was.
pub(super) struct Attempt<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        let pause = Pause { until: Instant::now(), length: settings.pause, probing: false };
        let (faults, open, trips) = (AtomicU32::new(0), AtomicBool::new(false), watch::Sender::new(0));
        Breaker { settings, faults, open, pause: Mutex::new(pause), trips }
    }

    /// Lets a request through. Fails while the version is taken out of service.
    pub(super) fn admit(&self) -> Result<Attempt<'_>, InferError> {
        if !self.open.load(Ordering::Relaxed) {
            return Ok(Attempt { breaker: self, probe: false });
        }
        self.probe(Instant::now())
    }

    fn probe(&self, now: Instant) -> Result<Attempt<'_>, InferError> {
        let mut pause = self.lock();
        pause.check(now)?;
        pause.probing = true;
        Ok(Attempt { breaker: self, probe: true })
    }

    /// Fails as a request would that came now, without being one.
    pub(super) fn check(&self) -> Result<(), InferError> {
        if self.is_open() { self.lock().check(Instant::now()) } else { Ok(()) }
    }

    /// Puts the version back into service, as if it had never failed.
    pub(super) fn reset(&self) {
        let mut pause = self.lock();
        pause.length = self.settings.pause;
        self.faults.store(0, Ordering::Relaxed);
        self.open.store(false, Ordering::Relaxed);
    }

    /// How often it was taken out of service.
    pub(super) fn trips(&self) -> watch::Receiver<u64> {
        self.trips.subscribe()
    }

    /// Whether requests are refused now.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn succeed(&self, probe: bool) {
        if self.faults.load(Ordering::Relaxed) > 0 {
            self.faults.store(0, Ordering::Relaxed);
        }
        if probe {
            let mut pause = self.lock();
            pause.length = self.settings.pause;
            self.open.store(false, Ordering::Relaxed);
        }
    }

    fn fail(&self, probe: bool, now: Instant) {
        let faults = self.faults.fetch_add(1, Ordering::Relaxed) + 1;
        if self.settings.faults == 0 {
            return;
        }
        let mut pause = self.lock();
        if probe {
            pause.length = (pause.length * 2).min(self.settings.pause * LONGEST);
            pause.until = now + pause.length;
        } else if faults >= self.settings.faults && !self.open.swap(true, Ordering::Relaxed) {
            pause.until = now + pause.length;
            drop(pause);
            self.trips.send_modify(|trips| *trips += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pause {
    fn check(&self, now: Instant) -> Result<(), InferError> {
        if self.probing || now < self.until {
            let left = self.until.saturating_duration_since(now);
            return Err(InferError::Suspended { retry_after_seconds: left.as_secs() as u32 + 1 });
        }
        Ok(())
    }
}

impl Attempt<'_> {
    /// Counts how it ended.
    pub(super) fn conclude<T>(self, outcome: &Result<T, InferError>) {
        match outcome {
            Ok(_) => self.breaker.succeed(self.probe),
            Err(error) if is_fault(error) => self.breaker.fail(self.probe, Instant::now()),
            // The caller's own doing, or the host's.
            Err(_) => {}
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.lock().probing = false;
        }
    }
}

/// Whether a call ended in a fault of the model's own.
fn is_fault(error: &InferError) -> bool {
    matches!(
        error,
        InferError::Trapped { .. }
            | InferError::OutOfMemory { .. }
            | InferError::BadOutput(_)
            | InferError::CpuTimeExceeded(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    fn breaker(faults: u32) -> Breaker {
        Breaker::new(BreakerSettings { faults, pause: PAUSE, rollback: true })
    }

    fn trap() -> Result<(), InferError> {
        Err(InferError::Trapped { detail: String::new() })
    }

    fn suspended(breaker: &Breaker, now: Instant) -> bool {
        matches!(breaker.probe(now), Err(InferError::Suspended { .. }))
    }

    #[test]
    fn only_faults_in_a_row_take_it_out() {
        let breaker = breaker(3);
        for outcome in [trap(), trap(), Ok(()), trap(), trap(), Err(InferError::Rejected("x".into())), trap()] {
            assert!(!breaker.is_open() && breaker.check().is_ok());
            breaker.admit().unwrap().conclude(&outcome);
        }
        assert!(breaker.is_open());
        assert_eq!(*breaker.trips().borrow(), 1);
        assert!(breaker.admit().is_err() && breaker.check().is_err());
        breaker.reset();
        assert!(breaker.admit().is_ok() && breaker.check().is_ok());
    }

    #[test]
    fn one_request_tries_after_the_pause_and_decides() {
        let breaker = breaker(1);
        breaker.admit().unwrap().conclude(&trap());
        let later = Instant::now() + PAUSE;
        let probe = breaker.probe(later).unwrap();
        assert!(suspended(&breaker, later), "one at a time");
        probe.conclude(&trap());
        assert!(suspended(&breaker, Instant::now() + PAUSE), "the pause is longer now");
        let probe = breaker.probe(Instant::now() + 2 * PAUSE).unwrap();
        probe.conclude(&Ok(()));
        assert!(!breaker.is_open() && breaker.admit().is_ok());
    }

    #[test]
    fn a_try_that_comes_to_nothing_leaves_room_for_the_next() {
        let breaker = breaker(1);
        breaker.admit().unwrap().conclude(&trap());
        let later = Instant::now() + PAUSE;
        drop(breaker.probe(later).unwrap());
        breaker.probe(later).unwrap().conclude(&Err::<(), _>(InferError::Overloaded));
        assert!(breaker.probe(later).is_ok() && breaker.is_open());
    }

    #[test]
    fn it_can_be_switched_off() {
        let breaker = breaker(0);
        for _ in 0..100 {
            breaker.admit().unwrap().conclude(&trap());
        }
        assert!(!breaker.is_open());
    }
}
