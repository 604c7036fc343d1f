//! Settings of all repositories.

use std::path::PathBuf;
use std::time::Duration;

use super::{DirectoryConfig, WatchMode};
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
