//! A histogram of durations with a fixed size.

use std::time::Duration;

/// Buckets within each doubling: a duration is known to about 3 %.
const STEPS: usize = 32;

/// Doublings from 1 µs on. The last one is beyond an hour.
const DOUBLINGS: usize = 32;

/// A histogram of durations.
#[derive(Clone)]
pub(super) struct LatencyHistogram {
    counts: Vec<u64>,
    count: u64,
    sum: Duration,
    max: Duration,
}

impl LatencyHistogram {
    pub(super) fn new() -> Self {
        LatencyHistogram {
            counts: vec![0; STEPS * DOUBLINGS],
            count: 0,
            sum: Duration::ZERO,
            max: Duration::ZERO,
        }
    }

    pub(super) fn record(&mut self, time: Duration) {
        self.counts[index(time)] += 1;
        self.count += 1;
        self.sum += time;
        self.max = self.max.max(time);
    }

    pub(super) fn merge(&mut self, other: &LatencyHistogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn mean(&self) -> Duration {
        self.sum.checked_div(u32::try_from(self.count).unwrap_or(u32::MAX)).unwrap_or_default()
    }

    pub(super) fn max(&self) -> Duration {
        self.max
    }

    /// The duration that the part `part` of the values, between 0 and 1, does not exceed.
    pub(super) fn quantile(&self, part: f64) -> Duration {
        let rank = (part * self.count as f64).ceil() as u64;
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank.max(1)
        });
        found.map_or(Duration::ZERO, upper).min(self.max)
    }
}

/// The bucket of a duration. Below `STEPS` µs each microsecond has its own; above, each doubling
/// has `STEPS` of them.
fn index(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let steps = STEPS as u64;
    if micros < steps {
        return micros as usize;
    }
    let doubling = (micros / steps).ilog2();
    let step = (micros >> doubling) - steps;
    (STEPS * (doubling as usize + 1) + step as usize).min(STEPS * DOUBLINGS - 1)
}

/// The longest duration in a bucket.
fn upper(index: usize) -> Duration {
    let (doubling, step) = (index / STEPS, (index % STEPS) as u64);
    match doubling.checked_sub(1) {
        None => Duration::from_micros(step),
        Some(doubling) => Duration::from_micros(((step + STEPS as u64 + 1) << doubling) - 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quantile_is_off_by_a_step_at_most(mut micros in proptest::collection::vec(0_u64..10_000_000, 1..200), part in 0.01_f64..1.0) {
            let mut latencies = LatencyHistogram::new();
            micros.iter().for_each(|&micros| latencies.record(Duration::from_micros(micros)));
            micros.sort_unstable();
            let exact = micros[(part * micros.len() as f64).ceil() as usize - 1] as f64;
            let told = latencies.quantile(part).as_micros() as f64;
            prop_assert!(told >= exact && told <= exact * (1.0 + 1.0 / STEPS as f64) + 1.0, "{told} for {exact}");
            prop_assert_eq!(latencies.quantile(1.0).as_micros() as u64, *micros.last().unwrap());
        }
    }

    #[test]
    fn nothing_has_no_quantiles_and_ages_have_a_place() {
        assert_eq!(LatencyHistogram::new().quantile(0.5), Duration::ZERO);
        let mut latencies = LatencyHistogram::new();
        latencies.record(Duration::MAX / 4);
        assert!(latencies.quantile(0.5) > Duration::from_secs(3600));
    }
}
