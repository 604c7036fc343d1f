//! Prometheus metrics of a version's requests.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

mod batches;
mod streams;

pub(super) use streams::OpenStream;

use super::Timings;
use super::statistics::VersionCounters;
use crate::model::{InferError, ModelId, RuntimeInfo};
use crate::mutex;
use crate::telemetry::RequestHistories;
use batches::{BatchFamilies, BatchMetrics};
use streams::{StreamFamilies, StreamMetrics};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    tenant: String,
    model: String,
    version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    tenant: String,
    model: String,
    version: u64,
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    tenant: String,
    model: String,
    version: u64,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuntimeLabels {
    tenant: String,
    model: String,
    version: u64,
    runtime: String,
    format: String,
    digest: String,
}

const PHASES: [&str; 3] = ["queue", "instance", "compute"];
const REASONS: [&str; 7] = ["caller", "busy", "trap", "memory", "time", "output", "interceptor"];

type Phases = Family<PhaseLabels, Histogram, fn() -> Histogram>;

/// The metric families with one series for each version.
#[derive(Clone)]
pub struct ServableMetrics {
    succeeded: Family<VersionLabels, Counter>,
    failed: Family<FailureLabels, Counter>,
    phases: Phases,
    runtimes: Family<RuntimeLabels, Gauge>,
    /// The labels of each version's runtime, to remove them.
    runtime_labels: Arc<Mutex<HashMap<ModelId, RuntimeLabels>>>,
    streams: StreamFamilies,
    batches: BatchFamilies,
    /// The requests of each model by minute, which are no metrics.
    pub(super) histories: RequestHistories,
}

impl ServableMetrics {
    /// Registers the families.
    pub fn register(registry: &mut Registry) -> Self {
        let succeeded = Family::default();
        let failed = Family::default();
        let phases: Phases = Family::new_with_constructor(latency_histogram);
        registry.register("requests", "Requests answered", succeeded.clone());
        registry.register("request_failures", "Requests not answered, by reason", failed.clone());

        let help = "Where the time of answered requests went, by phase";
        registry.register_with_unit("request_phase", help, Unit::Seconds, phases.clone());
        let runtimes = Family::default();
        let help = "1 for the runtime that serves a version's model file";
        registry.register("model_runtime", help, runtimes.clone());
        let streams = StreamFamilies::register(registry);
        let batches = BatchFamilies::register(registry);
        let runtime_labels = Arc::default();
        let histories = RequestHistories::default();
        ServableMetrics {
            succeeded,
            failed,
            phases,
            runtimes,
            runtime_labels,
            streams,
            batches,
            histories,
        }
    }

    /// Records the runtime of a version that is published, in place of an earlier one.
    pub fn set_runtime(&self, id: &ModelId, runtime: Option<&RuntimeInfo>) {
        let labels = runtime.map(|runtime| runtime_labels(id, runtime));
        let mut known = mutex::lock(&self.runtime_labels);
        let before = match &labels {
            Some(labels) => known.insert(id.clone(), labels.clone()),
            None => known.remove(id),
        };

        if let Some(before) = before {
            self.runtimes.remove(&before);
        }
        if let Some(labels) = labels {
            self.runtimes.get_or_create(&labels).set(1);
        }
    }

    /// Returns one version's series, looked up once and not for each request.
    pub(super) fn version(&self, id: &ModelId) -> VersionMetrics {
        VersionMetrics {
            succeeded: self.succeeded.get_or_create_owned(&version_labels(id)),
            failed: REASONS
                .map(|reason| self.failed.get_or_create_owned(&failure_labels(id, reason))),
            phases: PHASES.map(|phase| self.phases.get_or_create_owned(&phase_labels(id, phase))),
            streams: OnceLock::new(),
            batches: OnceLock::new(),
            counts: VersionCounters::default(),
        }
    }

    /// Removes the series of an unloaded version. Otherwise every swap would leave some behind.
    pub fn forget(&self, id: &ModelId) {
        self.succeeded.remove(&version_labels(id));
        for reason in REASONS {
            self.failed.remove(&failure_labels(id, reason));
        }

        for phase in PHASES {
            self.phases.remove(&phase_labels(id, phase));
        }

        self.set_runtime(id, None);
        self.streams.forget(&version_labels(id));
        self.batches.forget(&version_labels(id));
    }
}

/// Buckets from 10 µs (the whole call of a small model) to 10 s, growing by about two.
fn latency_histogram() -> Histogram {
    Histogram::new([
        0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
    ])
}

/// One version's series.
pub(super) struct VersionMetrics {
    succeeded: Counter<u64, AtomicU64>,
    failed: [Counter<u64, AtomicU64>; REASONS.len()],
    phases: [Histogram; PHASES.len()],
    /// Created with the first stream.
    streams: OnceLock<StreamMetrics>,
    /// Created with the first batch.
    batches: OnceLock<BatchMetrics>,
    /// The totals for the protocol's statistics.
    pub(super) counts: VersionCounters,
}

impl VersionMetrics {
    /// The series for streams.
    pub(super) fn streaming(&self, families: &ServableMetrics, id: &ModelId) -> &StreamMetrics {
        self.streams.get_or_init(|| families.streams.version(&version_labels(id)))
    }

    /// The series for batches.
    pub(super) fn batching(&self, families: &ServableMetrics, id: &ModelId) -> &BatchMetrics {
        self.batches.get_or_init(|| families.batches.version(&version_labels(id)))
    }

    /// Counts a streamed response. Its call time depends on its reader too and is observed
    /// separately.
    pub(super) fn streamed(&self, timings: &Timings, rows: u64) {
        self.succeeded.inc();
        self.counts.answered(timings, rows);
        for (phase, time) in self.phases.iter().zip([timings.queue, timings.instance]) {
            phase.observe(time.as_secs_f64());
        }
    }

    /// Counts an answered request with `rows` rows.
    pub(super) fn succeeded(&self, timings: &Timings, rows: u64) {
        self.succeeded.inc();
        self.counts.answered(timings, rows);
        for (phase, time) in
            self.phases.iter().zip([timings.queue, timings.instance, timings.compute])
        {
            phase.observe(time.as_secs_f64());
        }
    }

    /// Counts a request that failed after `took`.
    pub(super) fn failed(&self, error: &InferError, took: Duration) {
        let reason = match error {
            InferError::InvalidInput(_)
            | InferError::Rejected(_)
            | InferError::RequestTooLarge { .. }
            | InferError::NothingFound
            | InferError::UnsupportedMedia(_) => 0,
            InferError::QueueFull { .. }
            | InferError::QuotaExceeded(_)
            | InferError::Suspended { .. }
            | InferError::Overloaded
            | InferError::StoreUnavailable(_)
            | InferError::NotReady(_) => 1,
            InferError::ModelNotFound | InferError::Trapped { .. } | InferError::Internal(_) => 2,
            InferError::OutOfMemory { .. } => 3,
            InferError::DeadlineExceeded(_) | InferError::CpuTimeExceeded(_) => 4,
            InferError::BadOutput(_)
            | InferError::OversizedOutput(_)
            | InferError::NotJson(_)
            | InferError::ResponseTooLarge { .. }
            | InferError::Failed(_) => 5,
            InferError::Refused { .. } | InferError::InterceptorFailed { .. } => 6,
        };

        self.failed[reason].inc();
        self.counts.failed(took);
    }
}

fn version_labels(id: &ModelId) -> VersionLabels {
    VersionLabels {
        tenant: id.tenant.to_string(),
        model: id.name.to_string(),
        version: id.version.number(),
    }
}

fn runtime_labels(id: &ModelId, runtime: &RuntimeInfo) -> RuntimeLabels {
    let VersionLabels { tenant, model, version } = version_labels(id);
    let (name, format) = (runtime.name.clone(), runtime.format.clone());
    let digest = runtime.digest.to_string();
    RuntimeLabels { tenant, model, version, runtime: name, format, digest }
}

fn phase_labels(id: &ModelId, phase: &'static str) -> PhaseLabels {
    let VersionLabels { tenant, model, version } = version_labels(id);
    PhaseLabels { tenant, model, version, phase }
}

fn failure_labels(id: &ModelId, reason: &'static str) -> FailureLabels {
    let VersionLabels { tenant, model, version } = version_labels(id);
    FailureLabels { tenant, model, version, reason }
}
