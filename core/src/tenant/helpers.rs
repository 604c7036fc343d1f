//! Threads that help a call to use more than one core.
//!
//! A call that can divide its work takes the turns that are free, and a helper thread runs in each.
//! A helper asks between two pieces of work if a call of any tenant waits, and gives its turn back
//! then. Its CPU time is charged like the call's own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rayon_core::{ThreadPool, ThreadPoolBuilder};

use super::{CpuMeter, CpuShare, FairScheduler, TurnTicket, set_idle_priority, thread_time};

/// The helper threads of one process. A clone shares them.
#[derive(Clone)]
pub struct Helpers(Arc<Shared>);

struct Shared {
    turns: Arc<FairScheduler>,
    /// Started at first use. `None` if that failed.
    threads: OnceLock<Option<ThreadPool>>,
}

impl Helpers {
    /// Helpers that take these turns. No thread is started before there is work.
    pub fn new(turns: Arc<FairScheduler>) -> Self {
        Helpers(Arc::new(Shared { turns, threads: OnceLock::new() }))
    }

    /// The most threads that a call can use, its own included.
    pub fn most_threads(&self) -> usize {
        self.0.turns.cores()
    }

    /// Calls `own` on the current thread and, at the same time, `help` on up to `most` helpers, as
    /// many as there are turns that no call waits for. Returns when all calls have returned. The
    /// CPU time of the helpers is charged to `share` and added to `cpu_meter`.
    ///
    /// `help` ends soon after its argument returns true: a call waits for a turn.
    ///
    /// # Panics
    /// If one of the calls panics, after all have ended.
    pub fn run(
        &self,
        share: &Arc<CpuShare>,
        cpu_meter: &CpuMeter,
        most: usize,
        own: impl FnOnce(),
        help: &(dyn Fn(&dyn Fn() -> bool) + Sync),
    ) {
        let turns = &self.0.turns;
        let granted: Vec<_> = (0..most).map_while(|_| turns.try_take(share)).collect();
        let threads = if granted.is_empty() { None } else { self.threads() };
        let Some(threads) = threads else { return own() };

        threads.in_place_scope(|scope| {
            for turn in granted {
                scope.spawn(move |_| {
                    let _charged = HelpersTurn { turn, cpu_meter, started: thread_time() };
                    help(&|| turns.has_waiting());
                });
            }
            own();
        });
    }

    fn threads(&self) -> Option<&ThreadPool> {
        self.0.threads.get_or_init(|| start(self.0.turns.cores())).as_ref()
    }
}

/// Starts a thread for each turn, so that none waits for another's work.
fn start(count: usize) -> Option<ThreadPool> {
    let threads = ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|_| "helper".into())
        .start_handler(|_| set_idle_priority())
        .build();
    let refused = |error| tracing::warn!(%error, "calls use one thread each: others cannot start");
    threads.map_err(refused).ok()
}

/// The turn of a helper. Charges its CPU time and gives the turn back on drop.
struct HelpersTurn<'a> {
    turn: TurnTicket,
    cpu_meter: &'a CpuMeter,
    started: Duration,
}

impl Drop for HelpersTurn<'_> {
    fn drop(&mut self) {
        let used = thread_time().saturating_sub(self.started);
        self.cpu_meter.add(used);
        self.turn.charge(used);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Waker};

    use super::*;
    use crate::tenant::CpuAccount;

    fn share() -> Arc<CpuShare> {
        CpuShare::new(CpuAccount::new(1))
    }

    /// Spins until another thread brings about a state.
    fn until(state: impl Fn() -> bool) {
        while !state() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn helpers_work_at_the_same_time_and_are_charged() {
        let helpers = Helpers::new(FairScheduler::new(3));
        let (share, meter) = (share(), CpuMeter::default());
        let own_turn = helpers.0.turns.enqueue(&share);

        let all = Barrier::new(3);
        let meet = |_: &dyn Fn() -> bool| {
            all.wait();
            let start = thread_time();
            until(|| thread_time() - start >= Duration::from_millis(2));
        };
        let own = || {
            all.wait();
        };
        helpers.run(&share, &meter, 7, own, &meet);

        let used = meter.take();
        assert!(used >= Duration::from_millis(4), "{used:?}");
        assert_eq!(share.used(), used.as_nanos() as u64);

        drop(own_turn);
        assert!(!helpers.0.turns.is_busy(), "all turns are back");
    }

    #[test]
    fn a_call_has_no_helpers_without_a_free_turn() {
        let turns = FairScheduler::new(2);
        let helpers = Helpers::new(turns.clone());
        let (call, neighbour) = (share(), share());
        let _turns = [turns.enqueue(&call), turns.enqueue(&neighbour)];

        let helped = AtomicUsize::new(0);
        let help = |_: &dyn Fn() -> bool| {
            helped.fetch_add(1, Ordering::Relaxed);
        };
        let mut own = false;
        helpers.run(&call, &CpuMeter::default(), 1, || own = true, &help);

        assert!(own);
        assert_eq!(helped.load(Ordering::Relaxed), 0);
        assert!(helpers.0.threads.get().is_none_or(|threads| threads.is_none()), "none started");
    }

    #[test]
    fn a_helper_gives_its_turn_to_a_neighbour_that_waits() {
        let turns = FairScheduler::new(2);
        let helpers = Helpers::new(turns.clone());
        let (call, neighbour) = (share(), share());
        let own_turn = turns.enqueue(&call);
        let begun = Barrier::new(2);

        let help = |someone_waits: &dyn Fn() -> bool| {
            begun.wait();
            until(someone_waits);
        };
        let own = || {
            begun.wait();
            let waiting = turns.enqueue(&neighbour);
            // While the call itself goes on.
            until(|| waiting.poll_granted(&mut Context::from_waker(Waker::noop())));
            assert!(turns.try_take(&call).is_none());
        };
        helpers.run(&call, &CpuMeter::default(), 1, own, &help);

        drop(own_turn);
        assert!(!turns.is_busy());
    }

    #[test]
    fn a_panic_of_a_helper_is_one_of_its_call_and_of_no_other() {
        let helpers = Helpers::new(FairScheduler::new(2));
        let share = share();
        let run = |help: &(dyn Fn(&dyn Fn() -> bool) + Sync)| {
            let own_turn = helpers.0.turns.enqueue(&share);
            let run = || helpers.run(&share, &CpuMeter::default(), 1, || (), help);
            let outcome = catch_unwind(AssertUnwindSafe(run));
            drop(own_turn);
            assert!(!helpers.0.turns.is_busy(), "all turns are back");
            outcome
        };

        assert!(run(&|_| assert!(std::hint::black_box(false), "as it should")).is_err());

        let helped = AtomicUsize::new(0);
        let help = |_: &dyn Fn() -> bool| {
            helped.fetch_add(1, Ordering::Relaxed);
        };
        assert!(run(&help).is_ok());
        assert_eq!(helped.load(Ordering::Relaxed), 1);
    }
}
