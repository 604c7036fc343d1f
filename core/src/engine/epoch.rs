//! The epoch clock, which interrupts running guests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use crate::essential;

/// The interval at which a running guest returns to the host.
const TICK: Duration = Duration::from_millis(1);

/// Ticks without a call before the clock stops: waking a thread a thousand times a second takes
/// some percent of a core.
const IDLE_TICKS: u32 = 100;

/// A clock that ticks while calls are under way. Dropping it ends its thread.
///
/// It runs on a thread of its own and not as a task: a guest that spins can occupy the very worker
/// that would fire a task's timer.
pub(super) struct EpochTicker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    /// The number of calls under way.
    calls: AtomicUsize,
    /// The thread is parked until a call begins.
    parked: AtomicBool,
    stop: AtomicBool,
}

/// Keeps the clock ticking until it is dropped. Every caller that runs a guest holds one; without
/// it the guest would never be interrupted.
pub(super) struct TickGuard(Arc<EpochTicker>);

impl EpochTicker {
    /// Starts a clock that calls `tick` until it returns false.
    pub(super) fn start(
        tick: impl FnMut() -> bool + Send + 'static,
    ) -> std::io::Result<Arc<EpochTicker>> {
        let shared = Arc::<Shared>::default();
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("epoch".into())
            .spawn(move || essential::run("epoch clock", || of_thread.run(tick)))?;
        Ok(Arc::new(EpochTicker { shared, thread: thread.thread().clone() }))
    }

    /// Keeps the clock ticking until the guard is dropped.
    pub(super) fn keep_ticking(self: &Arc<Self>) -> TickGuard {
        // Sequentially consistent, as in `park_until_needed`: either the clock sees this call
        // before it parks, or this call sees that it is parked.
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        TickGuard(self.clone())
    }
}

impl Shared {
    fn run(&self, mut tick: impl FnMut() -> bool) {
        let mut idle = 0;
        while !self.stop.load(Ordering::Relaxed) && tick() {
            idle = if self.calls.load(Ordering::Relaxed) > 0 { 0 } else { idle + 1 };
            if idle > IDLE_TICKS {
                self.park_until_needed();
                idle = 0;
            }
            std::thread::sleep(TICK);
        }
    }

    fn park_until_needed(&self) {
        self.parked.store(true, Ordering::SeqCst);
        while self.calls.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

impl Drop for TickGuard {
    fn drop(&mut self) {
        self.0.shared.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spins until another thread brings about a state.
    fn until(state: impl Fn() -> bool) {
        while !state() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_clock_ticks_during_calls_and_stops_without_them() {
        let ticks = Arc::new(AtomicUsize::new(0));
        let counted = ticks.clone();
        let ticker = EpochTicker::start(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            true
        })
        .unwrap();

        for _ in 0..3 {
            until(|| ticker.shared.parked.load(Ordering::SeqCst));
            let before = ticks.load(Ordering::Relaxed);
            let ticking = ticker.keep_ticking();
            // Longer than the idle limit: the clock must not stop during a call.
            until(|| ticks.load(Ordering::Relaxed) > before + 2 * IDLE_TICKS as usize);
            assert!(!ticker.shared.parked.load(Ordering::SeqCst));
            drop(ticking);
        }
    }

    #[test]
    fn the_thread_ends_with_the_clock() {
        let alive = Arc::new(());
        let of_thread = alive.clone();
        let ticker = EpochTicker::start(move || Arc::strong_count(&of_thread) > 0).unwrap();
        until(|| ticker.shared.parked.load(Ordering::SeqCst));
        drop(ticker);
        until(|| Arc::strong_count(&alive) == 1);
    }
}
