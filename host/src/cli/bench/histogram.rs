//! A histogram of durations.

use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

/// Two digits: a duration is known to 1 %.
const SIGNIFICANT_DIGITS: u8 = 2;

/// Longer durations count as a year.
const MAX_MICROS: u64 = 365 * 24 * 3600 * 1_000_000;

/// A histogram of durations in microseconds. Its memory grows with the longest one.
#[derive(Clone)]
pub(super) struct LatencyHistogram {
    micros: Histogram<u64>,
    sum: Duration,
    max: Duration,
}

impl LatencyHistogram {
    pub(super) fn new() -> Result<Self> {
        let micros = Histogram::new(SIGNIFICANT_DIGITS).context("cannot make a histogram")?;
        Ok(LatencyHistogram { micros, sum: Duration::ZERO, max: Duration::ZERO })
    }

    pub(super) fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(MAX_MICROS).min(MAX_MICROS);
        // The histogram grows with its values, so it fails for none below the bound.
        let _ = self.micros.record(micros);
        self.sum += time;
        self.max = self.max.max(time);
    }

    pub(super) fn merge(&mut self, other: &LatencyHistogram) {
        let _ = self.micros.add(&other.micros);
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    pub(super) fn count(&self) -> u64 {
        self.micros.len()
    }

    pub(super) fn mean(&self) -> Duration {
        self.sum.checked_div(u32::try_from(self.count()).unwrap_or(u32::MAX)).unwrap_or_default()
    }

    pub(super) fn max(&self) -> Duration {
        self.max
    }

    /// The duration that the part `part` of the values, between 0 and 1, does not exceed.
    pub(super) fn quantile(&self, part: f64) -> Duration {
        Duration::from_micros(self.micros.value_at_quantile(part)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quantile_is_off_by_a_step_at_most(mut micros in proptest::collection::vec(0_u64..10_000_000, 1..200), part in 0.01_f64..1.0) {
            let mut latencies = LatencyHistogram::new().unwrap();
            micros.iter().for_each(|&micros| latencies.record(Duration::from_micros(micros)));
            micros.sort_unstable();
            let exact = micros[(part * micros.len() as f64).ceil() as usize - 1] as f64;
            let found = latencies.quantile(part).as_micros() as f64;
            prop_assert!(found >= exact && found <= exact * 1.01 + 1.0, "{found} for {exact}");
            prop_assert_eq!(latencies.quantile(1.0).as_micros() as u64, *micros.last().unwrap());
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantiles_and_long_durations_count() {
        assert_eq!(LatencyHistogram::new().unwrap().quantile(0.5), Duration::ZERO);
        let mut latencies = LatencyHistogram::new().unwrap();
        latencies.record(Duration::MAX / 4);
        assert!(latencies.quantile(0.5) > Duration::from_secs(3600));
    }
}
