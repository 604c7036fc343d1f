//! Settings of a model: from its `model.toml`, or the defaults defined here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{ModelRoute, Origin, Version};

/// Versions of a model to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionPolicy {
    /// The newest versions that can serve, up to this number.
    Latest(u32),
    /// Every version.
    All,
    /// Exactly these versions.
    Only(Vec<Version>),
}

/// Old versions that stay in the repository when others are pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// The newest versions, this many, with the one that serves.
    Newest(u32),
    /// Versions that were replaced less than this long ago.
    Replaced(Duration),
}

/// Lifetime of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// A new instance per request. The default: no state of one request can reach another.
    #[default]
    Request,
    /// Instances serve one request after another, within one tenant and version.
    Pooled,
}

/// Sizes of the instance pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    /// Instances kept ready if they are pooled.
    pub min: u32,
    /// Limit of instances that work at the same time.
    pub max: u32,
    /// Idle time after which a pooled instance above `min` is dropped.
    pub idle_timeout: Duration,
    /// Limit of threads on which the host computes one operation for an instance.
    pub threads: u32,
}

/// Batching and queueing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Limit of items in one call; `None` for the model's own limit, 1 for no batching.
    pub max_batch_size: Option<u32>,
    /// Time that a request may wait for others to join its batch.
    pub max_queue_delay: Duration,
    /// Limit of requests waiting for an instance.
    pub max_queue: u32,
}

/// Limits of streamed responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// Time from the request's arrival to the last part; replaces `limits.deadline`.
    pub deadline: Duration,
    /// CPU time; replaces `limits.cpu_time`.
    pub cpu_time: Duration,
    /// Bytes of all parts together.
    pub total: u64,
    /// Silence after which a heartbeat is sent.
    pub heartbeat: Duration,
}

/// Session storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Time after which an unused session expires.
    pub idle_timeout: Duration,
    /// Limit of one session's state, in bytes.
    pub max_size: u64,
}

/// Deferred tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeferredTasks {
    /// Tries until a task counts as failed.
    pub tries: u32,
    /// Pause before the second try; doubled for each further one.
    pub pause: Duration,
    /// Time limit of one try.
    pub deadline: Duration,
    /// CPU time limit of one try.
    pub cpu_time: Duration,
    /// Limit of tasks that one call may defer.
    pub per_call: u32,
    /// Limit of one task's payload, in bytes.
    pub payload: u64,
}

/// Limits of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Guest memory, in bytes, over all memories of an instance.
    pub memory: u64,
    /// Time limit of a request, including the queue.
    pub deadline: Duration,
    /// CPU time limit of a request.
    pub cpu_time: Duration,
    /// Limit of a request's body after decompression, in bytes.
    pub request: u64,
    /// Limit of a response, in bytes.
    pub response: u64,
}

/// Validation before a version is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warmup {
    /// Number of generated warm-up requests.
    pub requests: u32,
}

/// Circuit breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Consecutive faults that open the breaker; 0 disables it.
    pub faults: u32,
    /// Pause before the next attempt; doubled after each failure.
    pub pause: Duration,
    /// True if an older version takes over, where the version policy allows one.
    pub rollback: bool,
}

/// A capability that the operator must grant.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// HTTP requests to other servers.
    Http,
    /// The tenant's key-value store.
    KeyValue,
    /// The tenant's SQL database.
    Sql,
}

impl Capability {
    /// Returns the key in `model.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Http => "http",
            Capability::KeyValue => "key_value",
            Capability::Sql => "sql",
        }
    }
}

/// Configuration values for a model, by key.
pub type ConfigTable = BTreeMap<String, String>;

/// Capabilities granted to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Values returned by `wasi:config`.
    pub config: ConfigTable,
    /// Origins that the model may call over HTTP; none if empty.
    pub http: Vec<Origin>,
    /// True if the tenant's key-value store may be used.
    pub key_value: bool,
    /// True if the tenant's database may be used.
    pub sql: bool,
    /// True if the host computes products of matrices and convolutions for the model.
    pub kernels: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities {
            config: ConfigTable::default(),
            http: Vec::new(),
            key_value: false,
            sql: false,
            // They reach nothing but the model's own memory.
            kernels: true,
        }
    }
}

impl Capabilities {
    /// Returns the granted capabilities, in a fixed order.
    pub fn granted(&self) -> Vec<Capability> {
        let kinds = [
            (Capability::Http, !self.http.is_empty()),
            (Capability::KeyValue, self.key_value),
            (Capability::Sql, self.sql),
        ];
        kinds.into_iter().filter(|(_, granted)| *granted).map(|(kind, _)| kind).collect()
    }
}

/// All settings of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSettings {
    /// Versions to serve.
    pub versions: VersionPolicy,
    /// Old versions to keep in the repository; `None` to delete none.
    pub prune: Option<Retention>,
    /// Names of versions, such as `stable`, for clients of TensorFlow Serving.
    pub labels: BTreeMap<String, Version>,
    /// Lifetime of an instance.
    pub isolation: Isolation,
    /// Sizes of the instance pool.
    pub instances: Instances,
    /// Batching and queueing.
    pub batching: Batching,
    /// Limits of calls.
    pub limits: Limits,
    /// Limits of streamed responses.
    pub streaming: Streaming,
    /// Session storage.
    pub sessions: Sessions,
    /// Deferred tasks.
    pub deferred: DeferredTasks,
    /// Validation before a version is published.
    pub warmup: Warmup,
    /// Circuit breaker.
    pub breaker: BreakerSettings,
    /// Granted capabilities.
    pub capabilities: Capabilities,
    /// Paths of the model's own.
    pub routes: Vec<Arc<ModelRoute>>,
}

impl Default for VersionPolicy {
    fn default() -> Self {
        VersionPolicy::Latest(1)
    }
}

// Instances are cheap to create, so none is kept. Guests compute, so more instances than a few
// times the cores only use memory.
impl Default for Instances {
    fn default() -> Self {
        Instances { min: 0, max: 8, idle_timeout: Duration::from_secs(60), threads: 1 }
    }
}

// Longer than any queue that still answers within the deadline, and short enough to bound memory.
impl Default for Batching {
    fn default() -> Self {
        // No waiting for others: requests that queue because no instance is free are batched
        // anyway.
        Batching { max_batch_size: None, max_queue_delay: Duration::ZERO, max_queue: 1000 }
    }
}

// People read a streamed text for a minute or two, and it has kilobytes. Proxies close silent
// connections after half a minute.
impl Default for Streaming {
    fn default() -> Self {
        Streaming {
            deadline: Duration::from_secs(300),
            cpu_time: Duration::from_secs(60),
            total: 16 << 20,
            heartbeat: Duration::from_secs(15),
        }
    }
}

// A conversation that pauses for an hour is over. The state is read and written by every request.
impl Default for Sessions {
    fn default() -> Self {
        Sessions { idle_timeout: Duration::from_secs(3600), max_size: 1 << 20 }
    }
}

// A task that fails three times with pauses will not succeed. Nothing waits for a task, so it may
// take longer than a request.
impl Default for DeferredTasks {
    fn default() -> Self {
        DeferredTasks {
            tries: 3,
            pause: Duration::from_secs(1),
            deadline: Duration::from_secs(60),
            cpu_time: Duration::from_secs(10),
            per_call: 16,
            payload: 1 << 20,
        }
    }
}

// Ample for small and medium models. Callers rarely wait longer than 5 s.
impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: 256 << 20,
            deadline: Duration::from_secs(5),
            cpu_time: Duration::from_secs(2),
            request: 16 << 20,
            response: 16 << 20,
        }
    }
}

// One request shows that the exports work and that the metadata is correct.
impl Default for Warmup {
    fn default() -> Self {
        Warmup { requests: 1 }
    }
}

// Ten consecutive faults are no coincidence. Five seconds cost little, whether the model recovers
// or not.
impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings { faults: 10, pause: Duration::from_secs(5), rollback: true }
    }
}
