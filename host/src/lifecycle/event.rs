//! Events of a tenant's reconcile loop.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::error::CommandError;
use super::index_entry::IndexEntry;
use super::loader_traits::ServingVersion;
use super::pruner::PruneOutcome;
use crate::model::{LoadError, ModelName, ModelRoute, Version};
use crate::repository::{AspiredVersions, Digest};

/// An event that a tenant's reconcile loop handles.
pub(super) enum Event {
    /// A source has announced the content of the repository.
    Aspired(Arc<AspiredVersions>),
    /// The tenant has another repository, watched by the source with this number.
    SourceReplaced { source: u64 },
    /// The tenant was removed.
    TenantRemoved { reply: oneshot::Sender<()> },
    /// The circuit breaker of a version opened because the version keeps failing.
    Tripped { name: ModelName, version: Version, digest: Digest },
    /// A version was validated and waits for the decision on its publication. Its routes are those
    /// that it claims.
    Validated {
        name: ModelName,
        version: Version,
        digest: Digest,
        routes: Vec<Arc<ModelRoute>>,
        reply: oneshot::Sender<Result<bool, LoadError>>,
    },
    /// A load has ended; `None` if the version was not to be published.
    Loaded {
        name: ModelName,
        version: Version,
        digest: Digest,
        outcome: Result<Option<Box<dyn ServingVersion>>, LoadError>,
    },
    /// A version has answered its last request and its memory is freed.
    Drained { name: ModelName, version: Version },
    /// The deletion of versions to prune has ended.
    Pruned { name: ModelName, versions: Vec<Version>, outcome: PruneOutcome },
    /// A request to load a model, with the result of a scan made for it.
    Load {
        name: ModelName,
        aspired: Arc<AspiredVersions>,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// A request for the outcome of a version that was added to the repository or removed from it.
    AwaitVersion {
        name: ModelName,
        version: Version,
        aspired: Arc<AspiredVersions>,
        reply: oneshot::Sender<Option<IndexEntry>>,
    },
    /// A request to unload a model.
    Unload { name: ModelName, reply: oneshot::Sender<Result<(), CommandError>> },
    /// A request for the repository index.
    Index { reply: oneshot::Sender<Arc<Vec<IndexEntry>>> },
}

/// The phase of the server as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Versions are loaded, replaced and unloaded.
    Running,
    /// The server stops soon: serving versions stay, and none is loaded or replaced.
    Frozen,
    /// Everything is unloaded.
    Stopping,
}
