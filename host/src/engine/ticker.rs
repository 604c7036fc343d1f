//! The clock that lets the host stop a guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use crate::essential;

/// How often a running guest comes back to the host to be judged.
const TICK: Duration = Duration::from_millis(1);

/// So many ticks without a call, and the clock rests: waking a thread a thousand times a second
/// takes some percent of a core.
const PATIENCE: u32 = 100;

/// Ticks while calls are under way, until it is dropped.
///
/// A thread of the operating system and not a task: a guest that spins can hold the very worker
/// that would fire a task's timer.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    /// Calls under way.
    calls: AtomicUsize,
    /// The thread sleeps until it is woken.
    resting: AtomicBool,
    stop: AtomicBool,
}

/// Keeps the clock ticking. Whoever lets a guest run must hold one, or nothing would stop the
/// guest.
pub(super) struct Ticking(Arc<Ticker>);

impl Ticker {
    /// Starts a clock that calls `tick`, until that returns false.
    pub(super) fn start(
        tick: impl FnMut() -> bool + Send + 'static,
    ) -> std::io::Result<Arc<Ticker>> {
        let shared = Arc::<Shared>::default();
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("epoch".into())
            .spawn(move || essential::run("epoch clock", || of_thread.run(tick)))?;
        Ok(Arc::new(Ticker { shared, thread: thread.thread().clone() }))
    }

    /// Keeps the clock ticking until the result is dropped.
    pub(super) fn keep_ticking(self: &Arc<Self>) -> Ticking {
        // In one order for all threads, as in `rest`: either the clock sees this call before it
        // goes to sleep, or this sees that it sleeps.
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.resting.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Ticking(self.clone())
    }
}

impl Shared {
    fn run(&self, mut tick: impl FnMut() -> bool) {
        let mut idle = 0;
        while !self.stop.load(Ordering::Relaxed) && tick() {
            idle = if self.calls.load(Ordering::Relaxed) > 0 { 0 } else { idle + 1 };
            if idle > PATIENCE {
                self.rest();
                idle = 0;
            }
            std::thread::sleep(TICK);
        }
    }

    fn rest(&self) {
        self.resting.store(true, Ordering::SeqCst);
        while self.calls.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.resting.store(false, Ordering::SeqCst);
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.shared.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for a state that another thread brings about.
    fn until(state: impl Fn() -> bool) {
        while !state() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn it_ticks_while_there_are_calls_and_rests_when_there_are_none() {
        let ticks = Arc::new(AtomicUsize::new(0));
        let counted = ticks.clone();
        let ticker = Ticker::start(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            true
        })
        .unwrap();
        for _ in 0..3 {
            until(|| ticker.shared.resting.load(Ordering::SeqCst));
            let before = ticks.load(Ordering::Relaxed);
            let ticking = ticker.keep_ticking();
            // Longer than its patience: it must not rest under a call.
            until(|| ticks.load(Ordering::Relaxed) > before + 2 * PATIENCE as usize);
            assert!(!ticker.shared.resting.load(Ordering::SeqCst));
            drop(ticking);
        }
    }

    #[test]
    fn its_thread_ends_with_it() {
        let alive = Arc::new(());
        let of_thread = alive.clone();
        let ticker = Ticker::start(move || Arc::strong_count(&of_thread) > 0).unwrap();
        until(|| ticker.shared.resting.load(Ordering::SeqCst));
        drop(ticker);
        until(|| Arc::strong_count(&alive) == 1);
    }
}
