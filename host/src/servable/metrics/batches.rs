//! Prometheus metrics of batches.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::VersionLabels;

/// The metric families, with one series for each version that batches.
#[derive(Clone)]
pub(super) struct BatchFamilies {
    sizes: Family<VersionLabels, Histogram, fn() -> Histogram>,
    failures: Family<VersionLabels, Counter>,
}

/// One version's series.
pub(in crate::servable) struct BatchMetrics {
    sizes: Histogram,
    failures: Counter<u64, AtomicU64>,
}

impl BatchFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let sizes = Family::new_with_constructor(histogram as fn() -> Histogram);
        let failures = Family::default();

        let help = "Requests that went into one call, for models that take several";
        registry.register("batch_size", help, sizes.clone());
        let help = "Calls for several requests that failed, so that each was made again by itself";
        registry.register("batch_failures", help, failures.clone());
        BatchFamilies { sizes, failures }
    }

    pub(super) fn version(&self, labels: &VersionLabels) -> BatchMetrics {
        let sizes = self.sizes.get_or_create_owned(labels);
        BatchMetrics { sizes, failures: self.failures.get_or_create_owned(labels) }
    }

    pub(super) fn forget(&self, labels: &VersionLabels) {
        self.sizes.remove(labels);
        self.failures.remove(labels);
    }
}

impl BatchMetrics {
    /// Counts a guest call for `requests` requests.
    pub(in crate::servable) fn called(&self, requests: usize) {
        self.sizes.observe(requests as f64);
    }

    /// Counts a failed guest call for several requests.
    pub(in crate::servable) fn failed(&self) {
        self.failures.inc();
    }
}

/// Buckets from 1, growing by two.
fn histogram() -> Histogram {
    Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
}
