//! A version's totals since it was published, for the protocol's statistics. They only grow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Timings;
use super::batch_statistics::{BatchCounters, BatchTotals, Total};

/// A version's totals since it was published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Time of the last request, in milliseconds since 1970; 0 before the first.
    pub last_request: u64,
    /// Guest calls made to answer requests.
    pub calls: u64,
    /// Rows of the answered requests. A request to a model without batches counts as one row.
    pub rows: u64,
    /// Answered requests.
    pub success: Total,
    /// Failed requests, with the time since their arrival.
    pub failure: Total,
    /// Time spent waiting for the permit to run an instance.
    pub queue: Total,
    /// Time to create an instance or take one from the pool.
    pub instance: Total,
    /// Time in the guest.
    pub compute: Total,
    /// Successful calls by batch size, in rows.
    pub batches: Vec<(u64, BatchTotals)>,
}

/// The counters behind [`Statistics`]. Times are in nanoseconds.
#[derive(Default)]
pub(super) struct VersionCounters {
    last_request: AtomicU64,
    calls: AtomicU64,
    answered: AtomicU64,
    rows: AtomicU64,
    failed: AtomicU64,
    failure_time: AtomicU64,
    queue: AtomicU64,
    instance: AtomicU64,
    compute: AtomicU64,
    batches: BatchCounters,
}

impl VersionCounters {
    /// Counts an answered request with `rows` rows.
    pub(super) fn answered(&self, timings: &Timings, rows: u64) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);

        for (sum, time) in [
            (&self.queue, timings.queue),
            (&self.instance, timings.instance),
            (&self.compute, timings.compute),
        ] {
            sum.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
        }
        self.record_time();
    }

    /// Counts a request that failed after `took`.
    pub(super) fn failed(&self, took: Duration) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.failure_time.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        self.record_time();
    }

    /// Counts a guest call, for one request or several.
    pub(super) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a successful guest call with `rows` rows.
    pub(super) fn executed(&self, rows: u64, instance: Duration, compute: Duration) {
        self.batches.record(rows, instance, compute);
    }

    fn record_time(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_request.store(now.as_millis() as u64, Ordering::Relaxed);
    }

    /// Returns the current totals. They are read one by one, so they may differ by the requests
    /// that end meanwhile.
    pub(super) fn read(&self) -> Statistics {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let answered = number(&self.answered);
        let total =
            |sum: &AtomicU64| Total { count: answered, time: Duration::from_nanos(number(sum)) };

        let queue = total(&self.queue);
        let instance = total(&self.instance);
        let compute = total(&self.compute);
        let success = Total { count: answered, time: queue.time + instance.time + compute.time };

        Statistics {
            last_request: number(&self.last_request),
            calls: number(&self.calls),
            rows: number(&self.rows),
            success,
            failure: Total {
                count: number(&self.failed),
                time: Duration::from_nanos(number(&self.failure_time)),
            },
            queue,
            instance,
            compute,
            batches: self.batches.read(),
        }
    }
}
