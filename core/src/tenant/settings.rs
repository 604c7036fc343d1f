//! The settings of a tenant, as its operator configures them.

use std::path::PathBuf;
use std::time::Duration;

use super::{ApiKey, RepositoryLocation, Resource};
use crate::model::{DeferredTasks, Limits, Origin, QuotaExceeded, Streaming, format_size};

/// The limit of an unlimited resource.
pub const UNLIMITED: u64 = u64::MAX;

/// The settings of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantSettings {
    /// The location of its models.
    pub repository: RepositoryLocation,
    /// Interval of scans for a repository that announces no changes.
    pub refresh: Duration,
    /// Its weight relative to other tenants when the cores are contended.
    pub weight: u32,
    /// Its API keys.
    pub keys: Vec<ApiKey>,
    /// Its quota.
    pub quota: Quota,
    /// Upper bounds for the settings of its models.
    pub ceilings: Ceilings,
    /// Capabilities that its models may be granted.
    pub grants: TenantGrants,
    /// The runtimes that may serve its model files.
    pub runtimes: AllowedRuntimes,
    /// Its database; `None` for a file of its own in the state directory.
    pub database: Option<PostgresSettings>,
}

/// A PostgreSQL database of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Its address, without a password.
    pub url: String,
    /// The source of the password; `None` if it takes none.
    pub password: Option<PasswordSource>,
}

/// The source of a password. The configuration never holds the password itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// The only line of a file.
    File(PathBuf),
    /// A variable of the host's environment.
    Variable(String),
}

/// Limits on the resources of a tenant. [`UNLIMITED`] where only the host's own resources set a
/// limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests per second. A burst of one second's requests is admitted.
    pub requests_per_second: u64,
    /// Requests in progress, waiting ones included.
    pub concurrency: u64,
    /// Requests that wait for an instance.
    pub queue: u64,
    /// Instances, idle ones included.
    pub instances: u64,
    /// Bytes of memory: of guests, over all instances, and of what the host holds for requests.
    pub memory: u64,
    /// Models that serve or are being loaded.
    pub models: u64,
    /// Bytes in its repository, and of compiled artifacts in use.
    pub storage: u64,
    /// Bytes of one uploaded component.
    pub artifact_size: u64,
    /// Bytes that the host keeps for its models: sessions, deferred tasks and key-value data.
    pub data: u64,
    /// Bytes of its database.
    pub database: u64,
    /// Stored sessions.
    pub sessions: u64,
    /// Deferred tasks that wait or run.
    pub tasks: u64,
}

/// Upper bounds for a model's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// For `limits`.
    pub limits: Limits,
    /// For `streaming`.
    pub streaming: StreamCeilings,
}

/// Upper bounds for streaming. A bound that is not set is the one for whole responses: a model gets
/// no more by streaming than its operator intended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCeilings {
    /// Wall-clock time; `None` for that of `limits`.
    pub deadline: Option<Duration>,
    /// CPU time; `None` for that of `limits`.
    pub cpu_time: Option<Duration>,
    /// Bytes of all parts; `None` for the response of `limits`.
    pub total: Option<u64>,
}

/// Capabilities that a tenant's models are granted on request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantGrants {
    /// Destinations of outgoing HTTP requests.
    pub http: AllowedOrigins,
}

/// The runtimes that may serve a tenant's model files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedRuntimes {
    /// Every runtime: each is confined like the tenant's own components.
    #[default]
    Any,
    /// Those of these names and no others.
    Listed(Vec<String>),
}

impl AllowedRuntimes {
    /// Checks the runtime of a model file. Fails with the setting that excludes it.
    pub fn check(&self, runtime: &str) -> Result<(), String> {
        match self {
            AllowedRuntimes::Listed(listed) if !listed.iter().any(|name| name == runtime) => {
                Err(format!(
                    "the runtime '{runtime}' may not serve this tenant's model files; the operator can list it in the \
                 tenant's `runtimes`"
                ))
            }
            AllowedRuntimes::Any | AllowedRuntimes::Listed(_) => Ok(()),
        }
    }
}

/// Origins that a tenant's models may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every origin: the owner of these models also runs the host.
    Any,
    /// These origins and no others.
    Listed(Vec<Origin>),
}

impl Default for AllowedOrigins {
    fn default() -> Self {
        AllowedOrigins::Listed(Vec::new())
    }
}

impl AllowedOrigins {
    /// Checks the origins that a model requests. Fails with those that it may not call.
    pub fn check(&self, asked: &[Origin]) -> Result<(), String> {
        let AllowedOrigins::Listed(listed) = self else { return Ok(()) };

        let refused: Vec<_> =
            asked.iter().filter(|origin| !listed.contains(origin)).map(Origin::to_string).collect();
        if refused.is_empty() {
            return Ok(());
        }

        Err(format!(
            "capabilities.http: this tenant's models may not call {}; the operator can list it in the tenant's grants",
            refused.join(", ")
        ))
    }
}

/// A key of the host: it has scope `admin`, and its requests must name a tenant.
pub type HostKey = ApiKey;

/// Soon enough for a change that no caller waits for; listing a thousand objects costs a store
/// little.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(600);

impl Default for TenantSettings {
    fn default() -> Self {
        TenantSettings {
            repository: RepositoryLocation::Directory("models".into()),
            refresh: DEFAULT_REFRESH,
            weight: 1,
            keys: Vec::new(),
            quota: Quota::default(),
            ceilings: Ceilings::default(),
            grants: TenantGrants::default(),
            runtimes: AllowedRuntimes::default(),
            database: None,
        }
    }
}

impl TenantSettings {
    /// Settings without limits, for a tenant whose owner also runs the host.
    pub fn unlimited(repository: RepositoryLocation) -> Self {
        let grants = TenantGrants { http: AllowedOrigins::Any };
        TenantSettings {
            repository,
            quota: Quota::unlimited(),
            grants,
            ..TenantSettings::default()
        }
    }
}

impl TenantSettings {
    /// True if its repository and the interval of its scans are the same.
    pub fn has_same_source(&self, other: &TenantSettings) -> bool {
        self.repository == other.repository
            && (self.refresh == other.refresh || self.repository.directory().is_some())
    }
}

impl Quota {
    /// A quota without limits.
    pub fn unlimited() -> Self {
        Quota {
            requests_per_second: UNLIMITED,
            concurrency: UNLIMITED,
            queue: UNLIMITED,
            instances: UNLIMITED,
            memory: UNLIMITED,
            models: UNLIMITED,
            storage: UNLIMITED,
            artifact_size: UNLIMITED,
            data: UNLIMITED,
            database: UNLIMITED,
            sessions: UNLIMITED,
            tasks: UNLIMITED,
        }
    }

    /// The limit of a resource.
    pub fn limit(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Concurrency => self.concurrency,
            Resource::Queue => self.queue,
            Resource::Memory => self.memory,
            Resource::Models => self.models,
            Resource::Storage => self.storage,
            Resource::Artifacts => UNLIMITED,
            Resource::Database => self.database,
            Resource::Data => self.data,
            Resource::Sessions => self.sessions,
            Resource::Tasks => self.tasks,
        }
    }
}

// Resources that cost memory of the host have a default limit. Those that an operator may want to
// give to one tenant in full have none.
impl Default for Quota {
    fn default() -> Self {
        Quota {
            // Each request in progress holds its body.
            concurrency: 1024,
            queue: 1000,
            // A quarter of the engine's default number of slots.
            instances: 250,
            // Larger models hold weights, up to the 1 GiB of memory that a component may have.
            artifact_size: 256 << 20,
            // A hundred thousand conversations; a disk holds the data of a thousand such tenants.
            data: 1 << 30,
            // Its models write it without the operator, up to the size of the host's disk.
            database: 1 << 30,
            sessions: 100_000,
            // Each waiting task takes some memory of the host, and a longer queue is not worked off
            // in time.
            tasks: 10_000,
            ..Quota::unlimited()
        }
    }
}

impl Default for Ceilings {
    fn default() -> Self {
        let time = Duration::MAX;
        let bytes = UNLIMITED;
        let limits = Limits {
            memory: bytes,
            deadline: time,
            cpu_time: time,
            request: bytes,
            response: bytes,
        };
        Ceilings { limits, streaming: StreamCeilings::default() }
    }
}

impl Ceilings {
    /// The limits in force for a model with these settings. Limits left at the default are lowered
    /// to the bounds. Fails with all settings that exceed them.
    pub fn apply(&self, asked: &Limits) -> Result<Limits, String> {
        let most = &self.limits;
        let default = Limits::default();
        let mut fitting = CeilingCheck { table: "limits", faults: Vec::new() };
        let limits = Limits {
            memory: fitting.bytes("memory", asked.memory, default.memory, most.memory),
            request: fitting.bytes("request", asked.request, default.request, most.request),
            response: fitting.bytes("response", asked.response, default.response, most.response),
            deadline: fitting.time("deadline", asked.deadline, default.deadline, most.deadline),
            cpu_time: fitting.time("cpu_time", asked.cpu_time, default.cpu_time, most.cpu_time),
        };

        fitting.finish(limits)
    }

    /// As [`Ceilings::apply`], for streaming.
    pub fn apply_to_streaming(&self, asked: &Streaming) -> Result<Streaming, String> {
        let most = &self.streaming;
        let whole = &self.limits;
        let default = Streaming::default();
        let mut fitting = CeilingCheck { table: "streaming", faults: Vec::new() };
        let deadline = most.deadline.unwrap_or(whole.deadline);
        let cpu_time = most.cpu_time.unwrap_or(whole.cpu_time);
        let total = most.total.unwrap_or(whole.response);
        let streaming = Streaming {
            deadline: fitting.time("deadline", asked.deadline, default.deadline, deadline),
            cpu_time: fitting.time("cpu_time", asked.cpu_time, default.cpu_time, cpu_time),
            total: fitting.bytes("total", asked.total, default.total, total),
            heartbeat: asked.heartbeat,
        };

        fitting.finish(streaming)
    }

    /// As [`Ceilings::apply`], for deferred tasks: a task has the same bounds as a request.
    pub fn apply_to_deferred(&self, asked: &DeferredTasks) -> Result<DeferredTasks, String> {
        let most = &self.limits;
        let default = DeferredTasks::default();
        let mut fitting = CeilingCheck { table: "deferred", faults: Vec::new() };
        let deferred = DeferredTasks {
            deadline: fitting.time("deadline", asked.deadline, default.deadline, most.deadline),
            cpu_time: fitting.time("cpu_time", asked.cpu_time, default.cpu_time, most.cpu_time),
            ..asked.clone()
        };

        fitting.finish(deferred)
    }
}

/// Compares the settings of one table with their bounds.
struct CeilingCheck {
    table: &'static str,
    faults: Vec<String>,
}

impl CeilingCheck {
    fn bytes(&mut self, key: &str, asked: u64, default: u64, most: u64) -> u64 {
        if asked > most && asked != default {
            self.refuse(key, &format_size(asked), &format_size(most));
        }
        asked.min(most)
    }

    fn time(&mut self, key: &str, asked: Duration, default: Duration, most: Duration) -> Duration {
        if asked > most && asked != default {
            self.refuse(key, &format!("{asked:?}"), &format!("{most:?}"));
        }
        asked.min(most)
    }

    fn refuse(&mut self, key: &str, asked: &str, most: &str) {
        self.faults.push(format!(
            "{}.{key} is {asked}, and this tenant's models may have {most}",
            self.table
        ));
    }

    fn finish<T>(self, fitted: T) -> Result<T, String> {
        if self.faults.is_empty() { Ok(fitted) } else { Err(self.faults.join("; ")) }
    }
}

impl Quota {
    /// Checks the size of an uploaded component, in bytes.
    pub fn check_artifact(&self, size: u64) -> Result<(), QuotaExceeded> {
        let limit = self.artifact_size;
        if size <= limit {
            Ok(())
        } else {
            Err(QuotaExceeded { quota: "artifact_size", limit, retry_after_seconds: 0 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_lowered_to_the_ceilings_and_explicit_excess_is_refused() {
        let limits = Limits {
            memory: 64 << 20,
            deadline: Duration::from_secs(1),
            ..Ceilings::default().limits
        };
        let ceilings = Ceilings { limits, ..Ceilings::default() };
        let granted = ceilings.apply(&Limits::default()).unwrap();

        assert_eq!((granted.memory, granted.deadline), (64 << 20, Duration::from_secs(1)));
        assert_eq!(granted.request, Limits::default().request);

        let modest = Limits { memory: 1 << 20, ..Limits::default() };
        assert_eq!(ceilings.apply(&modest).unwrap().memory, 1 << 20);

        let greedy =
            Limits { memory: 1 << 30, deadline: Duration::from_secs(60), ..Limits::default() };
        let told = ceilings.apply(&greedy).unwrap_err();
        for says in [
            "limits.memory is 1GiB, and this tenant's models may have 64MiB",
            "limits.deadline is 60s",
        ] {
            assert!(told.contains(says), "{told}");
        }

        assert_eq!(Ceilings::default().apply(&greedy), Ok(greedy));
    }

    #[test]
    fn streaming_has_the_ceilings_of_whole_responses_by_default() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let limits = Limits { deadline: second, response: 1 << 10, ..Ceilings::default().limits };
        let ceilings = Ceilings { limits: limits.clone(), ..Ceilings::default() };
        let granted = ceilings.apply_to_streaming(&Streaming::default()).unwrap();

        assert_eq!((granted.deadline, granted.total), (second, 1 << 10));
        assert_eq!(granted.cpu_time, Streaming::default().cpu_time);

        let streaming = StreamCeilings { deadline: Some(minute), ..StreamCeilings::default() };
        let ceilings = Ceilings { limits, streaming };
        assert_eq!(ceilings.apply_to_streaming(&Streaming::default()).unwrap().deadline, minute);

        let greedy = Streaming { deadline: 2 * minute, ..Streaming::default() };
        let told = ceilings.apply_to_streaming(&greedy).unwrap_err();
        assert!(
            told.contains("streaming.deadline is 120s, and this tenant's models may have 60s"),
            "{told}"
        );
        assert_eq!(Ceilings::default().apply_to_streaming(&greedy), Ok(greedy));
    }
}
