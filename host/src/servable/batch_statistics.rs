//! Guest calls counted by batch size, for the protocol's statistics.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::mutex::lock;

/// The most batch sizes that are counted separately. Callers choose the sizes, so calls of further
/// sizes are not counted.
const MAX_SIZES: usize = 128;

/// A number of events and their summed duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Number of events.
    pub count: u64,
    /// Sum of their durations.
    pub time: Duration,
}

/// Totals of the successful calls of one batch size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTotals {
    /// Time to create an instance or take one from the pool.
    pub instance: Total,
    /// Time in the guest.
    pub compute: Total,
}

/// Totals of successful calls by batch size, in rows.
#[derive(Default)]
pub(super) struct BatchCounters(Mutex<BTreeMap<u64, BatchTotals>>);

impl BatchCounters {
    /// Counts a successful call with `rows` rows.
    pub(super) fn record(&self, rows: u64, instance: Duration, compute: Duration) {
        let mut sizes = lock(&self.0);
        if sizes.len() >= MAX_SIZES && !sizes.contains_key(&rows) {
            return;
        }

        let totals = sizes.entry(rows).or_default();
        totals.instance.add(instance);
        totals.compute.add(compute);
    }

    /// Returns the current totals, sorted by batch size.
    pub(super) fn read(&self) -> Vec<(u64, BatchTotals)> {
        let sizes = lock(&self.0);
        sizes.iter().map(|(rows, totals)| (*rows, *totals)).collect()
    }
}

impl Total {
    fn add(&mut self, time: Duration) {
        self.count += 1;
        self.time += time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_size_up_to_a_limit() {
        let counts = BatchCounters::default();
        let second = Duration::from_secs(1);
        (0..2).for_each(|_| counts.record(8, second, 2 * second));
        let twice = |time| Total { count: 2, time };
        assert_eq!(
            counts.read(),
            [(8, BatchTotals { instance: twice(2 * second), compute: twice(4 * second) })]
        );
        (0..1000).for_each(|rows| counts.record(rows, second, second));
        assert_eq!(counts.read().len(), MAX_SIZES);
    }
}
