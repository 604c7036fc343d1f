//! Operations in pieces.

use std::ops::ControlFlow;

use crate::{Error, InstructionSet};

/// Called between pieces of work; a break ends the run, and what is left can be done later.
pub type Checkpoint<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

/// A checkpoint that never breaks.
pub fn run_to_end() -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Runs the pieces of an operation in order, from `start` to `count`. Returns the position of the
/// first piece that was not run; `None` if none is left. `run` returns the multiplications of its
/// piece.
pub(crate) fn run_pieces(
    set: InstructionSet,
    start: u64,
    count: u64,
    checkpoint: Checkpoint<'_>,
    mut run: impl FnMut(u64) -> u64,
) -> Result<Option<u64>, Error> {
    if start >= count {
        return Err(Error::TooLarge("the position to continue at"));
    }

    let mut interval = Interval::new(set.work_between_checkpoints());
    for piece in start..count {
        let is_due = interval.is_over_after(run(piece));
        if is_due && piece + 1 < count && checkpoint().is_break() {
            return Ok(Some(piece + 1));
        }
    }

    Ok(None)
}

/// The most pieces between two checkpoints. A piece with few multiplications may take 10
/// microseconds, for what it copies.
const MOST_PIECES: u64 = 32;

/// The work between two checkpoints.
pub(crate) struct Interval {
    done: u64,
    limit: u64,
}

impl Interval {
    /// An interval of so many multiplications.
    pub(crate) fn new(limit: u64) -> Self {
        Interval { done: 0, limit }
    }

    /// Adds a piece with that many multiplications. Returns true if a checkpoint is due, and begins
    /// the next interval.
    pub(crate) fn is_over_after(&mut self, multiplications: u64) -> bool {
        let work = multiplications.max(self.limit / MOST_PIECES);
        self.done = self.done.saturating_add(work);

        let is_over = self.done >= self.limit;
        if is_over {
            self.done = 0;
        }
        is_over
    }
}
