//! Settings of repositories.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::TenantName;
use crate::tenant::{DEFAULT_REFRESH, RepositoryLocation, Tenant};

/// Repositories and how they are scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryConfig {
    /// Repository of the default tenant.
    pub models: RepositoryLocation,
    /// Refresh interval of remote repositories, unless the tenant has its own.
    pub refresh: Duration,
    /// Detection of changes in a directory.
    pub watch: WatchMode,
    /// Scan interval while polling, or while the directory is missing.
    pub poll_interval: Duration,
    /// Scan interval in the absence of events.
    pub rescan_interval: Duration,
    /// Time that a file must stay unchanged before it counts.
    pub settle: Duration,
    /// Limit of versions scanned in one repository.
    pub max_versions: u32,
    /// True if old versions are deleted where `prune` of a model asks for it.
    pub prune: bool,
}

/// The way changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchMode {
    /// By events where the file system supports them, otherwise by polling.
    Auto,
    /// By events. Starting fails if they are not available.
    Events,
    /// By a scan every `poll_interval`.
    Poll,
}

/// Settings of a directory source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryConfig {
    /// The tenant that owns the repository.
    pub tenant: TenantName,
    /// Path of the repository. The folder may not exist yet.
    pub root: PathBuf,
    /// Private folder of this source, where version numbers are stored.
    pub state: PathBuf,
    /// The way changes are noticed.
    pub watch: WatchMode,
    /// Time between scans while polling, or while the root is missing.
    pub poll_interval: Duration,
    /// Time between scans without an event.
    pub rescan_interval: Duration,
    /// Time for which a file must be unchanged before it is read.
    pub settle: Duration,
    /// Maximum number of versions per scan.
    pub max_versions: u32,
    /// True for the mirror of a store. Its files have the modification times of their objects.
    pub is_mirror: bool,
}

/// Runtimes of model files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimesConfig {
    /// Folder of the operator's runtimes, which are added to the embedded ones or replace them.
    pub dir: PathBuf,
}

impl RepositoryConfig {
    /// Returns the settings of a source of a directory, whose private folder is `state`.
    pub fn directory(&self, tenant: &Tenant, root: PathBuf, state: PathBuf) -> DirectoryConfig {
        DirectoryConfig {
            tenant: tenant.name().clone(),
            root,
            state,
            watch: self.watch,
            poll_interval: self.poll_interval,
            rescan_interval: self.rescan_interval,
            settle: self.settle,
            max_versions: self.max_versions,
            is_mirror: false,
        }
    }
}

impl Default for RepositoryConfig {
    fn default() -> Self {
        RepositoryConfig {
            models: RepositoryLocation::Directory("models".into()),
            refresh: DEFAULT_REFRESH,
            watch: WatchMode::Auto,
            // Fast enough for a waiting person. A scan of a thousand models takes a few
            // milliseconds.
            poll_interval: Duration::from_secs(1),
            // Covers lost events, which are rare.
            rescan_interval: Duration::from_secs(10),
            // Longer than the pauses of a busy writer and the steps of the file system's clock;
            // short compared with the seconds of a compilation.
            settle: Duration::from_millis(100),
            // A scan of so many takes a second. Enough for a thousand models with ten versions
            // each.
            max_versions: 10_000,
            // Nothing is deleted unless a model's settings ask for it.
            prune: true,
        }
    }
}

impl Default for RuntimesConfig {
    fn default() -> Self {
        // Beside the models, and like them in the working directory.
        RuntimesConfig { dir: "runtimes".into() }
    }
}
