//! What is counted of the manager's work.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What is counted of the manager's work.
pub(super) struct Metrics {
    pub(super) loads: Counter,
    pub(super) failures: Counter,
    pub(super) swaps: Counter,
    pub(super) trips: Counter,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (loads, failures, swaps, trips) = Default::default();
        let metrics = Metrics { loads, failures, swaps, trips };
        registry.register("loads", "Loads that have ended, well or not", metrics.loads.clone());
        registry.register("load_failures", "Loads that failed", metrics.failures.clone());
        registry.register("swaps", "Versions that went live", metrics.swaps.clone());
        registry.register("trips", "Versions taken out of service because they kept failing", metrics.trips.clone());
        metrics
    }
}
