//! What the operator says of a tenant.

use std::path::PathBuf;
use std::time::Duration;

use super::{Credential, Resource, Site};
use crate::model::{Deferral, Limits, Origin, QuotaExceeded, Streaming, show_size};

/// The limit of what has none.
pub const UNLIMITED: u64 = u64::MAX;

/// What is in force for one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantSettings {
    /// Where its models are.
    pub repository: Site,
    /// How often to look for changes where nobody tells of them.
    pub refresh: Duration,
    /// Its part of the cores when they are contended, beside the weights of the others.
    pub weight: u32,
    /// Who may ask in its name.
    pub keys: Vec<Credential>,
    /// How much it may hold.
    pub quota: Quota,
    /// The most that its models' own settings may ask for.
    pub ceilings: Ceilings,
    /// What its models may be granted.
    pub grants: TenantGrants,
    /// Where its database is; `None` for a file of its own in the state directory.
    pub database: Option<PostgresSettings>,
}

/// A database that the operator keeps for one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Its address, without a password.
    pub url: String,
    /// Where the password is; `None` if it takes none.
    pub password: Option<PasswordFrom>,
}

/// Where a password is. The password itself is nowhere in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordFrom {
    /// The only line of a file.
    File(PathBuf),
    /// A variable of the host's environment.
    Variable(String),
}

/// How much a tenant may hold. [`UNLIMITED`] where only the host's own resources set a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests a second; as many may come at once.
    pub requests_per_second: u64,
    /// Requests under way, waiting ones included.
    pub concurrency: u64,
    /// Requests that wait for an instance.
    pub queue: u64,
    /// Instances, idle ones included.
    pub instances: u64,
    /// Bytes of memory: of guests, over all instances, and of what the host holds for requests.
    pub memory: u64,
    /// Models that serve or are being loaded.
    pub models: u64,
    /// Bytes in its repository, and of compiled artifacts that are in use.
    pub storage: u64,
    /// Bytes of one component that is uploaded.
    pub artifact_size: u64,
    /// Bytes that the host keeps for its models: sessions, tasks for later, values by key.
    pub data: u64,
    /// Bytes of its database.
    pub database: u64,
    /// Sessions that are kept.
    pub sessions: u64,
    /// Tasks that wait or run.
    pub tasks: u64,
}

/// The most that a model's own settings may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// Of `limits`.
    pub limits: Limits,
    /// Of `streaming`.
    pub streaming: StreamCeilings,
}

/// The most that a model may ask for its answers in parts. Where nothing is said, what holds for
/// whole answers holds for these: no model gets more by answering in parts than its operator has
/// thought of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCeilings {
    /// Wall-clock time; `None` for that of `limits`.
    pub deadline: Option<Duration>,
    /// CPU time; `None` for that of `limits`.
    pub cpu_time: Option<Duration>,
    /// Bytes of all parts; `None` for the response of `limits`.
    pub total: Option<u64>,
}

/// What a tenant's models may be granted if they ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantGrants {
    /// Whom they may send HTTP requests to.
    pub http: Callable,
}

/// Whom a tenant's models may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callable {
    /// Whomever they name: whose models these are also runs the host.
    Anyone,
    /// These origins and no others.
    Listed(Vec<Origin>),
}

impl Default for Callable {
    fn default() -> Self {
        Callable::Listed(Vec::new())
    }
}

impl Callable {
    /// Checks what a model asks for. Fails with the origins that it may not call.
    pub fn check(&self, asked: &[Origin]) -> Result<(), String> {
        let Callable::Listed(listed) = self else { return Ok(()) };
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

/// A key that belongs to no tenant: it is allowed everything and must say for whom.
pub type HostKey = Credential;

/// As often as somebody who does not wait for it notices; listing a thousand objects costs a store
/// little.
pub const REFRESH: Duration = Duration::from_secs(600);

impl Default for TenantSettings {
    fn default() -> Self {
        TenantSettings {
            repository: Site::Directory("models".into()),
            refresh: REFRESH,
            weight: 1,
            keys: Vec::new(),
            quota: Quota::default(),
            ceilings: Ceilings::default(),
            grants: TenantGrants::default(),
            database: None,
        }
    }
}

impl TenantSettings {
    /// The settings of a tenant who also runs the host: whatever its models ask for, and as much as
    /// there is.
    pub fn unlimited(repository: Site) -> Self {
        let grants = TenantGrants { http: Callable::Anyone };
        TenantSettings {
            repository,
            quota: Quota::unlimited(),
            grants,
            ..TenantSettings::default()
        }
    }
}

impl TenantSettings {
    /// Whether its models come from the same place in the same way.
    pub fn has_same_source(&self, other: &TenantSettings) -> bool {
        self.repository == other.repository
            && (self.refresh == other.refresh || self.repository.directory().is_some())
    }
}

impl Quota {
    /// A quota that limits nothing.
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
    pub fn of(&self, resource: Resource) -> u64 {
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

// Bounds for what takes memory of the host's own even when nobody has thought of a quota; no bounds
// for what an operator may well mean to give whole to one tenant.
impl Default for Quota {
    fn default() -> Self {
        Quota {
            // Each request under way holds its body.
            concurrency: 1024,
            queue: 1000,
            // A quarter of the slots that the engine has unless told otherwise.
            instances: 250,
            // Larger models are weights, which a component can hold up to its 1 GiB of memory.
            artifact_size: 256 << 20,
            // A hundred thousand conversations; a disk holds a thousand such tenants.
            data: 1 << 30,
            // Its models write it by themselves, whatever the host's disk can take.
            database: 1 << 30,
            sessions: 100_000,
            // Each takes a little of the host's memory while it waits; more than this is work that
            // nobody keeps up with.
            tasks: 10_000,
            ..Quota::unlimited()
        }
    }
}

impl Default for Ceilings {
    fn default() -> Self {
        let (time, bytes) = (Duration::MAX, UNLIMITED);
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
    /// The limits in force for a model that asks for these. What it leaves at the default is
    /// lowered to what it may have; fails with everything that it asks for and may not have.
    pub fn apply(&self, asked: &Limits) -> Result<Limits, String> {
        let (most, default) = (&self.limits, Limits::default());
        let mut fitting = Fitting { table: "limits", faults: Vec::new() };
        let limits = Limits {
            memory: fitting.bytes("memory", asked.memory, default.memory, most.memory),
            request: fitting.bytes("request", asked.request, default.request, most.request),
            response: fitting.bytes("response", asked.response, default.response, most.response),
            deadline: fitting.time("deadline", asked.deadline, default.deadline, most.deadline),
            cpu_time: fitting.time("cpu_time", asked.cpu_time, default.cpu_time, most.cpu_time),
        };
        fitting.finish(limits)
    }

    /// As [`Ceilings::apply`], for answers in parts.
    pub fn apply_to_streaming(&self, asked: &Streaming) -> Result<Streaming, String> {
        let (most, whole, default) = (&self.streaming, &self.limits, Streaming::default());
        let mut fitting = Fitting { table: "streaming", faults: Vec::new() };
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

    /// What is in force for the deferred tasks of a model that asks for this: a task may take what
    /// a request may.
    pub fn apply_to_deferred(&self, asked: &Deferral) -> Result<Deferral, String> {
        let (most, default) = (&self.limits, Deferral::default());
        let mut fitting = Fitting { table: "deferred", faults: Vec::new() };
        let deferred = Deferral {
            deadline: fitting.time("deadline", asked.deadline, default.deadline, most.deadline),
            cpu_time: fitting.time("cpu_time", asked.cpu_time, default.cpu_time, most.cpu_time),
            ..asked.clone()
        };
        fitting.finish(deferred)
    }
}

/// Holds what a model asks for in one table against what it may have.
struct Fitting {
    table: &'static str,
    faults: Vec<String>,
}

impl Fitting {
    fn bytes(&mut self, key: &str, asked: u64, default: u64, most: u64) -> u64 {
        if asked > most && asked != default {
            self.refuse(key, &show_size(asked), &show_size(most));
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
    /// Checks the size of a component that is uploaded, in bytes.
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
    fn a_model_gets_what_it_may_have_and_is_told_what_it_may_not() {
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
    fn answers_in_parts_get_no_more_than_whole_ones_unless_that_is_said() {
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
