//! Faults in a row, and the pause that follows when there are too many.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::model::{BreakerSettings, InferError};

/// The pause is doubled up to this many times its first length.
const LONGEST: u32 = 16;

/// Faults in a row. While the circuit is open, requests are refused for a pause; then one of them
/// is a probe.
#[derive(Default)]
pub(super) struct Circuit {
    /// What the faults since the last answer came of: repeats are counted once.
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
    /// Fails while requests are refused.
    pub(super) fn check(&self, now: Instant) -> Result<(), InferError> {
        match &self.pause {
            Some(pause) if pause.probing || now < pause.until => {
                let left = pause.until.saturating_duration_since(now);
                Err(InferError::Suspended { retry_after_seconds: left.as_secs() as u32 + 1 })
            }
            _ => Ok(()),
        }
    }

    /// Lets a request pass that [`Circuit::check`] does not refuse. Tells whether it is a probe.
    pub(super) fn admit(&mut self) -> bool {
        self.pause.as_mut().is_some_and(|pause| {
            pause.probing = true;
            true
        })
    }

    /// Notes that a probe has ended, in whatever way.
    pub(super) fn end_probe(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.probing = false;
        }
    }

    /// Counts an answer.
    pub(super) fn succeed(&mut self, probe: bool) {
        self.faults.clear();
        if probe {
            self.pause = None;
        }
    }

    /// Counts a fault. After one of a probe the pause is doubled.
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
            pause.length = (pause.length * 2).min(settings.pause * LONGEST);
            pause.until = now + pause.length;
        }
    }

    /// True if there are as many faults in a row as open it.
    pub(super) fn has_failed_enough(&self, settings: &BreakerSettings) -> bool {
        self.faults.len() >= settings.faults as usize
    }

    /// Refuses requests from now on, if it does not yet. Tells whether it did not.
    pub(super) fn open(&mut self, settings: &BreakerSettings, now: Instant) -> bool {
        let opens = self.pause.is_none();
        self.pause.get_or_insert(Pause {
            until: now + settings.pause,
            length: settings.pause,
            probing: false,
        });
        opens
    }

    /// True if requests are refused, but for probes.
    pub(super) fn is_open(&self) -> bool {
        self.pause.is_some()
    }

    /// True if it says no more than a new one.
    pub(super) fn is_idle(&self) -> bool {
        self.faults.is_empty() && self.pause.is_none()
    }
}
