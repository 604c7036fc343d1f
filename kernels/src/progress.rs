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

    let limit = set.work_between_checkpoints();
    let mut work = 0_u64;

    for piece in start..count {
        work = work.saturating_add(run(piece));
        if work < limit || piece + 1 == count {
            continue;
        }

        work = 0;
        if checkpoint().is_break() {
            return Ok(Some(piece + 1));
        }
    }

    Ok(None)
}
