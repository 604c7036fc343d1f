//! The threads that compute an operation.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::Checkpoint;

/// The threads that compute an operation together.
///
/// An operation gives the same bits on any number of threads: they share the elements of the
/// output, and each element is computed by one of them as a single thread would.
pub trait Team {
    /// Returns the most threads that may compute something that takes about `time` on one. One
    /// means that [`Team::run`] is not called.
    fn threads(&self, time: Duration) -> usize;

    /// The checkpoint of an operation that the current thread computes alone.
    fn checkpoint(&mut self) -> ControlFlow<()>;

    /// Calls `work` on the current thread, and at the same time on others if there are any, each
    /// time with a checkpoint of that thread. A break ends the call that it is returned to. Returns
    /// when all calls have returned.
    fn run(&mut self, work: &(dyn Fn(Checkpoint<'_>) + Sync));
}

/// The current thread.
pub(crate) struct Alone<'a>(pub(crate) Checkpoint<'a>);

impl Team for Alone<'_> {
    fn threads(&self, _time: Duration) -> usize {
        1
    }

    fn checkpoint(&mut self) -> ControlFlow<()> {
        (self.0)()
    }

    fn run(&mut self, work: &(dyn Fn(Checkpoint<'_>) + Sync)) {
        work(self.0);
    }
}
