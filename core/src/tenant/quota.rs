//! The quota of a tenant: the most that it may hold of each resource.

use super::resource::Resource;
use crate::model::QuotaExceeded;

/// The limit of an unlimited resource.
pub const UNLIMITED: u64 = u64::MAX;

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
