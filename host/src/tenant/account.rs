//! What a tenant and its models have used of the cores, as fairness counts it.
//!
//! Virtual time is CPU time divided by weight: a tenant of weight 2 that has run for 10 ms has come
//! as far as one of weight 1 that has run for 5 ms, and who has come least far goes first. The
//! engine's turns read and charge it; nothing is decided here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A tenant's part of the cores.
#[derive(Debug)]
pub struct Account {
    weight: AtomicU64,
    /// Nanoseconds of CPU time of its guests, and of the host for it.
    used: AtomicU64,
    /// Nanoseconds of CPU time that it may spend whatever others have come to.
    entitled: AtomicU64,
    /// Nanoseconds of virtual time.
    reached: AtomicU64,
    /// How far its least far model that had a turn has come.
    models: AtomicU64,
    /// The tick at which it last ran or asked for a turn.
    seen: AtomicU64,
    /// It is among those whose progress is compared.
    competing: AtomicBool,
    /// Its calls that wait for a turn.
    waiting: AtomicUsize,
    /// How far the least far of its models that wait for a turn had come at the last tick.
    least_waiting: AtomicU64,
}

impl Account {
    pub(super) fn new(weight: u32) -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        let weight = AtomicU64::new(u64::from(weight.max(1)));
        let (used, entitled) = (zero(), zero());
        let (reached, models, seen) = (zero(), zero(), zero());
        let (competing, waiting) = (AtomicBool::new(false), AtomicUsize::new(0));
        let least_waiting = AtomicU64::new(u64::MAX);
        Arc::new(Account {
            weight,
            used,
            entitled,
            reached,
            models,
            seen,
            competing,
            waiting,
            least_waiting,
        })
    }

    pub(super) fn set_weight(&self, weight: u32) {
        self.weight.store(u64::from(weight.max(1)), Ordering::Relaxed);
    }

    /// Its part of the cores, beside those of others.
    pub fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Nanoseconds of CPU time that its guests have used, and the host for it.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// How far it has come, in nanoseconds of virtual time.
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::Relaxed)
    }

    /// Entitles it to so many more nanoseconds of CPU time. What it does not spend is kept up to
    /// `burst`, and what it spends beyond is held against it up to `debt`. Called by one thread.
    pub fn entitle(&self, more: u64, burst: u64, debt: u64) {
        let spent = self.used.load(Ordering::Relaxed);
        let before = self.entitled.load(Ordering::Relaxed).max(spent.saturating_sub(debt));
        self.entitled.store((before + more).min(spent + burst), Ordering::Relaxed);
    }

    /// Whether it has spent less than it was entitled to.
    pub fn is_entitled(&self) -> bool {
        self.used.load(Ordering::Relaxed) < self.entitled.load(Ordering::Relaxed)
    }

    /// Moves it forward to at least that far: what was not used in time is not owed.
    pub fn catch_up(&self, least: u64) {
        self.reached.fetch_max(least, Ordering::Relaxed);
    }

    /// Notes that it runs or wants to at that tick. Tells whether it was not known to compete.
    pub fn show(&self, tick: u64) -> bool {
        self.seen.store(tick, Ordering::Relaxed);
        !self.competing.load(Ordering::Relaxed) && !self.competing.swap(true, Ordering::Relaxed)
    }

    /// The tick at which it last ran or asked for a turn.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// How many of its calls wait for a turn.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Notes that one more call waits for a turn.
    pub fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a call waits no more.
    pub fn wait_no_more(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes how far the least far of its models that wait for a turn has come; `None` if none
    /// waits.
    pub fn set_least_waiting(&self, reached: Option<u64>) {
        self.least_waiting.store(reached.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Notes that it competes no more.
    pub fn retire(&self) {
        self.competing.store(false, Ordering::Relaxed);
    }
}

/// One version's part of its tenant's part.
#[derive(Debug)]
pub struct Share {
    account: Arc<Account>,
    reached: AtomicU64,
}

impl Share {
    /// A share of that account, which has used nothing yet.
    pub fn new(account: Arc<Account>) -> Arc<Self> {
        Arc::new(Share { account, reached: AtomicU64::new(0) })
    }

    /// The tenant's account.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// How far it has come within its tenant, in nanoseconds.
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::Relaxed)
    }

    /// Charges so many nanoseconds of CPU time, a guest's or the host's, to the version and its
    /// tenant.
    pub fn charge(&self, nanoseconds: u64) {
        let account = &self.account;
        self.reached.fetch_add(nanoseconds, Ordering::Relaxed);
        account.used.fetch_add(nanoseconds, Ordering::Relaxed);
        account.reached.fetch_add(nanoseconds / account.weight(), Ordering::Relaxed);
    }

    /// How far ahead of its tenant's models that wait for a turn it is, in nanoseconds.
    pub fn ahead(&self) -> u64 {
        self.reached().saturating_sub(self.account.least_waiting.load(Ordering::Relaxed))
    }

    /// Moves it forward to where its tenant's models are: it begins to compete with them now.
    pub fn catch_up(&self) {
        self.reached.fetch_max(self.account.models.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Notes that its turn has come, so that its tenant's other models are measured by it.
    pub fn lead(&self) {
        self.account.models.fetch_max(self.reached(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_is_cpu_time_by_weight() {
        let (light, heavy) = (Account::new(1), Account::new(4));
        Share::new(light.clone()).charge(1000);
        Share::new(heavy.clone()).charge(1000);
        assert_eq!((light.reached(), heavy.reached()), (1000, 250));
        assert_eq!((light.used(), heavy.used()), (1000, 1000));
    }

    #[test]
    fn what_is_not_spent_is_kept_and_what_is_overspent_is_held_against_it_both_within_bounds() {
        let account = Account::new(1);
        let share = Share::new(account.clone());
        let spend_until_told =
            || (0..).take_while(|_| account.is_entitled()).map(|_| share.charge(1)).count();
        account.entitle(10, 100, 50);
        assert_eq!(spend_until_told(), 10);
        (0..50).for_each(|_| account.entitle(10, 100, 50));
        assert_eq!(spend_until_told(), 100);
        Share::new(account.clone()).charge(1000);
        account.entitle(49, 100, 50);
        assert!(!account.is_entitled());
        account.entitle(2, 100, 50);
        assert!(account.is_entitled());
    }

    #[test]
    fn catching_up_never_goes_back() {
        let account = Account::new(1);
        account.catch_up(10);
        account.catch_up(5);
        assert_eq!(account.reached(), 10);
    }
}
