//! Buckets of latencies whose width grows with the latency, and percentiles of their counts.

use std::time::Duration;

/// Buckets for each doubling of the latency, so a bucket is an eighth to a sixteenth wide.
const PER_DOUBLING: u64 = 8;

/// The doublings from 8 µs to 134 s, beyond which a latency counts as 134 s.
const DOUBLINGS: u64 = 24;

/// Number of buckets: one for each microsecond below 8, and those of the doublings.
pub(super) const BUCKETS: usize = (PER_DOUBLING + PER_DOUBLING * DOUBLINGS) as usize;

/// Percentiles of latencies, off by at most a sixteenth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentiles {
    /// Half of the requests took no longer.
    pub p50: Duration,
    /// 95 of 100 requests took no longer.
    pub p95: Duration,
    /// 99 of 100 requests took no longer.
    pub p99: Duration,
}

/// Returns the bucket of a latency.
pub(super) fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if micros < PER_DOUBLING {
        return micros as usize;
    }

    // The three bits behind the highest one choose the bucket within the doubling.
    let doubling = u64::from(micros.ilog2()) - 3;
    let within = (micros >> doubling) - PER_DOUBLING;

    ((doubling + 1) * PER_DOUBLING + within).min(BUCKETS as u64 - 1) as usize
}

/// Returns the middle of a bucket.
fn middle(bucket: u64) -> Duration {
    if bucket < PER_DOUBLING {
        return Duration::from_micros(bucket);
    }

    let (doubling, within) = (bucket / PER_DOUBLING - 1, bucket % PER_DOUBLING);
    let width = 1 << doubling;

    Duration::from_nanos(1000 * (PER_DOUBLING + within) * width + 500 * width)
}

/// Returns the percentiles of counts by bucket; `None` if all are 0.
pub(super) fn percentiles(counts: &[u64; BUCKETS]) -> Option<Percentiles> {
    let total: u64 = counts.iter().sum();
    let at = |percent: u64| {
        let wanted = (total * percent).div_ceil(100);
        let mut seen = 0;
        let found = (0..).zip(counts).find(|(_, count)| {
            seen += *count;
            seen >= wanted
        });
        middle(found.map_or(0, |(bucket, _)| bucket))
    };

    (total > 0).then(|| Percentiles { p50: at(50), p95: at(95), p99: at(99) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_is_off_by_at_most_a_sixteenth(micros in 8_u64..134_000_000) {
            let latency = Duration::from_micros(micros);
            let shown = middle(bucket(latency) as u64);
            prop_assert!(shown.abs_diff(latency) <= latency / 16, "{latency:?} is {shown:?}");
        }
    }

    #[test]
    fn extreme_latencies_have_buckets() {
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        assert_eq!(bucket(Duration::from_secs(1 << 30)), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies() {
        let mut counts = [0; BUCKETS];
        assert_eq!(percentiles(&counts), None);

        for millis in 1..=100 {
            counts[bucket(Duration::from_millis(millis))] += 1;
        }

        let Percentiles { p50, p95, p99 } = percentiles(&counts).unwrap();
        for (shown, millis) in [(p50, 50), (p95, 95), (p99, 99)] {
            let exact = Duration::from_millis(millis);
            assert!(shown.abs_diff(exact) <= exact / 8, "{shown:?} {exact:?}");
        }
    }
}
