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
    pruned: Family<Label, Counter>,
    prune_failures: Family<Label, Counter>,
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
        registry.register(
            "pruned_versions",
            "Old versions that were deleted from the repository",
            metrics.pruned.clone(),
        );
        registry.register(
            "prune_failures",
            "Tries to delete old versions that failed",
            metrics.prune_failures.clone(),
        );

        metrics
    }

    pub(super) fn for_tenant(&self, tenant: &TenantName) -> TenantMetrics {
        let label = [("tenant", tenant.to_string())];
        let of = |family: &Family<Label, Counter>| family.get_or_create_owned(&label);
        TenantMetrics {
            loads: of(&self.loads),
            failures: of(&self.failures),
            swaps: of(&self.swaps),
            trips: of(&self.trips),
            pruned: of(&self.pruned),
            prune_failures: of(&self.prune_failures),
            families: self.clone(),
            label: label.clone(),
        }
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
    pub(super) pruned: Counter,
    pub(super) prune_failures: Counter,
}

impl Drop for TenantMetrics {
    fn drop(&mut self) {
        let LifecycleMetrics { loads, failures, swaps, trips, pruned, prune_failures } =
            &self.families;
        for family in [loads, failures, swaps, trips, pruned, prune_failures] {
            family.remove(&self.label);
        }
    }
}
