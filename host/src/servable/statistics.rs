//! What a version has done since it went live, in numbers that only grow, as the protocol's
//! statistics tell it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::executions::ExecutionCounts;
use super::{Executions, Timings};

/// How often something happened, and how long it took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How often.
    pub count: u64,
    /// How long in all.
    pub time: Duration,
}

/// What a version has done since it went live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// When it was last asked, in milliseconds since 1970; 0 if never.
    pub last_request: u64,
    /// Calls of the guest that were made for answers.
    pub calls: u64,
    /// Rows of the requests answered; a request to a model that takes no batches is one.
    pub rows: u64,
    /// Requests answered.
    pub success: Total,
    /// Requests not answered, and how long they took from their arrival.
    pub failure: Total,
    /// Waiting for the right to have an instance at work.
    pub queue: Total,
    /// Getting an instance.
    pub instance: Total,
    /// The calls.
    pub compute: Total,
    /// Calls that went well, by the rows of their batch.
    pub executions: Vec<(u64, Executions)>,
}

/// Counts what a version does.
#[derive(Default)]
pub(super) struct Counts {
    last_request: AtomicU64,
    calls: AtomicU64,
    answered: AtomicU64,
    rows: AtomicU64,
    failed: AtomicU64,
    /// Nanoseconds.
    failing: AtomicU64,
    queue: AtomicU64,
    instance: AtomicU64,
    compute: AtomicU64,
    executions: ExecutionCounts,
}

impl Counts {
    /// Counts an answer to a request of so many rows.
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
        self.note_time();
    }

    /// Counts a request that was not answered after so long.
    pub(super) fn failed(&self, took: Duration) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.failing.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        self.note_time();
    }

    /// Counts a call of the guest for one request or several.
    pub(super) fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call with so many rows that went well.
    pub(super) fn executed(&self, rows: u64, instance: Duration, compute: Duration) {
        self.executions.note(rows, instance, compute);
    }

    fn note_time(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_request.store(now.as_millis() as u64, Ordering::Relaxed);
    }

    /// The numbers as they are now. Read one after the other, so that they may be a request apart.
    pub(super) fn read(&self) -> Statistics {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let answered = number(&self.answered);
        let total =
            |sum: &AtomicU64| Total { count: answered, time: Duration::from_nanos(number(sum)) };
        let (queue, instance, compute) =
            (total(&self.queue), total(&self.instance), total(&self.compute));
        let success = Total { count: answered, time: queue.time + instance.time + compute.time };
        Statistics {
            last_request: number(&self.last_request),
            calls: number(&self.calls),
            rows: number(&self.rows),
            success,
            failure: Total {
                count: number(&self.failed),
                time: Duration::from_nanos(number(&self.failing)),
            },
            queue,
            instance,
            compute,
            executions: self.executions.read(),
        }
    }
}
