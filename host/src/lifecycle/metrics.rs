//! Metrics of the manager for each tenant.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::model::TenantName;

type Label = [(&'static str, String); 1];

/// The metric families. A clone is shallow.
#[derive(Clone, Default)]
pub(super) struct LifecycleMetrics {
    loads: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    swaps: Family<Label, Counter>,
    trips: Family<Label, Counter>,
}

impl LifecycleMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = LifecycleMetrics::default();
        registry.register(
            "loads",
            "Loads that have ended, successfully or not",
            metrics.loads.clone(),
        );
        registry.register("load_failures", "Loads that failed", metrics.failures.clone());
        registry.register("swaps", "Versions that were published", metrics.swaps.clone());
        registry.register(
            "trips",
            "Versions taken out of service because they kept failing",
            metrics.trips.clone(),
        );

        metrics
    }

    pub(super) fn for_tenant(&self, tenant: &TenantName) -> TenantMetrics {
        let label = [("tenant", tenant.to_string())];
        let of = |family: &Family<Label, Counter>| family.get_or_create_owned(&label);
        let [loads, failures, swaps, trips] =
            [&self.loads, &self.failures, &self.swaps, &self.trips].map(of);
        TenantMetrics { families: self.clone(), label, loads, failures, swaps, trips }
    }
}

/// The metrics of one tenant's models. They are removed from the output when this is dropped.
pub(super) struct TenantMetrics {
    families: LifecycleMetrics,
    label: Label,
    pub(super) loads: Counter,
    pub(super) failures: Counter,
    pub(super) swaps: Counter,
    pub(super) trips: Counter,
}

impl Drop for TenantMetrics {
    fn drop(&mut self) {
        let LifecycleMetrics { loads, failures, swaps, trips } = &self.families;
        for family in [loads, failures, swaps, trips] {
            family.remove(&self.label);
        }
    }
}
