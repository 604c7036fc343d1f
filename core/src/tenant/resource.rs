//! The resources that a quota limits.

/// A resource that a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Requests in progress, waiting ones included.
    Concurrency,
    /// Requests that wait for an instance.
    Queue,
    /// Bytes of memory: of guests, over all instances, and of what the host holds for requests.
    Memory,
    /// Models that serve or are being loaded.
    Models,
    /// Bytes in its repository, including uploads in progress. Compiled artifacts in use count
    /// against the same limit.
    Storage,
    /// Bytes of its compiled artifacts, in use or not. They have no limit of their own.
    Artifacts,
    /// Bytes of its database.
    Database,
    /// Bytes that the host keeps for its models.
    Data,
    /// Stored sessions.
    Sessions,
    /// Deferred tasks that wait or run.
    Tasks,
}

impl Resource {
    /// Every resource.
    pub const ALL: [Resource; 10] = [
        Resource::Concurrency,
        Resource::Queue,
        Resource::Memory,
        Resource::Models,
        Resource::Storage,
        Resource::Artifacts,
        Resource::Database,
        Resource::Data,
        Resource::Sessions,
        Resource::Tasks,
    ];

    /// Its name in `wardian.toml`, in errors and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Concurrency => "concurrency",
            Resource::Queue => "queue",
            Resource::Memory => "memory",
            Resource::Models => "models",
            Resource::Storage => "storage",
            Resource::Artifacts => "artifacts",
            Resource::Database => "database",
            Resource::Data => "data",
            Resource::Sessions => "sessions",
            Resource::Tasks => "tasks",
        }
    }
}
