//! Turns: who may use a core next.
//!
//! There are as many turns as guest threads, and on those threads a guest runs only while it holds
//! one. At every tick it gives its turn back and lines up again; the turn goes to the tenant that
//! has come least far in virtual time (its CPU time divided by its weight), and within the tenant
//! to the model that has come least far. So a tenant with a thousand endless requests gets its
//! share and no more. This is start-time fair queueing (Goyal, Vin and Cheng, 1996) on two levels.
//! What the host does for a tenant takes the same turns: the statements of its database as those of
//! one model more, the decoding of a request as work of its model.
//!
//! A short call does not line up at all: it starts on the thread that has read its request, as long
//! as its tenant has spent less than its share of the cores, or is not ahead of the others
//! ([`Turns::may_start`]). What it uses is charged all the same, and what handling its request
//! took, so a tenant whose short calls take more than its share finds them sent to the line, behind
//! its neighbours.
//!
//! How far tenants have come is compared once a tick ([`Turns::tick`]), over those that have run or
//! asked in the last ticks. Whoever was away comes back level with the one who has come least far,
//! and whoever uses less than its share is never owed more than [`CREDIT`]: time that nobody wanted
//! is gone.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use super::{Account, Share};

/// How far ahead of the others a tenant may be, for each core, before its calls must line up. Below
/// a tick nothing is known; a few ticks more keep short bursts from paying for a change of threads.
const SLACK: u64 = Duration::from_millis(1).as_nanos() as u64;

/// The most that a tenant can be owed, for each core.
const CREDIT: u64 = Duration::from_millis(3).as_nanos() as u64;

/// How much of its share a tenant may save up, and how much overspending is held against it, for
/// each core.
const BURST: u64 = Duration::from_millis(10).as_nanos() as u64;

/// Ticks after which a tenant that has neither run nor asked does not compete any more.
const ABSENCE: u64 = 50;

/// The turns of one process.
pub struct Turns {
    cores: u64,
    line: Mutex<Line>,
    /// Those whose progress is compared.
    competing: Mutex<Vec<Arc<Account>>>,
    tick: AtomicU64,
    /// How far the least far of them had come at the last tick.
    least: AtomicU64,
    /// There are others to be fair to.
    contended: AtomicBool,
    clock: OnceLock<Clock>,
}

/// Keeps the clock going that calls [`Turns::tick`], until the result is dropped.
type Clock = Box<dyn Fn() -> Box<dyn Send> + Send + Sync>;

/// Those who wait, and what there is to give out.
struct Line {
    free: usize,
    queues: Vec<Queue>,
}

/// The calls of one version that wait.
struct Queue {
    share: Arc<Share>,
    calls: VecDeque<Arc<Ticket>>,
}

/// One call's place.
struct Ticket {
    granted: AtomicBool,
    /// Whom to wake when it is granted. Only touched while the line is locked.
    waker: Mutex<Option<Waker>>,
}

/// A call's place in the line, and its turn once it is granted. Gives either back on drop.
pub struct Place {
    turns: Arc<Turns>,
    share: Arc<Share>,
    ticket: Arc<Ticket>,
}

impl Turns {
    /// So many turns.
    pub fn new(cores: usize) -> Arc<Self> {
        Arc::new(Turns {
            cores: cores as u64,
            line: Mutex::new(Line { free: cores, queues: Vec::new() }),
            competing: Mutex::default(),
            tick: AtomicU64::new(0),
            least: AtomicU64::new(0),
            contended: AtomicBool::new(false),
            clock: OnceLock::new(),
        })
    }

    /// As many turns as this machine has cores.
    pub fn of_this_machine() -> Arc<Self> {
        Turns::new(std::thread::available_parallelism().map_or(1, NonZero::get))
    }

    /// How many turns there are.
    pub fn cores(&self) -> usize {
        self.cores as usize
    }

    /// Has work keep that clock going, which calls [`Turns::tick`]. The first clock stays.
    pub fn set_clock(&self, clock: impl Fn() -> Box<dyn Send> + Send + Sync + 'static) {
        self.clock.get_or_init(|| Box::new(clock));
    }

    /// Keeps the clock going until the result is dropped. Work that takes turns holds it.
    pub fn keep_ticking(&self) -> Option<Box<dyn Send>> {
        self.clock.get().map(|clock| clock())
    }

    /// True if calls hold turns or wait for one. Never waits, and takes a line that is being
    /// changed for a busy one.
    pub fn are_taken(&self) -> bool {
        self.line
            .try_lock()
            .map_or(true, |line| line.free < self.cores() || !line.queues.is_empty())
    }

    /// Whether a call may start at once, where it is: its tenant has not had its share or is not
    /// ahead of the others, and its model is not ahead of the tenant's other models that wait.
    pub fn may_start(&self, share: &Share) -> bool {
        let slack = SLACK * self.cores;
        if self.contended.load(Ordering::Relaxed) {
            let account = share.account();
            account.catch_up(self.least.load(Ordering::Relaxed));
            let ahead = account.reached() > self.least.load(Ordering::Relaxed) + slack;
            if ahead && !account.is_entitled() {
                return false;
            }
        }
        share.ahead() <= slack
    }

    /// Notes that so much CPU time was used, by a guest or by the host for it.
    pub fn charge(&self, share: &Share, time: Duration) {
        self.show(share.account());
        share.charge(time.as_nanos() as u64);
    }

    /// Takes a place in the line.
    pub fn line_up(self: &Arc<Self>, share: &Arc<Share>) -> Place {
        let ticket = Arc::new(Ticket { granted: AtomicBool::new(false), waker: Mutex::default() });
        self.show(share.account());
        share.catch_up();
        self.change(|line| line.join(share, ticket.clone()));
        Place { turns: self.clone(), share: share.clone(), ticket }
    }

    /// Compares how far everybody has come. Called by the engine's clock, so long after it was
    /// called before.
    pub fn tick(&self, passed: Duration) {
        let now = self.tick.fetch_add(1, Ordering::Relaxed) + 1;
        let mut competing = self.competing.lock().unwrap_or_else(PoisonError::into_inner);
        competing.retain(|account| {
            let here = account.waiting() > 0 || now.saturating_sub(account.seen()) <= ABSENCE;
            if !here {
                account.retire();
                account.set_least_waiting(None);
            }
            here
        });
        let most = competing.iter().map(|account| account.reached()).max().unwrap_or(0);
        let owed = most.saturating_sub(CREDIT * self.cores);
        competing.iter().for_each(|account| account.catch_up(owed));
        self.entitle(&competing, passed);
        self.compare_models(&competing);
        let least = competing.iter().map(|account| account.reached()).min();
        // It never goes back: a newcomer is owed nothing.
        self.least.fetch_max(least.unwrap_or(0), Ordering::Relaxed);
        self.contended.store(competing.len() > 1, Ordering::Relaxed);
    }

    /// Compares how far each tenant's models that wait have come.
    fn compare_models(&self, competing: &[Arc<Account>]) {
        // Guest threads run when nobody else wants to, so one that has locked the line may keep it
        // for long; the clock must not wait for it. There is another tick soon.
        let Ok(line) = self.line.try_lock() else { return };
        for account in competing {
            let own =
                line.queues.iter().filter(|queue| Arc::ptr_eq(queue.share.account(), account));
            account.set_least_waiting(own.map(|queue| queue.share.reached()).min());
        }
    }

    /// Gives everybody its share of what the cores could do in that time.
    fn entitle(&self, competing: &[Arc<Account>], passed: Duration) {
        let weights: u64 = competing.iter().map(|account| account.weight()).sum();
        let most = BURST * self.cores;
        // A clock that was late must not hand out more than may be saved.
        let time = (passed.as_nanos() as u64 * self.cores).min(most);
        for account in competing {
            account.entitle(time * account.weight() / weights.max(1), most, most);
        }
    }

    /// Has a tenant's progress compared with that of the others.
    fn show(&self, account: &Arc<Account>) {
        if account.show(self.tick.load(Ordering::Relaxed)) {
            account.catch_up(self.least.load(Ordering::Relaxed));
            self.competing.lock().unwrap_or_else(PoisonError::into_inner).push(account.clone());
        }
    }

    /// Changes the line, and gives out what is free then. Whoever gets a turn is woken once the
    /// line is no longer locked.
    fn change(&self, change: impl FnOnce(&mut Line)) {
        let mut line = self.lock();
        change(&mut line);
        let woken = line.grant();
        drop(line);
        woken.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether the turn has come. If not, the context is woken when it does.
    pub fn has_come(&self, context: &mut Context<'_>) -> bool {
        if self.ticket.granted.load(Ordering::Acquire) {
            return true;
        }
        let _line = self.turns.lock();
        *self.ticket.lock_waker() = Some(context.waker().clone());
        self.ticket.granted.load(Ordering::Acquire)
    }

    /// Gives the turn back and takes a new place, which may be the next to have its turn. Whoever
    /// is woken for it is not woken before.
    pub fn line_up_again(&mut self, context: &mut Context<'_>) {
        self.turns.show(self.share.account());
        self.turns.change(|line| {
            self.ticket.granted.store(false, Ordering::Release);
            *self.ticket.lock_waker() = Some(context.waker().clone());
            line.free += 1;
            line.join(&self.share, self.ticket.clone());
        });
    }
}

/// Has the present thread run only where no other wants to. Reading a request and running a short
/// call must not wait for a long one, and Linux lets an ordinary thread interrupt one of this kind
/// at once, while it lets one that is merely less important finish its slice: 3 ms, a thousand
/// times a second.
pub fn step_back() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // Where it is refused, tenants' work merely competes on equal terms.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
}

impl Drop for Place {
    fn drop(&mut self) {
        self.turns.change(|line| {
            if self.ticket.granted.load(Ordering::Acquire) {
                line.free += 1;
            } else {
                line.leave(&self.share, &self.ticket);
            }
        });
    }
}

impl Line {
    fn join(&mut self, share: &Arc<Share>, ticket: Arc<Ticket>) {
        share.account().wait();
        match self.queues.iter_mut().find(|queue| Arc::ptr_eq(&queue.share, share)) {
            Some(queue) => queue.calls.push_back(ticket),
            None => self.queues.push(Queue { share: share.clone(), calls: [ticket].into() }),
        }
    }

    fn leave(&mut self, share: &Arc<Share>, ticket: &Arc<Ticket>) {
        let Some(index) = self.queues.iter().position(|queue| Arc::ptr_eq(&queue.share, share))
        else {
            return;
        };
        let calls = &mut self.queues[index].calls;
        if let Some(position) = calls.iter().position(|one| Arc::ptr_eq(one, ticket)) {
            calls.remove(position);
            self.left(index);
        }
    }

    fn left(&mut self, index: usize) {
        self.queues[index].share.account().wait_no_more();
        if self.queues[index].calls.is_empty() {
            self.queues.swap_remove(index);
        }
    }

    /// Gives out what is free. Returns whom to wake, once the line is no longer locked.
    fn grant(&mut self) -> Vec<Waker> {
        let mut woken = Vec::new();
        while self.free > 0 {
            let Some(ticket) = self.next() else { break };
            self.free -= 1;
            ticket.granted.store(true, Ordering::Release);
            woken.extend(ticket.lock_waker().take());
        }
        woken
    }

    /// Who is next: one look at every version that waits, which are as many as matter at a time.
    fn next(&mut self) -> Option<Arc<Ticket>> {
        let order = |queue: &Queue| (queue.share.account().reached(), queue.share.reached());
        let (index, queue) =
            self.queues.iter_mut().enumerate().min_by_key(|(_, queue)| order(queue))?;
        let ticket = queue.calls.pop_front();
        queue.share.lead();
        self.left(index);
        ticket
    }
}

impl Ticket {
    fn lock_waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
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

    fn share(tenant: &Tenant) -> Arc<Share> {
        Share::new(tenant.account().clone())
    }

    /// Calls that never end, and how often each has had its turn.
    struct Race {
        turns: Arc<Turns>,
        calls: Vec<(Place, u64)>,
    }

    impl Race {
        fn of(cores: usize, shares: &[&Arc<Share>]) -> Race {
            let turns = Turns::new(cores);
            let calls = shares.iter().map(|share| (turns.line_up(share), 0)).collect();
            Race { turns, calls }
        }

        /// So many ticks, in each of which every call that has its turn uses it up.
        fn run(&mut self, ticks: usize) {
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..ticks {
                let granted: Vec<_> = (0..self.calls.len())
                    .filter(|&call| self.calls[call].0.has_come(&mut context))
                    .collect();
                for call in granted {
                    let (place, count) = &mut self.calls[call];
                    *count += 1;
                    self.turns.charge(&place.share, TICK);
                    place.line_up_again(&mut context);
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
            let mut race = Race::of(cores, &calls);
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
    fn models_of_one_tenant_share_evenly_and_calls_of_one_model_take_turns() {
        let tenant = tenant("one", 1);
        let (few, many) = (share(&tenant), share(&tenant));
        let mut race = Race::of(1, &[&few, &many, &many, &many]);
        race.run(3000);
        assert_eq!(race.counts(), [1500, 500, 500, 500]);
    }

    #[test]
    fn a_newcomer_is_owed_nothing_for_the_time_before() {
        let (one, other) = (share(&tenant("one", 1)), share(&tenant("other", 1)));
        let mut race = Race::of(1, &[&one]);
        race.run(1000);
        race.calls.push((race.turns.line_up(&other), 0));
        race.run(1000);
        let counts = race.counts();
        assert!(counts[1].abs_diff(500) <= 2, "{counts:?}");
    }

    #[test]
    fn a_place_that_is_given_up_costs_nobody_a_turn() {
        let one = share(&tenant("one", 1));
        let turns = Turns::new(1);
        let mut context = Context::from_waker(Waker::noop());
        assert!(!turns.are_taken());
        let (first, second, third) =
            (turns.line_up(&one), turns.line_up(&one), turns.line_up(&one));
        assert!(turns.are_taken());
        assert!(first.has_come(&mut context) && !second.has_come(&mut context));
        drop(second);
        drop(first);
        assert!(third.has_come(&mut context));
        drop(third);
        let line = turns.lock();
        assert_eq!((line.free, line.queues.len(), one.account().waiting()), (1, 0, 0));
    }

    #[test]
    fn short_calls_start_at_once_until_their_tenant_is_ahead_of_another() {
        let (busy, other) = (share(&tenant("busy", 1)), share(&tenant("other", 1)));
        let turns = Turns::new(1);
        turns.charge(&busy, 100 * TICK);
        turns.tick(TICK);
        assert!(turns.may_start(&busy), "nobody else is there");
        turns.charge(&other, TICK);
        turns.tick(TICK);
        assert!(turns.may_start(&other));
        turns.charge(&busy, 5 * TICK);
        assert!(!turns.may_start(&busy));
        for _ in 0..=ABSENCE {
            turns.charge(&busy, TICK);
            turns.tick(TICK);
        }
        assert!(turns.may_start(&busy), "the other has gone");
    }

    #[test]
    fn what_was_not_wanted_in_time_is_not_owed() {
        let (light, heavy) = (share(&tenant("light", 1)), share(&tenant("heavy", 1)));
        let turns = Turns::new(1);
        for _ in 0..1000 {
            turns.charge(&light, TICK / 100);
            turns.charge(&heavy, TICK);
            turns.tick(TICK);
        }
        let owed = heavy.account().reached() - light.account().reached();
        assert!(owed <= CREDIT + TICK.as_nanos() as u64, "{owed}");
    }
}
