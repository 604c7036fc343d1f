//! Metrics of remote repositories, by tenant.

use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::model::TenantName;

type Label = [(&'static str, String); 1];
type Seconds = Gauge<f64, AtomicU64>;

/// Metrics of remote repositories. A clone is shallow.
#[derive(Clone, Default)]
pub struct RemoteMetrics {
    refreshes: Family<Label, Counter>,
    failures: Family<Label, Counter>,
    bytes: Family<Label, Counter>,
    last_success: Family<Label, Seconds>,
}

impl RemoteMetrics {
    /// Creates and registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = RemoteMetrics::default();
        let RemoteMetrics { refreshes, failures, bytes, last_success: refreshed } = metrics.clone();
        registry.register(
            "repository_refreshes",
            "Refreshes of a remote repository, successful or not",
            refreshes,
        );

        registry.register(
            "repository_refresh_failures",
            "Refreshes of a remote repository that failed",
            failures,
        );

        let help = "Bytes fetched from a remote repository";
        registry.register_with_unit("repository_fetched", help, Unit::Bytes, bytes);
        let help = "Time of the last successful refresh of a remote repository, since 1970";
        registry.register_with_unit(
            "repository_refreshed_timestamp",
            help,
            Unit::Seconds,
            refreshed,
        );

        metrics
    }

    pub(super) fn for_tenant(&self, tenant: &TenantName) -> TenantMetrics {
        TenantMetrics { all: self.clone(), label: [("tenant", tenant.to_string())] }
    }
}

/// Metrics of one tenant's remote repository. Dropping it removes its series.
pub(super) struct TenantMetrics {
    all: RemoteMetrics,
    label: Label,
}

impl TenantMetrics {
    /// Records a refresh.
    pub(super) fn record_refresh(&self, well: bool) {
        self.all.refreshes.get_or_create(&self.label).inc();
        let failures = self.all.failures.get_or_create(&self.label).clone();

        if well {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.all.last_success.get_or_create(&self.label).set(now.as_secs_f64());
        } else {
            failures.inc();
        }
    }

    /// Records fetched bytes.
    pub(super) fn record_bytes(&self, bytes: u64) {
        self.all.bytes.get_or_create(&self.label).inc_by(bytes);
    }
}

impl Drop for TenantMetrics {
    fn drop(&mut self) {
        let RemoteMetrics { refreshes, failures, bytes, last_success: refreshed } = &self.all;
        for family in [refreshes, failures, bytes] {
            family.remove(&self.label);
        }
        refreshed.remove(&self.label);
    }
}
