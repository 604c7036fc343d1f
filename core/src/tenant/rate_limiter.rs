//! A limit on requests per second. A burst of one second's requests is admitted at once.
//!
//! This is the generic cell rate algorithm (ITU-T I.371). Its state is one number: the time at
//! which the next request would be due if all came evenly. A request is admitted unless that time
//! is more than a second ahead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::UNLIMITED;
use crate::model::QuotaExceeded;

const SECOND: u64 = 1_000_000_000;

pub(super) struct RateLimiter {
    limit: AtomicU64,
    origin: Instant,
    /// Time at which the next request is due, in nanoseconds since `origin`.
    due: AtomicU64,
}

impl Default for RateLimiter {
    fn default() -> Self {
        RateLimiter {
            limit: AtomicU64::new(UNLIMITED),
            origin: Instant::now(),
            due: AtomicU64::new(0),
        }
    }
}

impl RateLimiter {
    pub(super) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Admits a request. Fails with `QuotaExceeded` if it exceeds the limit.
    pub(super) fn acquire(&self) -> Result<(), QuotaExceeded> {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == UNLIMITED {
            return Ok(());
        }
        self.acquire_at(self.origin.elapsed().as_nanos() as u64, limit)
    }

    fn acquire_at(&self, now: u64, limit: u64) -> Result<(), QuotaExceeded> {
        // A limit of 0 admits no request.
        let interval = SECOND.checked_div(limit).unwrap_or(u64::MAX / 4);
        let next = |due: u64| {
            let due = due.max(now).saturating_add(interval);
            (due <= now + SECOND).then_some(due)
        };
        let taken = self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);

        taken.map(drop).map_err(|_| QuotaExceeded {
            quota: "requests_per_second",
            limit,
            retry_after_seconds: 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn let_in(rate: &RateLimiter, now: u64, limit: u64, requests: usize) -> usize {
        (0..requests).filter(|_| rate.acquire_at(now, limit).is_ok()).count()
    }

    #[test]
    fn a_burst_of_one_second_is_admitted_and_then_an_even_rate() {
        let rate = RateLimiter::default();
        assert_eq!(let_in(&rate, 0, 10, 100), 10);
        assert_eq!(let_in(&rate, SECOND / 10, 10, 100), 1);
        assert_eq!(let_in(&rate, SECOND / 2, 10, 100), 4);
        assert_eq!(let_in(&rate, 100 * SECOND, 10, 100), 10);
    }

    #[test]
    fn a_limit_of_zero_admits_no_request() {
        assert_eq!(let_in(&RateLimiter::default(), 5 * SECOND, 0, 10), 0);
    }

    #[test]
    fn without_a_limit_every_request_is_admitted() {
        let rate = RateLimiter::default();
        assert!((0..100_000).all(|_| rate.acquire().is_ok()));
    }
}
