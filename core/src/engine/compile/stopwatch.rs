//! The running time of a compile process, without the time in which it is paused.

use std::time::{Duration, Instant};

use crate::model::Stage;

/// A stopwatch for a compile process and its `load`.
pub(super) struct Stopwatch {
    /// Time until it was last stopped.
    before: Duration,
    /// The start of the current run; `None` while stopped.
    since: Option<Instant>,
    /// The total when `load` began; `None` in other stages.
    load_began: Option<Duration>,
}

impl Stopwatch {
    /// A running stopwatch.
    pub(super) fn start() -> Self {
        Stopwatch { before: Duration::ZERO, since: Some(Instant::now()), load_began: None }
    }

    /// Marks the start of a stage.
    pub(super) fn begin_stage(&mut self, stage: Stage) {
        self.load_began = (stage == Stage::Load).then(|| self.total());
    }

    /// Stops the time.
    pub(super) fn stop(&mut self) {
        self.before = self.total();
        self.since = None;
    }

    /// Continues after a stop.
    pub(super) fn resume(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// The total running time.
    pub(super) fn total(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The running time of the current `load`; `None` in other stages.
    pub(super) fn in_stage_load(&self) -> Option<Duration> {
        self.load_began.map(|began| self.total().saturating_sub(began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_passes_while_stopped() {
        let mut clock = Stopwatch::start();
        clock.begin_stage(Stage::Load);
        clock.stop();

        let shown = (clock.total(), clock.in_stage_load());
        let stopped = Instant::now();
        while stopped.elapsed() < Duration::from_millis(1) {}
        assert_eq!((clock.total(), clock.in_stage_load()), shown);

        clock.resume();
        while clock.total() == shown.0 {}
        clock.begin_stage(Stage::Compile);
        assert_eq!(clock.in_stage_load(), None);
    }
}
