//! Prometheus metrics of the tenants' SQL statements: durations, and errors by reason.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::SqlError;
use crate::model::TenantName;
use crate::tenant::Tenant;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    tenant: String,
    reason: &'static str,
}

type Durations = Family<TenantLabels, Histogram, fn() -> Histogram>;

/// Metric families, labelled by tenant.
#[derive(Clone)]
pub struct DatabaseMetrics {
    errors: Family<ErrorLabels, Counter>,
    durations: Durations,
}

const REASONS: [&str; 6] = ["invalid", "constraint", "busy", "limit", "denied", "unavailable"];

impl DatabaseMetrics {
    /// Registers the families.
    pub fn register(registry: &mut Registry) -> Self {
        let errors = Family::default();
        let times: Durations = Family::new_with_constructor(histogram);

        registry.register("sql_errors", "Statements not carried out, by reason", errors.clone());

        let help = "How long statements took, waiting included";
        registry.register_with_unit("sql_statement", help, Unit::Seconds, times.clone());

        DatabaseMetrics { errors, durations: times }
    }

    pub(super) fn for_tenant(&self, tenant: &Arc<Tenant>) -> StatementMetrics {
        StatementMetrics { families: self.clone(), tenant: tenant.clone() }
    }

    /// Removes the series of a removed tenant.
    pub(super) fn remove(&self, tenant: &TenantName) {
        let tenant = tenant.to_string();
        self.durations.remove(&TenantLabels { tenant: tenant.clone() });

        for reason in REASONS {
            self.errors.remove(&ErrorLabels { tenant: tenant.clone(), reason });
        }
    }
}

/// From 20 µs, a lookup by key, to 5 s, the default time limit of a statement.
fn histogram() -> Histogram {
    Histogram::new([
        0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5,
        1.0, 5.0,
    ])
}

/// Metrics of one tenant. Its series appear with the first statement.
pub(super) struct StatementMetrics {
    families: DatabaseMetrics,
    tenant: Arc<Tenant>,
}

impl StatementMetrics {
    /// Runs a statement and records its duration and error.
    pub(super) async fn observe<T>(
        &self,
        work: impl Future<Output = Result<T, SqlError>>,
    ) -> Result<T, SqlError> {
        let started = Instant::now();
        let outcome = work.await;
        // The series of a removed tenant are gone; its name may belong to a new tenant.
        if !self.tenant.is_removed() {
            self.record(started.elapsed(), outcome.as_ref().err());
        }

        outcome
    }

    fn record(&self, took: Duration, error: Option<&SqlError>) {
        let tenant = self.tenant.name().to_string();
        let labels = TenantLabels { tenant: tenant.clone() };
        self.families.durations.get_or_create(&labels).observe(took.as_secs_f64());

        if let Some(error) = error {
            let labels = ErrorLabels { tenant, reason: error.reason() };
            self.families.errors.get_or_create(&labels).inc();
        }
    }
}
