//! A team of threads.

use std::ops::ControlFlow;
use std::time::Duration;

use wardian_kernels::{Checkpoint, Team, run_to_end};

/// A number of threads, which are started for every operation.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// The number.
    pub count: usize,
    /// Every checkpoint breaks.
    pub breaking: bool,
}

impl Threads {
    /// That many threads, which run to the end.
    pub fn new(count: usize) -> Self {
        Threads { count, breaking: false }
    }
}

impl Team for Threads {
    fn threads(&self, _time: Duration) -> usize {
        self.count
    }

    fn checkpoint(&mut self) -> ControlFlow<()> {
        if self.breaking { ControlFlow::Break(()) } else { run_to_end() }
    }

    fn run(&mut self, work: &(dyn Fn(Checkpoint<'_>) + Sync)) {
        std::thread::scope(|scope| {
            for _ in 1..self.count {
                let mut team = *self;
                scope.spawn(move || work(&mut || team.checkpoint()));
            }
            work(&mut || self.checkpoint());
        });
    }
}
