//! Operations that several threads can compute.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::progress::Interval;
use crate::{Checkpoint, Error, InstructionSet, Team};

/// An operation, taken apart into units that can be computed in any order and at the same time. A
/// unit has steps, which are computed in order.
///
/// The units and the steps are the same for every number of threads, so that a position means the
/// same to all of them. That of step `s` of unit `u` is `u * steps + s`.
pub(crate) trait Work: Sync {
    /// The memory that a thread keeps between steps.
    type Memory;

    /// Returns the number of units.
    fn units(&self) -> u64;

    /// Returns the number of steps of a unit. All units have the same, and the number of all steps
    /// fits into 64 bits.
    fn steps(&self) -> u64;

    /// Returns the number of units from `first` on that are best computed together. It depends on
    /// nothing else.
    fn batch(&self, first: u64) -> u64;

    /// Returns the most multiplications of a unit.
    fn most_multiplications(&self) -> u64;

    /// True if several threads can compute it.
    fn can_be_shared(&self) -> bool {
        true
    }

    /// Returns the memory of a thread.
    fn memory(&self) -> Self::Memory;

    /// Computes a step of some units, which are of one batch. Returns its multiplications.
    fn run(&self, units: Range<u64>, step: u64, memory: &mut Self::Memory) -> u64;
}

/// Times [`InstructionSet::work_between_checkpoints`] that a thread computes without a checkpoint
/// if there are several. Units that take longer are computed by one thread, which has checkpoints
/// between their steps.
const MOST_BETWEEN_CHECKPOINTS: u64 = 8;

/// The time for [`InstructionSet::work_between_checkpoints`], in nanoseconds.
const TIME_BETWEEN_CHECKPOINTS: u64 = 100_000;

/// Computes from the position `start` on. Returns the position at which to continue; `None` at the
/// end.
pub(crate) fn run_work(
    work: &impl Work,
    set: InstructionSet,
    start: u64,
    team: &mut dyn Team,
) -> Result<Option<u64>, Error> {
    let [first, step] = [start / work.steps(), start % work.steps()];
    let count = work.units();
    if first >= count {
        return Err(Error::TooLarge("the position to continue at"));
    }

    let run = Run { work, limit: set.work_between_checkpoints(), count };
    let threads = run.threads(first, team);
    if threads < 2 {
        return Ok(run.alone(first, step, count, team).break_value());
    }

    // A thread that computed alone may have stopped within a batch.
    let mut first = first;
    if step > 0 {
        let end = run.batch_end(first);
        if let ControlFlow::Break(position) = run.alone(first, step, end, team) {
            return Ok(Some(position));
        }
        first = end;
    }

    let next = AtomicU64::new(first);
    team.run(&|checkpoint| run.together(&next, threads, checkpoint));
    let next = next.into_inner();
    Ok((next < count).then(|| next * work.steps()))
}

/// A run of an operation.
struct Run<'w, W> {
    work: &'w W,
    /// The multiplications after which there is a checkpoint.
    limit: u64,
    /// The number of units.
    count: u64,
}

impl<W: Work> Run<'_, W> {
    /// Returns the number of threads for the units from `first` on.
    fn threads(&self, first: u64, team: &dyn Team) -> usize {
        let unit = self.work.most_multiplications();
        if !self.work.can_be_shared() || unit > self.limit * MOST_BETWEEN_CHECKPOINTS {
            return 1;
        }

        let checkpoints = unit.saturating_mul(self.count - first) / self.limit;
        let time = checkpoints.saturating_mul(TIME_BETWEEN_CHECKPOINTS);
        team.threads(Duration::from_nanos(time))
    }

    fn batch_end(&self, first: u64) -> u64 {
        first.saturating_add(self.work.batch(first)).min(self.count)
    }

    /// Computes on one thread until the unit `end`, with checkpoints between steps. Breaks with the
    /// position at which to continue.
    fn alone(&self, first: u64, step: u64, end: u64, team: &mut dyn Team) -> ControlFlow<u64> {
        let steps = self.work.steps();
        let mut memory = self.work.memory();
        let [mut first, mut step] = [first, step];
        let mut interval = Interval::new(self.limit);

        while first < end {
            let batch = first..self.batch_end(first);
            while step < steps {
                let done = self.work.run(batch.clone(), step, &mut memory);
                step += 1;
                let next = if step < steps { first * steps + step } else { batch.end * steps };

                let is_due = interval.is_over_after(done) && next < self.count * steps;
                if is_due && team.checkpoint().is_break() {
                    return ControlFlow::Break(next);
                }
            }
            first = batch.end;
            step = 0;
        }

        ControlFlow::Continue(())
    }

    /// Computes units as one of several threads, with checkpoints between units.
    fn together(&self, next: &AtomicU64, threads: usize, checkpoint: Checkpoint<'_>) {
        let mut memory = self.work.memory();
        let mut interval = Interval::new(self.limit);

        while let Some(units) = self.take(next, threads) {
            let steps = 0..self.work.steps();
            let run = |step| self.work.run(units.clone(), step, &mut memory);
            let done = steps.map(run).sum();

            if interval.is_over_after(done) && checkpoint().is_break() {
                return;
            }
        }
    }

    /// Takes the next units: the thread's part of all that are left, so that the parts become
    /// smaller and all threads end at about the same time.
    fn take(&self, next: &AtomicU64, threads: usize) -> Option<Range<u64>> {
        let unit = self.work.most_multiplications().max(1);
        let most = (self.limit * MOST_BETWEEN_CHECKPOINTS / unit).max(1);
        let end_of = |first: u64| {
            let part = (self.count - first).div_ceil(threads as u64).min(most);
            self.batch_end(first).min(first + part)
        };

        // The end of the calls orders the writes of the threads.
        let taken = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |first| {
            (first < self.count).then(|| end_of(first))
        });
        taken.ok().map(|first| first..end_of(first))
    }
}
