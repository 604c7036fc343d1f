//! Virtual time: the use of the cores by tenants and models, as the fair scheduler compares it.
//!
//! Virtual time is CPU time divided by weight: a tenant of weight 2 that has run for 10 ms has the
//! same virtual time as one of weight 1 that has run for 5 ms. The tenant with the least virtual
//! time goes first. The fair scheduler reads and charges these values and makes all decisions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The use of the cores by one tenant.
#[derive(Debug)]
pub struct CpuAccount {
    weight: AtomicU64,
    /// Nanoseconds of CPU time of its guests and of host work for it.
    used: AtomicU64,
    /// Nanoseconds of that CPU time that did not wait for a turn.
    immediate: AtomicU64,
    /// Nanoseconds of CPU time that it may use without a turn, whatever the virtual time of others.
    entitled: AtomicU64,
    /// Nanoseconds of virtual time.
    virtual_time: AtomicU64,
    /// Greatest virtual time of a model, in nanoseconds, at the grant of its turn.
    model_virtual_time: AtomicU64,
    /// The tick at which it last ran or waited for a turn.
    last_active: AtomicU64,
    /// True while the scheduler compares it with other tenants.
    active: AtomicBool,
    /// Number of its calls that wait for a turn.
    waiting: AtomicUsize,
    /// The least virtual time of its models that wait for a turn, as of the last tick.
    min_waiting: AtomicU64,
}

impl CpuAccount {
    pub(super) fn new(weight: u32) -> Arc<Self> {
        Arc::new(CpuAccount {
            weight: AtomicU64::new(u64::from(weight.max(1))),
            used: AtomicU64::new(0),
            immediate: AtomicU64::new(0),
            entitled: AtomicU64::new(0),
            virtual_time: AtomicU64::new(0),
            model_virtual_time: AtomicU64::new(0),
            last_active: AtomicU64::new(0),
            active: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            min_waiting: AtomicU64::new(u64::MAX),
        })
    }

    pub(super) fn set_weight(&self, weight: u32) {
        self.weight.store(u64::from(weight.max(1)), Ordering::Relaxed);
    }

    /// Its weight relative to those of other tenants.
    pub fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Nanoseconds of CPU time used by its guests and by host work for it.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Its virtual time, in nanoseconds.
    pub fn virtual_time(&self) -> u64 {
        self.virtual_time.load(Ordering::Relaxed)
    }

    /// Entitles it to `more` nanoseconds of CPU time without a turn. Unused time is kept up to
    /// `burst`, and overuse is remembered up to `debt`. Called by one thread.
    pub fn entitle(&self, more: u64, burst: u64, debt: u64) {
        let spent = self.immediate.load(Ordering::Relaxed);
        let before = self.entitled.load(Ordering::Relaxed).max(spent.saturating_sub(debt));
        self.entitled.store((before + more).min(spent + burst), Ordering::Relaxed);
    }

    /// True if it has used less CPU time without a turn than it is entitled to. Time in turns does
    /// not count: it is granted only while the tenant is not ahead of the others, so short calls do
    /// not pay for the long ones of the same tenant.
    pub fn is_entitled(&self) -> bool {
        self.immediate.load(Ordering::Relaxed) < self.entitled.load(Ordering::Relaxed)
    }

    /// Raises its virtual time to at least `least`: unused time is not owed to it.
    pub fn advance_to(&self, least: u64) {
        self.virtual_time.fetch_max(least, Ordering::Relaxed);
    }

    /// Records that it runs or waits at this tick. Returns true if the scheduler does not compare
    /// it yet.
    pub fn mark_active(&self, tick: u64) -> bool {
        self.last_active.store(tick, Ordering::Relaxed);
        !self.active.load(Ordering::Relaxed) && !self.active.swap(true, Ordering::Relaxed)
    }

    /// The tick at which it last ran or waited for a turn.
    pub fn last_active(&self) -> u64 {
        self.last_active.load(Ordering::Relaxed)
    }

    /// Number of its calls that wait for a turn.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Records one more waiting call.
    pub fn add_waiting(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Records one waiting call less.
    pub fn remove_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets the least virtual time of its models that wait for a turn; `None` if none waits.
    pub fn set_min_waiting(&self, virtual_time: Option<u64>) {
        self.min_waiting.store(virtual_time.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Records that the scheduler no longer compares it.
    pub fn mark_inactive(&self) {
        self.active.store(false, Ordering::Relaxed);
    }
}

/// The use of its tenant's cores by one version.
#[derive(Debug)]
pub struct CpuShare {
    account: Arc<CpuAccount>,
    virtual_time: AtomicU64,
    /// Nanoseconds of CPU time.
    used: AtomicU64,
}

impl CpuShare {
    /// A share of this tenant that has used nothing yet.
    pub fn new(account: Arc<CpuAccount>) -> Arc<Self> {
        Arc::new(CpuShare { account, virtual_time: AtomicU64::new(0), used: AtomicU64::new(0) })
    }

    /// The tenant's account.
    pub fn account(&self) -> &Arc<CpuAccount> {
        &self.account
    }

    /// Nanoseconds of CPU time used by its guests and by host work for it.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Its virtual time within its tenant, in nanoseconds.
    pub fn virtual_time(&self) -> u64 {
        self.virtual_time.load(Ordering::Relaxed)
    }

    /// Charges nanoseconds of CPU time that a guest or host work used without a turn.
    pub fn charge(&self, nanoseconds: u64) {
        self.account.immediate.fetch_add(nanoseconds, Ordering::Relaxed);
        self.charge_in_turn(nanoseconds);
    }

    /// Charges nanoseconds of CPU time that a guest or host work used in its turn.
    pub fn charge_in_turn(&self, nanoseconds: u64) {
        let account = &self.account;
        self.virtual_time.fetch_add(nanoseconds, Ordering::Relaxed);
        self.used.fetch_add(nanoseconds, Ordering::Relaxed);
        account.used.fetch_add(nanoseconds, Ordering::Relaxed);
        account.virtual_time.fetch_add(nanoseconds / account.weight(), Ordering::Relaxed);
    }

    /// Nanoseconds by which its virtual time exceeds the least of its tenant's models that wait for
    /// a turn.
    pub fn ahead_by(&self) -> u64 {
        self.virtual_time().saturating_sub(self.account.min_waiting.load(Ordering::Relaxed))
    }

    /// Raises its virtual time to that of its tenant's models, because it starts to compete with
    /// them.
    pub fn join_waiting(&self) {
        self.virtual_time
            .fetch_max(self.account.model_virtual_time.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Records that its turn has come, so that its tenant's other models are compared with it.
    pub fn mark_granted(&self) {
        self.account.model_virtual_time.fetch_max(self.virtual_time(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_is_cpu_time_by_weight() {
        let (light, heavy) = (CpuAccount::new(1), CpuAccount::new(4));
        CpuShare::new(light.clone()).charge(1000);
        CpuShare::new(heavy.clone()).charge(1000);
        assert_eq!((light.virtual_time(), heavy.virtual_time()), (1000, 250));
        assert_eq!((light.used(), heavy.used()), (1000, 1000));
    }

    #[test]
    fn entitlement_is_bounded_both_ways() {
        let account = CpuAccount::new(1);
        let share = CpuShare::new(account.clone());
        let spend_until_told =
            || (0..).take_while(|_| account.is_entitled()).map(|_| share.charge(1)).count();

        account.entitle(10, 100, 50);
        assert_eq!(spend_until_told(), 10);

        (0..50).for_each(|_| account.entitle(10, 100, 50));
        assert_eq!(spend_until_told(), 100);

        CpuShare::new(account.clone()).charge(1000);
        account.entitle(49, 100, 50);
        assert!(!account.is_entitled());

        account.entitle(2, 100, 50);
        assert!(account.is_entitled());
    }

    #[test]
    fn virtual_time_never_decreases() {
        let account = CpuAccount::new(1);
        account.advance_to(10);
        account.advance_to(5);
        assert_eq!(account.virtual_time(), 10);
    }
}
