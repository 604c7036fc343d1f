//! Counts consecutive faults, and refuses requests for a pause after too many.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::model::{BreakerSettings, InferError};

/// Limit of the pause, as a multiple of its first length.
const MAX_PAUSE_FACTOR: u32 = 16;

/// A circuit: closed while it counts faults, open during a pause. After the pause one request is
/// let through as a probe.
#[derive(Default)]
pub(super) struct Circuit {
    /// Fault keys since the last success. Repeats count once.
    faults: HashSet<u64>,
    /// `None` while the circuit is closed.
    pause: Option<Pause>,
}

struct Pause {
    until: Instant,
    length: Duration,
    probing: bool,
}

impl Circuit {
    /// Fails with `Suspended` while requests are refused.
    pub(super) fn check(&self, now: Instant) -> Result<(), InferError> {
        match &self.pause {
            Some(pause) if pause.probing || now < pause.until => {
                let left = pause.until.saturating_duration_since(now);
                Err(InferError::Suspended { retry_after_seconds: left.as_secs() as u32 + 1 })
            }
            _ => Ok(()),
        }
    }

    /// Admits a request that [`Circuit::check`] lets pass. Returns true if it is a probe.
    pub(super) fn admit(&mut self) -> bool {
        self.pause.as_mut().is_some_and(|pause| {
            pause.probing = true;
            true
        })
    }

    /// Ends a probe, whatever its outcome.
    pub(super) fn end_probe(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.probing = false;
        }
    }

    /// Counts a success.
    pub(super) fn succeed(&mut self, probe: bool) {
        self.faults.clear();
        if probe {
            self.pause = None;
        }
    }

    /// Counts a fault. A failed probe doubles the pause.
    pub(super) fn fail(
        &mut self,
        came_of: u64,
        probe: bool,
        settings: &BreakerSettings,
        now: Instant,
    ) {
        if !self.has_failed_enough(settings) {
            self.faults.insert(came_of);
        }
        if let Some(pause) = self.pause.as_mut().filter(|_| probe) {
            pause.length = (pause.length * 2).min(settings.pause * MAX_PAUSE_FACTOR);
            pause.until = now + pause.length;
        }
    }

    /// True if there are enough consecutive faults to open the circuit.
    pub(super) fn has_failed_enough(&self, settings: &BreakerSettings) -> bool {
        self.faults.len() >= settings.faults as usize
    }

    /// Opens the circuit. Returns false if it is open already.
    pub(super) fn open(&mut self, settings: &BreakerSettings, now: Instant) -> bool {
        let opens = self.pause.is_none();
        self.pause.get_or_insert(Pause {
            until: now + settings.pause,
            length: settings.pause,
            probing: false,
        });
        opens
    }

    /// True while requests other than probes are refused.
    pub(super) fn is_open(&self) -> bool {
        self.pause.is_some()
    }

    /// True if the circuit equals a new one.
    pub(super) fn is_idle(&self) -> bool {
        self.faults.is_empty() && self.pause.is_none()
    }
}
