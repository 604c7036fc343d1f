//! What announces a tenant's candidates: a directory, or the mirror of a remote repository.

use std::sync::Arc;

use tokio::sync::watch;

use super::remote::{Mirror, RemoteConfig, RemoteMetrics};
use super::upload::{UploadError, Uploads};
use super::{Aspired, Directory, DirectoryConfig, DirectoryError, Grounds, Stopped};
use crate::tenant::{Tenant, Workers};

/// What a source needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// The directory to look at.
    pub directory: DirectoryConfig,
    /// What that directory mirrors, if it does.
    pub remote: Option<RemoteConfig>,
}

/// A repository being watched. Dropping it stops the watching.
pub struct Source {
    directory: Arc<Directory>,
    mirror: Option<(Mirror, String)>,
}

impl Source {
    /// Starts watching, at the tenant's expense. Must be called within a tokio runtime.
    pub fn spawn(
        tenant: &Arc<Tenant>,
        config: SourceConfig,
        workers: &Workers,
        metrics: &RemoteMetrics,
        grounds: &Arc<Grounds>,
    ) -> Result<Self, DirectoryError> {
        let SourceConfig { directory, remote } = config;
        // A mirror lies in the state directory, where only the host writes.
        let grounds = remote.is_none().then(|| grounds.clone());
        let directory = Arc::new(Directory::spawn_for(tenant, directory, workers, grounds)?);
        let mirror = remote.map(|remote| {
            let url = remote.url.to_string();
            (Mirror::start(tenant.clone(), remote, directory.clone(), metrics), url)
        });
        Ok(Source { directory, mirror })
    }

    /// Its number, which no other source of this process has; what it announces carries it.
    pub fn number(&self) -> u64 {
        self.directory.number()
    }

    /// What is announced, now and from now on.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Aspired>> {
        self.directory.subscribe()
    }

    /// Waits for the announcement of a look that began after this call.
    pub async fn rescan(&self) -> Result<Arc<Aspired>, Stopped> {
        self.directory.rescan().await
    }

    /// Waits until a mirror has been refreshed after this call; a directory needs none. Gives why
    /// that did not go well, if so.
    pub async fn refresh(&self) -> Result<Option<String>, Stopped> {
        match &self.mirror {
            Some((mirror, _)) => mirror.refresh().await,
            None => Ok(None),
        }
    }

    /// Why what is looked at is not what the repository holds, if so.
    pub fn trouble(&self) -> Option<String> {
        self.mirror.as_ref().and_then(|(mirror, _)| mirror.trouble())
    }

    /// The uploads into it. Fails if it is for others to change.
    pub fn uploads(&self) -> Result<&Arc<Uploads>, UploadError> {
        match &self.mirror {
            Some((_, url)) => Err(UploadError::Remote(url.clone())),
            None => Ok(self.directory.uploads()),
        }
    }
}
