//! Prometheus metrics of sessions and deferred tasks.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::{ModelName, TenantName};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    tenant: String,
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    tenant: String,
    model: String,
    outcome: &'static str,
}

/// The outcome of a deferred task or of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskOutcome {
    /// The task is done.
    Done,
    /// The try failed and another follows.
    Retried,
    /// The last try failed.
    Failed,
    /// The task was cancelled.
    Cancelled,
}

impl TaskOutcome {
    const ALL: [TaskOutcome; 4] =
        [TaskOutcome::Done, TaskOutcome::Retried, TaskOutcome::Failed, TaskOutcome::Cancelled];

    fn name(self) -> &'static str {
        match self {
            TaskOutcome::Done => "done",
            TaskOutcome::Retried => "retried",
            TaskOutcome::Failed => "failed",
            TaskOutcome::Cancelled => "cancelled",
        }
    }
}

/// The metric families with one series for each model.
#[derive(Clone, Default)]
pub(super) struct SessionMetrics {
    sessions: Family<ModelLabels, Gauge>,
    waiting: Family<ModelLabels, Gauge>,
    outcomes: Family<OutcomeLabels, Counter>,
}

impl SessionMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = SessionMetrics::default();
        registry.register("sessions", "Sessions that are kept", metrics.sessions.clone());
        registry.register(
            "tasks_waiting",
            "Deferred tasks that wait or run",
            metrics.waiting.clone(),
        );

        let help = "What has come of deferred tasks; retried: a try failed and another follows";
        registry.register("tasks", help, metrics.outcomes.clone());
        metrics
    }

    pub(super) fn record_outcome(
        &self,
        tenant: &TenantName,
        model: &ModelName,
        outcome: TaskOutcome,
    ) {
        let ModelLabels { tenant, model } = labels(tenant, model);
        self.outcomes
            .get_or_create(&OutcomeLabels { tenant, model, outcome: outcome.name() })
            .inc();
    }

    /// Sets a model's numbers of sessions and of pending tasks.
    pub(super) fn set_counts(
        &self,
        tenant: &TenantName,
        model: &ModelName,
        sessions: u64,
        waiting: u64,
    ) {
        let labels = labels(tenant, model);
        self.sessions.get_or_create(&labels).set(sessions as i64);
        self.waiting.get_or_create(&labels).set(waiting as i64);
    }

    /// Removes the series of a model.
    pub(super) fn forget(&self, tenant: &TenantName, model: &ModelName) {
        let of_model = labels(tenant, model);
        self.sessions.remove(&of_model);
        self.waiting.remove(&of_model);
        for outcome in TaskOutcome::ALL {
            let ModelLabels { tenant, model } = of_model.clone();
            self.outcomes.remove(&OutcomeLabels { tenant, model, outcome: outcome.name() });
        }
    }
}

fn labels(tenant: &TenantName, model: &ModelName) -> ModelLabels {
    ModelLabels { tenant: tenant.to_string(), model: model.to_string() }
}
