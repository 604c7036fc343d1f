//! The fair scheduler: which call may use a core next.
//!
//! There are as many turns as guest threads, and on those threads a guest runs only while it holds
//! one. At every tick it gives its turn back and waits again. A turn goes to the tenant with the
//! least virtual time (its CPU time divided by its weight), and within the tenant to the model with
//! the least. So a tenant with a thousand endless requests gets its share and no more. This is
//! start-time fair queueing (Goyal, Vin and Cheng, 1996) on two levels. Host work for a tenant
//! takes the same turns: the statements of its database like one more model, the decoding of a
//! request as work of its model. A call may take more turns than one for its helpers, but only
//! those that are free, and it gives them back as soon as another call waits.
//!
//! A short call does not wait: it starts on the thread that has read its request, as long as the
//! short calls of its tenant use less than the tenant's share of the cores, or the tenant is not
//! ahead of the others. It is charged all the same, with the handling of its request. So if the
//! short calls of a tenant use more than its share, they have to wait for turns like other calls.
//! Long calls do not delay the short ones of their tenant, but short calls do delay the long ones:
//! their time counts when the next turn is granted, and the tenant gets no more than its share.
//!
//! Virtual times are compared once a tick, over the tenants that have run or waited in the last
//! ticks. A tenant that was away returns with the least virtual time of the others, and a tenant
//! that uses less than its share is never owed more than [`CREDIT`]: unused time is lost.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Waker};
use std::time::Duration;

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use super::{CpuAccount, CpuShare};
use crate::mutex::lock;

/// Nanoseconds, for each core, that a tenant may be ahead of the others before its calls have to
/// wait. Differences below a tick are unknown; a few ticks more keep short bursts from paying for a
/// change of threads.
const SLACK: u64 = Duration::from_millis(1).as_nanos() as u64;

/// Largest credit of a tenant in nanoseconds of virtual time, for each core.
const CREDIT: u64 = Duration::from_millis(3).as_nanos() as u64;

/// Largest amount of its share that a tenant may save up, and of overuse that is remembered, in
/// nanoseconds for each core.
const BURST: u64 = Duration::from_millis(10).as_nanos() as u64;

/// Ticks after which a tenant that has neither run nor waited is no longer compared.
const INACTIVE_TICKS: u64 = 50;

/// The turns of one process.
pub struct FairScheduler {
    cores: u64,
    queue: Mutex<RunQueue>,
    /// Tenants that are compared.
    active: Mutex<Vec<Arc<CpuAccount>>>,
    tick: AtomicU64,
    /// The least virtual time of these tenants, as of the last tick.
    min_virtual_time: AtomicU64,
    /// Several tenants compete.
    contended: AtomicBool,
    /// A call waits for a turn.
    waiting: AtomicBool,
    clock: OnceLock<Clock>,
}

/// Keeps the clock that ticks the scheduler running until the result is dropped.
type Clock = Box<dyn Fn() -> Box<dyn Send> + Send + Sync>;

/// Waiting calls and free turns.
struct RunQueue {
    free: usize,
    queues: Vec<VersionQueue>,
}

/// The waiting calls of one version.
struct VersionQueue {
    share: Arc<CpuShare>,
    calls: VecDeque<Arc<TicketState>>,
}

/// The state of one call.
struct TicketState {
    granted: AtomicBool,
    /// The waker of a waiting call. Accessed only while the run queue is locked.
    waker: Mutex<Option<Waker>>,
}

/// A call in the run queue, or its turn once that is granted. Gives up either on drop.
pub struct TurnTicket {
    turns: Arc<FairScheduler>,
    share: Arc<CpuShare>,
    state: Arc<TicketState>,
}

impl FairScheduler {
    /// A scheduler with this number of turns.
    pub fn new(cores: usize) -> Arc<Self> {
        Arc::new(FairScheduler {
            cores: cores as u64,
            queue: Mutex::new(RunQueue { free: cores, queues: Vec::new() }),
            active: Mutex::default(),
            tick: AtomicU64::new(0),
            min_virtual_time: AtomicU64::new(0),
            contended: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            clock: OnceLock::new(),
        })
    }

    /// A scheduler with as many turns as the machine has cores.
    pub fn for_this_machine() -> Arc<Self> {
        FairScheduler::new(std::thread::available_parallelism().map_or(1, NonZero::get))
    }

    /// Number of turns.
    pub fn cores(&self) -> usize {
        self.cores as usize
    }

    /// Sets the clock that ticks the scheduler while there is work. The first clock stays.
    pub fn set_clock(&self, clock: impl Fn() -> Box<dyn Send> + Send + Sync + 'static) {
        self.clock.get_or_init(|| Box::new(clock));
    }

    /// Keeps the clock running until the result is dropped. Work that takes turns holds it.
    pub fn keep_ticking(&self) -> Option<Box<dyn Send>> {
        self.clock.get().map(|clock| clock())
    }

    /// True if calls hold turns or wait for one. Does not block, and reports a locked run queue as
    /// busy.
    pub fn is_busy(&self) -> bool {
        self.queue
            .try_lock()
            .map_or(true, |queue| queue.free < self.cores() || !queue.queues.is_empty())
    }

    /// True if a call waits for a turn.
    pub fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes a turn that no call waits for; `None` if there is none. Does not block.
    pub fn try_take(self: &Arc<Self>, share: &Arc<CpuShare>) -> Option<TurnTicket> {
        // A free turn goes at once to a call that waits, so no call wants one that is still free.
        let mut queue = self.queue.try_lock().ok()?;
        queue.free = queue.free.checked_sub(1)?;
        drop(queue);

        let state =
            Arc::new(TicketState { granted: AtomicBool::new(true), waker: Mutex::default() });
        Some(TurnTicket { turns: self.clone(), share: share.clone(), state })
    }

    /// True if a call may start at once on its current thread: its tenant has not used its share
    /// without turns or is not ahead of the others, and its model is not ahead of the tenant's
    /// other models that wait.
    pub fn may_start(&self, share: &CpuShare) -> bool {
        let slack = SLACK * self.cores;
        if self.contended.load(Ordering::Relaxed) {
            let account = share.account();
            account.advance_to(self.min_virtual_time.load(Ordering::Relaxed));
            let ahead =
                account.virtual_time() > self.min_virtual_time.load(Ordering::Relaxed) + slack;
            if ahead && !account.is_entitled() {
                return false;
            }
        }

        share.ahead_by() <= slack
    }

    /// Charges CPU time that a guest or host work used without a turn.
    pub fn charge(&self, share: &CpuShare, time: Duration) {
        self.mark_active(share.account());
        share.charge(time.as_nanos() as u64);
    }

    /// Charges CPU time that a guest or host work used in its turn.
    pub fn charge_in_turn(&self, share: &CpuShare, time: Duration) {
        self.mark_active(share.account());
        share.charge_in_turn(time.as_nanos() as u64);
    }

    /// Adds a call to the run queue.
    pub fn enqueue(self: &Arc<Self>, share: &Arc<CpuShare>) -> TurnTicket {
        let state =
            Arc::new(TicketState { granted: AtomicBool::new(false), waker: Mutex::default() });
        self.mark_active(share.account());
        share.join_waiting();
        self.update_queue(|queue| queue.push(share, state.clone()));
        TurnTicket { turns: self.clone(), share: share.clone(), state }
    }

    /// Compares the virtual times of all tenants. Called by the engine's clock, `passed` after the
    /// last call.
    pub fn tick(&self, passed: Duration) {
        let now = self.tick.fetch_add(1, Ordering::Relaxed) + 1;
        let mut active = lock(&self.active);
        active.retain(|account| {
            let here = account.waiting() > 0
                || now.saturating_sub(account.last_active()) <= INACTIVE_TICKS;
            if !here {
                account.mark_inactive();
                account.set_min_waiting(None);
            }
            here
        });

        let most = active.iter().map(|account| account.virtual_time()).max().unwrap_or(0);
        let owed = most.saturating_sub(CREDIT * self.cores);
        active.iter().for_each(|account| account.advance_to(owed));
        self.entitle_all(&active, passed);
        self.update_waiting_models(&active);

        let least = active.iter().map(|account| account.virtual_time()).min();
        // It never decreases: a new tenant is owed nothing.
        self.min_virtual_time.fetch_max(least.unwrap_or(0), Ordering::Relaxed);
        self.contended.store(active.len() > 1, Ordering::Relaxed);
    }

    /// Updates the least virtual time of each tenant's waiting models.
    fn update_waiting_models(&self, active: &[Arc<CpuAccount>]) {
        // Guest threads have idle priority, so one that holds the lock may keep it for long, and
        // the clock must not wait for it. The next tick comes soon.
        let Ok(queue) = self.queue.try_lock() else { return };

        for account in active {
            let own =
                queue.queues.iter().filter(|queue| Arc::ptr_eq(queue.share.account(), account));
            account.set_min_waiting(own.map(|queue| queue.share.virtual_time()).min());
        }
    }

    /// Entitles every tenant to its share of what the cores could do in that time.
    fn entitle_all(&self, active: &[Arc<CpuAccount>], passed: Duration) {
        let weights: u64 = active.iter().map(|account| account.weight()).sum();
        let most = BURST * self.cores;
        // A late clock must not grant more than may be saved.
        let time = (passed.as_nanos() as u64 * self.cores).min(most);

        for account in active {
            account.entitle(time * account.weight() / weights.max(1), most, most);
        }
    }

    /// Includes a tenant in the comparison.
    fn mark_active(&self, account: &Arc<CpuAccount>) {
        if account.mark_active(self.tick.load(Ordering::Relaxed)) {
            account.advance_to(self.min_virtual_time.load(Ordering::Relaxed));
            lock(&self.active).push(account.clone());
        }
    }

    /// Changes the run queue and grants free turns. Wakers run after the lock is released.
    fn update_queue(&self, change: impl FnOnce(&mut RunQueue)) {
        let mut queue = self.lock_queue();
        change(&mut queue);
        let woken = queue.grant_turns();
        self.waiting.store(!queue.queues.is_empty(), Ordering::Relaxed);
        drop(queue);
        woken.into_iter().for_each(Waker::wake);
    }

    fn lock_queue(&self) -> MutexGuard<'_, RunQueue> {
        lock(&self.queue)
    }
}

impl TurnTicket {
    /// True if the turn has come. If not, the context is woken when it does.
    pub fn poll_granted(&self, context: &mut Context<'_>) -> bool {
        if self.state.granted.load(Ordering::Acquire) {
            return true;
        }
        let _queue = self.turns.lock_queue();
        *self.state.lock_waker() = Some(context.waker().clone());
        self.state.granted.load(Ordering::Acquire)
    }

    /// Charges CPU time that was used in the turn.
    pub fn charge(&self, time: Duration) {
        self.turns.charge_in_turn(&self.share, time);
    }

    /// Gives the turn back and waits for another, which may be the next one. The waker is not
    /// called in between.
    pub fn requeue(&mut self, context: &mut Context<'_>) {
        self.turns.mark_active(self.share.account());
        self.turns.update_queue(|queue| {
            self.state.granted.store(false, Ordering::Release);
            *self.state.lock_waker() = Some(context.waker().clone());
            queue.free += 1;
            queue.push(&self.share, self.state.clone());
        });
    }
}

/// Lets the current thread run only while no other thread wants to. Reading a request and running a
/// short call must not wait for a long one. Linux lets a normal thread preempt one of this class at
/// once, but lets a thread of merely lower priority finish its slice: 3 ms, a thousand times a
/// second.
pub fn set_idle_priority() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // If it is refused, tenants' work competes with the host on equal terms.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
}

impl Drop for TurnTicket {
    fn drop(&mut self) {
        self.turns.update_queue(|queue| {
            if self.state.granted.load(Ordering::Acquire) {
                queue.free += 1;
            } else {
                queue.remove(&self.share, &self.state);
            }
        });
    }
}

impl RunQueue {
    fn push(&mut self, share: &Arc<CpuShare>, ticket: Arc<TicketState>) {
        share.account().add_waiting();
        match self.queues.iter_mut().find(|queue| Arc::ptr_eq(&queue.share, share)) {
            Some(queue) => queue.calls.push_back(ticket),
            None => self.queues.push(VersionQueue { share: share.clone(), calls: [ticket].into() }),
        }
    }

    fn remove(&mut self, share: &Arc<CpuShare>, ticket: &Arc<TicketState>) {
        let Some(index) = self.queues.iter().position(|queue| Arc::ptr_eq(&queue.share, share))
        else {
            return;
        };

        let calls = &mut self.queues[index].calls;
        if let Some(position) = calls.iter().position(|one| Arc::ptr_eq(one, ticket)) {
            calls.remove(position);
            self.after_removal(index);
        }
    }

    fn after_removal(&mut self, index: usize) {
        self.queues[index].share.account().remove_waiting();
        if self.queues[index].calls.is_empty() {
            self.queues.swap_remove(index);
        }
    }

    /// Grants free turns. Returns the wakers to call once the lock is released.
    fn grant_turns(&mut self) -> Vec<Waker> {
        let mut woken = Vec::new();
        while self.free > 0 {
            let Some(ticket) = self.pop_next() else { break };
            self.free -= 1;
            ticket.granted.store(true, Ordering::Release);
            woken.extend(ticket.lock_waker().take());
        }

        woken
    }

    /// The next call. Compares all waiting versions, which are few at a time.
    fn pop_next(&mut self) -> Option<Arc<TicketState>> {
        let order = |queue: &VersionQueue| {
            (queue.share.account().virtual_time(), queue.share.virtual_time())
        };
        let (index, queue) =
            self.queues.iter_mut().enumerate().min_by_key(|(_, queue)| order(queue))?;
        let ticket = queue.calls.pop_front();

        queue.share.mark_granted();
        self.after_removal(index);
        ticket
    }
}

impl TicketState {
    fn lock_waker(&self) -> MutexGuard<'_, Option<Waker>> {
        lock(&self.waker)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::TenantName;
    use crate::tenant::{Tenant, TenantSettings};

    const TICK: Duration = Duration::from_millis(1);

    fn tenant(name: &str, weight: u32) -> Arc<Tenant> {
        Tenant::new(
            TenantName::new(name).unwrap(),
            TenantSettings { weight, ..TenantSettings::default() },
        )
    }

    fn share(tenant: &Tenant) -> Arc<CpuShare> {
        CpuShare::new(tenant.account().clone())
    }

    /// Endless calls, with the number of turns that each has had.
    struct Race {
        turns: Arc<FairScheduler>,
        calls: Vec<(TurnTicket, u64)>,
    }

    impl Race {
        fn new(cores: usize, shares: &[&Arc<CpuShare>]) -> Race {
            let turns = FairScheduler::new(cores);
            let calls = shares.iter().map(|share| (turns.enqueue(share), 0)).collect();
            Race { turns, calls }
        }

        /// Runs this number of ticks, in each of which every call with a turn uses it up.
        fn run(&mut self, ticks: usize) {
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..ticks {
                let granted: Vec<_> = (0..self.calls.len())
                    .filter(|&call| self.calls[call].0.poll_granted(&mut context))
                    .collect();
                for call in granted {
                    let (ticket, count) = &mut self.calls[call];
                    *count += 1;
                    self.turns.charge_in_turn(&ticket.share, TICK);
                    ticket.requeue(&mut context);
                }
                self.turns.tick(TICK);
            }
        }

        fn counts(&self) -> Vec<u64> {
            self.calls.iter().map(|call| call.1).collect()
        }
    }

    #[test]
    fn turns_follow_weights_however_many_calls_a_tenant_has() {
        for (cores, weight) in [(1, 1), (2, 1), (1, 3), (2, 3), (4, 10)] {
            let (one, other) = (share(&tenant("one", weight)), share(&tenant("other", 1)));
            let calls: Vec<_> =
                std::iter::repeat_n(&one, 8).chain(std::iter::repeat_n(&other, 64)).collect();
            let mut race = Race::new(cores, &calls);
            race.run(11_000);
            let (of_one, of_other) =
                (race.counts()[..8].iter().sum::<u64>(), race.counts()[8..].iter().sum::<u64>());
            let ratio = of_one as f64 / of_other as f64 / f64::from(weight);
            assert!(
                (0.98..1.02).contains(&ratio),
                "{cores} cores, weight {weight}: {of_one} to {of_other}"
            );
            assert_eq!((of_one + of_other) as usize, 11_000 * cores, "no turn is wasted");
        }
    }

    #[test]
    fn models_of_a_tenant_share_evenly_and_so_do_calls_of_a_model() {
        let tenant = tenant("one", 1);
        let (few, many) = (share(&tenant), share(&tenant));
        let mut race = Race::new(1, &[&few, &many, &many, &many]);
        race.run(3000);
        assert_eq!(race.counts(), [1500, 500, 500, 500]);
    }

    #[test]
    fn a_new_tenant_is_owed_nothing() {
        let (one, other) = (share(&tenant("one", 1)), share(&tenant("other", 1)));
        let mut race = Race::new(1, &[&one]);
        race.run(1000);
        race.calls.push((race.turns.enqueue(&other), 0));
        race.run(1000);

        let counts = race.counts();
        assert!(counts[1].abs_diff(500) <= 2, "{counts:?}");
    }

    #[test]
    fn a_ticket_that_is_dropped_costs_no_turn() {
        let one = share(&tenant("one", 1));
        let turns = FairScheduler::new(1);
        let mut context = Context::from_waker(Waker::noop());

        assert!(!turns.is_busy());

        let (first, second, third) =
            (turns.enqueue(&one), turns.enqueue(&one), turns.enqueue(&one));
        assert!(turns.is_busy());
        assert!(first.poll_granted(&mut context) && !second.poll_granted(&mut context));

        drop(second);
        drop(first);
        assert!(third.poll_granted(&mut context));

        drop(third);
        let queue = turns.lock_queue();
        assert_eq!((queue.free, queue.queues.len(), one.account().waiting()), (1, 0, 0));
    }

    #[test]
    fn only_a_turn_that_no_call_waits_for_can_be_taken() {
        let (one, other) = (share(&tenant("one", 1)), share(&tenant("other", 1)));
        let turns = FairScheduler::new(2);
        let mut context = Context::from_waker(Waker::noop());

        let call = turns.enqueue(&one);
        let extra = turns.try_take(&one).expect("the second turn is free");
        assert!(call.poll_granted(&mut context) && extra.poll_granted(&mut context));
        assert!(turns.try_take(&one).is_none() && !turns.has_waiting());

        let waiting = turns.enqueue(&other);
        assert!(!waiting.poll_granted(&mut context) && turns.has_waiting());

        drop(extra);
        assert!(waiting.poll_granted(&mut context) && !turns.has_waiting());
        assert!(turns.try_take(&one).is_none());

        drop((call, waiting));
        assert!(!turns.is_busy());
    }

    #[test]
    fn short_calls_start_at_once_until_their_tenant_is_ahead_of_another() {
        let (busy, other) = (share(&tenant("busy", 1)), share(&tenant("other", 1)));
        let turns = FairScheduler::new(1);
        turns.charge(&busy, 100 * TICK);
        turns.tick(TICK);
        assert!(turns.may_start(&busy), "no other tenant competes");

        turns.charge(&other, TICK);
        turns.tick(TICK);
        assert!(turns.may_start(&other));

        turns.charge(&busy, 5 * TICK);
        assert!(!turns.may_start(&busy));

        for _ in 0..=INACTIVE_TICKS {
            turns.charge(&busy, TICK);
            turns.tick(TICK);
        }

        assert!(turns.may_start(&busy), "the other has gone");
    }

    #[test]
    fn long_calls_do_not_delay_the_short_calls_of_their_tenant() {
        let (mixed, other) = (tenant("mixed", 1), share(&tenant("other", 1)));
        let (short, long) = (share(&mixed), share(&mixed));
        let turns = FairScheduler::new(2);

        for _ in 0..100 {
            turns.charge_in_turn(&long, 2 * TICK);
            turns.charge_in_turn(&other, TICK / 2);
            turns.tick(TICK);
            assert!(!turns.may_start(&long) || turns.may_start(&short));
            assert!(turns.may_start(&short));
            turns.charge(&short, TICK / 10);
        }

        turns.charge(&short, 100 * TICK);
        assert!(!turns.may_start(&short), "short calls beyond the share wait");
    }

    proptest! {
        /// Tenants of any weights, one of which mixes short calls without turns and long calls in
        /// turns, while the other always has a long call waiting.
        #[test]
        fn short_and_long_calls_together_get_no_more_than_the_share(
            weights in (1_u32..5, 1_u32..5),
            cores in 1_usize..5,
            short in 1_u32..30,
        ) {
            const TICKS: u32 = 4000;
            let (mixed, other) = (tenant("mixed", weights.0), tenant("other", weights.1));
            let (light, heavy, rival) = (share(&mixed), share(&mixed), share(&other));
            let turns = FairScheduler::new(cores);
            let mut context = Context::from_waker(Waker::noop());
            let long = |share| (0..cores).map(|_| turns.enqueue(share)).collect::<Vec<_>>();
            let mut calls: Vec<_> = long(&heavy).into_iter().chain(long(&rival)).collect();

            for _ in 0..TICKS {
                // Short calls preempt the others: what they take of a tick is not left for turns.
                let mut left = TICK * cores as u32;
                let one = TICK / 100 * short;
                while left >= one && turns.may_start(&light) {
                    turns.charge(&light, one);
                    left -= one;
                }

                for call in &mut calls {
                    if call.poll_granted(&mut context) {
                        turns.charge_in_turn(&call.share, left / cores as u32);
                        call.requeue(&mut context);
                    }
                }
                turns.tick(TICK);
            }

            let part = |tenant: &Tenant| tenant.account().used() as f64 / f64::from(TICKS);
            let all = part(&mixed) + part(&other);
            let fair = f64::from(weights.0) / f64::from(weights.0 + weights.1);
            let got = part(&mixed) / all;
            prop_assert!((got - fair).abs() < 0.03, "{got} instead of {fair}");
        }
    }

    #[test]
    fn unused_time_is_not_owed() {
        let (light, heavy) = (share(&tenant("light", 1)), share(&tenant("heavy", 1)));
        let turns = FairScheduler::new(1);
        for _ in 0..1000 {
            turns.charge(&light, TICK / 100);
            turns.charge(&heavy, TICK);
            turns.tick(TICK);
        }

        let owed = heavy.account().virtual_time() - light.account().virtual_time();
        assert!(owed <= CREDIT + TICK.as_nanos() as u64, "{owed}");
    }
}
