//! The pace of HTTP work that serves no guest call: the policy alone. Pure, the caller passes the
//! clock.
//!
//! The threads that serve HTTP take precedence over guests, so cheap or refused requests could
//! take every core from the calls of all tenants. The HTTP time of such requests is taken from a
//! token bucket of their payer. A payer whose bucket is in debt waits before its next request,
//! while guests need the cores. HTTP time that leads to a guest call is refunded.
//!
//! All buckets together fill at a quarter of the speed of the cores, in equal parts. The refill
//! clock counts the part of one bucket, so a change of their number costs nothing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::peer::Peer;
use crate::model::TenantName;

/// All buckets together fill with this part of the time of the cores.
const SHARE_DIVISOR: u64 = 4;

/// The HTTP time that a payer may use at once.
pub(super) const CAPACITY: Duration = Duration::from_millis(20);

/// The largest debt. It bounds the wait of a payer.
const MAX_DEBT: Duration = Duration::from_millis(100);

/// The interval at which full buckets are removed.
const CLEANUP: Duration = Duration::from_secs(1);

/// The payer of HTTP time: the tenant of a connection's last request, or else the client's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum HttpPayer {
    Tenant(TenantName),
    Peer(Peer),
}

/// The buckets of all payers. A payer without one has a full bucket.
pub(super) struct TokenBuckets {
    cores: u64,
    buckets: HashMap<HttpPayer, Bucket>,
    /// The time that has been added to each bucket so far.
    refill_clock: Duration,
    /// The time of the last change of the refill clock.
    refilled: Instant,
    cleaned: Instant,
}

struct Bucket {
    tokens: Tokens,
    /// The refill clock, as of the last change of the tokens.
    refilled: Duration,
}

/// Nanoseconds of HTTP time. Negative for a debt.
type Tokens = i64;

impl TokenBuckets {
    /// Creates the buckets for a machine with this number of cores.
    pub(super) fn new(cores: usize, now: Instant) -> Self {
        TokenBuckets {
            cores: cores as u64,
            buckets: HashMap::new(),
            refill_clock: Duration::ZERO,
            refilled: now,
            cleaned: now,
        }
    }

    /// Takes HTTP time from a payer's bucket.
    pub(super) fn charge(&mut self, payer: &HttpPayer, time: Duration, now: Instant) {
        self.advance(now);
        let refilled = self.refill_clock;
        if let Some(bucket) = self.buckets.get_mut(payer) {
            bucket.refill(refilled);
            bucket.add(-tokens(time));
        } else {
            let mut bucket = Bucket { tokens: tokens(CAPACITY), refilled };
            bucket.add(-tokens(time));
            self.buckets.insert(payer.clone(), bucket);
        }
    }

    /// Returns HTTP time that was charged.
    pub(super) fn refund(&mut self, payer: &HttpPayer, time: Duration, now: Instant) {
        self.advance(now);
        if let Some(bucket) = self.buckets.get_mut(payer) {
            bucket.refill(self.refill_clock);
            bucket.add(tokens(time));
        }
    }

    /// The time until a payer is out of debt; zero if it is. Other payers that come or go change
    /// it.
    pub(super) fn wait(&mut self, payer: &HttpPayer, now: Instant) -> Duration {
        self.advance(now);
        let payers = self.buckets.len() as u64;
        let Some(bucket) = self.buckets.get_mut(payer) else { return Duration::ZERO };

        bucket.refill(self.refill_clock);
        let debt = u64::try_from(-bucket.tokens).unwrap_or(0);
        Duration::from_nanos((debt * SHARE_DIVISOR * payers).div_ceil(self.cores))
    }

    /// Advances the refill clock. Removes full buckets from time to time.
    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled).as_nanos() as u64;
        let divisor = SHARE_DIVISOR * self.buckets.len().max(1) as u64;
        let refill = passed * self.cores / divisor;
        self.refill_clock += Duration::from_nanos(refill);
        // The rest of the division counts the next time.
        self.refilled += Duration::from_nanos(refill * divisor / self.cores);

        if now.saturating_duration_since(self.cleaned) >= CLEANUP {
            self.cleaned = now;
            let refill_clock = self.refill_clock;
            self.buckets.retain(|_, bucket| {
                bucket.refill(refill_clock);
                bucket.tokens < tokens(CAPACITY)
            });
        }
    }
}

impl Bucket {
    fn refill(&mut self, refill_clock: Duration) {
        let added = refill_clock.saturating_sub(self.refilled);
        self.refilled = refill_clock;
        self.add(tokens(added));
    }

    fn add(&mut self, added: Tokens) {
        self.tokens = (self.tokens + added).clamp(-tokens(MAX_DEBT), tokens(CAPACITY));
    }
}

fn tokens(time: Duration) -> Tokens {
    // Longer times than a bucket holds make no difference, and their sums must not overflow.
    time.min(Duration::from_secs(3600)).as_nanos() as Tokens
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    const CORES: usize = 2;
    const MILLISECOND: Duration = Duration::from_millis(1);

    fn payer(number: u8) -> HttpPayer {
        HttpPayer::Peer(IpAddr::from([10, 0, 0, number]).into())
    }

    #[test]
    fn a_payer_waits_for_its_debt_and_shares_the_refill() {
        let start = Instant::now();
        let mut buckets = TokenBuckets::new(CORES, start);
        assert_eq!(buckets.wait(&payer(1), start), Duration::ZERO);

        buckets.charge(&payer(1), CAPACITY, start);
        assert_eq!(buckets.wait(&payer(1), start), Duration::ZERO, "it has used all it had");
        buckets.charge(&payer(1), MILLISECOND, start);
        assert_eq!(buckets.wait(&payer(1), start), 2 * MILLISECOND, "half a core");
        buckets.charge(&payer(2), MILLISECOND, start);
        assert_eq!(buckets.wait(&payer(1), start), 4 * MILLISECOND, "a quarter of one");
        assert_eq!(buckets.wait(&payer(2), start), Duration::ZERO);
        assert_eq!(buckets.wait(&payer(1), start + 4 * MILLISECOND), Duration::ZERO);
    }

    #[test]
    fn a_refund_restores_the_bucket() {
        let start = Instant::now();
        let mut buckets = TokenBuckets::new(CORES, start);
        buckets.charge(&payer(1), CAPACITY + MILLISECOND, start);
        buckets.refund(&payer(1), MILLISECOND, start);
        assert_eq!(buckets.wait(&payer(1), start), Duration::ZERO);
    }

    #[test]
    fn no_debt_is_longer_than_its_bound() {
        let start = Instant::now();
        let mut buckets = TokenBuckets::new(CORES, start);
        (0..10).for_each(|_| buckets.charge(&payer(1), Duration::MAX, start));
        assert_eq!(buckets.wait(&payer(1), start), 2 * MAX_DEBT);
    }

    #[test]
    fn full_buckets_are_removed() {
        let start = Instant::now();
        let mut buckets = TokenBuckets::new(CORES, start);
        (0..100).for_each(|number| buckets.charge(&payer(number), MILLISECOND, start));
        buckets.charge(&payer(200), CAPACITY, start + 2 * CLEANUP);
        assert_eq!(buckets.buckets.len(), 1);
    }

    proptest! {
        /// Payers charge only while they need not wait. Together they use the refill, and each of
        /// them its capacity and one charge more.
        #[test]
        fn payers_that_wait_use_no_more_than_the_share(
            steps in prop::collection::vec((0..5u8, 0..3000u64, 0..3000u64), 1..400)
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut buckets = TokenBuckets::new(CORES, now);
            let mut used = Duration::ZERO;
            for (number, pause, time) in steps {
                now += Duration::from_micros(pause);
                if buckets.wait(&payer(number), now).is_zero() {
                    let time = Duration::from_micros(time);
                    buckets.charge(&payer(number), time, now);
                    used += time;
                }
                let refill = (now - start) * CORES as u32 / SHARE_DIVISOR as u32;
                prop_assert!(used <= refill + 5 * (CAPACITY + 3 * MILLISECOND));
            }
        }

        #[test]
        fn a_payer_is_out_of_debt_after_its_wait(
            charges in prop::collection::vec((0..5u8, 0..60_000u64), 1..20), number in 0..5u8
        ) {
            let start = Instant::now();
            let mut buckets = TokenBuckets::new(CORES, start);
            for (number, time) in charges {
                buckets.charge(&payer(number), Duration::from_micros(time), start);
            }
            let wait = buckets.wait(&payer(number), start);
            let left = buckets.wait(&payer(number), start + wait);
            prop_assert!(left <= Duration::from_micros(1), "{left:?} after {wait:?}");
        }
    }
}
