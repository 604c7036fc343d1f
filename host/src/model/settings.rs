//! What is in force for one model, whether written in its `model.toml` or defaulted here.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Origin, Version};

/// Which of a model's versions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionPolicy {
    /// The newest so many that can serve.
    Latest(u32),
    /// All of them.
    All,
    /// Exactly these.
    Only(Vec<Version>),
}

/// Whether an instance outlives a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Every request gets a fresh instance. The default: nothing one request leaves behind may
    /// reach the next unless someone chooses otherwise.
    #[default]
    Request,
    /// Instances answer one request after another, within one tenant and version.
    Pooled,
}

/// How many instances there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    /// Kept ready when pooled.
    pub min: u32,
    /// The most that work at the same time.
    pub max: u32,
    /// How long a pooled instance above `min` may be idle.
    pub idle_timeout: Duration,
}

/// How requests are grouped and queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batching {
    /// The most items that go into one call; `None` for as many as the model takes. 1 for no
    /// grouping.
    pub max_batch_size: Option<u32>,
    /// How long a request may wait for others to go with.
    pub max_queue_delay: Duration,
    /// The most requests that may wait for an instance.
    pub max_queue: u32,
}

/// How much an answer in parts may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streaming {
    /// Wall-clock time from the request's arrival to the last part; takes the place of
    /// `limits.deadline`.
    pub deadline: Duration,
    /// CPU time; takes the place of `limits.cpu_time`.
    pub cpu_time: Duration,
    /// Bytes of all parts together.
    pub total: u64,
    /// How long nothing may be sent before a sign of life is.
    pub heartbeat: Duration,
}

/// What is kept between the requests of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// How long a session that nobody uses is kept.
    pub idle_timeout: Duration,
    /// Bytes of one session's state.
    pub max_size: u64,
}

/// What may be left for after the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferral {
    /// How often a task is tried before it is given up.
    pub tries: u32,
    /// How long before it is tried again; doubled each time.
    pub pause: Duration,
    /// Wall-clock time of one try.
    pub deadline: Duration,
    /// CPU time of one try.
    pub cpu_time: Duration,
    /// Tasks that one call may leave behind.
    pub per_call: u32,
    /// Bytes of one task's payload.
    pub payload: u64,
}

/// What a model may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of guest memory, summed over all memories of an instance.
    pub memory: u64,
    /// Wall-clock time of a request, queueing included.
    pub deadline: Duration,
    /// CPU time of a request.
    pub cpu_time: Duration,
    /// Bytes of a request's body, after decompression.
    pub request: u64,
    /// Bytes of a response.
    pub response: u64,
}

/// What is tried before a version goes live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warmup {
    /// How many requests made up from the metadata are sent to it.
    pub requests: u32,
}

/// When a version that keeps failing is taken out of service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// So many faults in a row; 0 for never.
    pub faults: u32,
    /// How long before a request may try again; doubled each time it fails.
    pub pause: Duration,
    /// Whether an older version takes its place, where the version policy has one.
    pub rollback: bool,
}

/// A kind of thing that the host does for a model only where it is granted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Calling others over HTTP.
    Http,
    /// Keeping values by key.
    KeyValue,
    /// The tenant's database.
    Sql,
}

impl Capability {
    /// Its key in `model.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Http => "http",
            Capability::KeyValue => "key_value",
            Capability::Sql => "sql",
        }
    }
}

/// Values that an operator sets for a model, by key.
pub type ConfigTable = BTreeMap<String, String>;

/// What the host grants a model beyond its own computing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Values that `wasi:config` answers with.
    pub config: ConfigTable,
    /// Whom it may call over HTTP; nobody where this is empty.
    pub http: Vec<Origin>,
    /// Whether it may use the tenant's key-value store.
    pub key_value: bool,
    /// Whether it may use the tenant's database.
    pub sql: bool,
}

impl Capabilities {
    /// The kinds of things granted, in a fixed order.
    pub fn granted(&self) -> Vec<Capability> {
        let kinds = [
            (Capability::Http, !self.http.is_empty()),
            (Capability::KeyValue, self.key_value),
            (Capability::Sql, self.sql),
        ];
        kinds.into_iter().filter(|(_, granted)| *granted).map(|(kind, _)| kind).collect()
    }
}

/// What is in force for one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelSettings {
    /// Which versions are wanted.
    pub versions: VersionPolicy,
    /// Whether an instance outlives a request.
    pub isolation: Isolation,
    /// How many instances there may be.
    pub instances: Instances,
    /// How requests are grouped and queued.
    pub batching: Batching,
    /// What a request may use.
    pub limits: Limits,
    /// How much an answer in parts may be.
    pub streaming: Streaming,
    /// What is kept between the requests of a sequence.
    pub sessions: Sessions,
    /// What may be left for after the response.
    pub deferred: Deferral,
    /// What is tried before a version goes live.
    pub warmup: Warmup,
    /// When it is taken out of service.
    pub breaker: BreakerSettings,
    /// What is granted.
    pub capabilities: Capabilities,
}

impl Default for VersionPolicy {
    fn default() -> Self {
        VersionPolicy::Latest(1)
    }
}

// Instances are cheap to make, so none is kept; a guest computes, so more of them at once than a
// few times the cores only adds memory.
impl Default for Instances {
    fn default() -> Self {
        Instances { min: 0, max: 8, idle_timeout: Duration::from_secs(60) }
    }
}

// Longer than any queue that still answers within the deadline; short enough to bound memory.
impl Default for Batching {
    fn default() -> Self {
        // Nobody waits for company: what waits anyway, because no instance is free, goes together.
        Batching { max_batch_size: None, max_queue_delay: Duration::ZERO, max_queue: 1000 }
    }
}

// A person reads along, for a minute or two; a text has kilobytes. Proxies close what is silent for
// half a minute.
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

// A conversation that rests for an hour is over; what it holds is read and written at every
// request.
impl Default for Sessions {
    fn default() -> Self {
        Sessions { idle_timeout: Duration::from_secs(3600), max_size: 1 << 20 }
    }
}

// What fails three times in a row, with pauses, will not succeed; nobody waits for a task, so it
// may take longer than a request.
impl Default for Deferral {
    fn default() -> Self {
        Deferral {
            tries: 3,
            pause: Duration::from_secs(1),
            deadline: Duration::from_secs(60),
            cpu_time: Duration::from_secs(10),
            per_call: 16,
            payload: 1 << 20,
        }
    }
}

// Ample for small and medium models; a caller who waits longer than 5 s has usually gone.
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

// One request shows that the exports answer and that the metadata is true.
impl Default for Warmup {
    fn default() -> Self {
        Warmup { requests: 1 }
    }
}

// Ten in a row are no coincidence; five seconds cost a model that recovers little, and one that
// does not even less.
impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings { faults: 10, pause: Duration::from_secs(5), rollback: true }
    }
}
