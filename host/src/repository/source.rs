//! The source of a tenant's candidates: a directory, or the mirror of a remote repository.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::remote::{Mirror, RemoteConfig, RemoteMetrics};
use super::upload::{UploadError, Uploads};
use super::{
    AspiredVersions, Directory, DirectoryConfig, DirectoryError, FolderClaims, Runtimes,
    SourceStopped,
};
use crate::blocking;
use crate::model::{ModelName, Version};
use crate::tenant::{Tenant, Workers};

/// Settings of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// The directory to scan.
    pub directory: DirectoryConfig,
    /// The remote repository that the directory mirrors; `None` if it mirrors none.
    pub remote: Option<RemoteConfig>,
}

/// The source of a tenant's repository. Dropping it stops its scans.
pub struct Source {
    directory: Arc<Directory>,
    mirror: Option<(Mirror, String)>,
}

impl Source {
    /// Starts the source and charges its work to the tenant. Panics outside a tokio runtime if the
    /// repository is remote.
    pub fn spawn(
        tenant: &Arc<Tenant>,
        config: SourceConfig,
        runtimes: &Runtimes,
        workers: &Workers,
        metrics: &RemoteMetrics,
        claims: &Arc<FolderClaims>,
    ) -> Result<Self, DirectoryError> {
        let SourceConfig { directory, remote } = config;
        // A mirror lies in the state directory, where only the host writes.
        let claims = remote.is_none().then(|| claims.clone());
        let directory = Directory::spawn_for_tenant(tenant, directory, runtimes, workers, claims)?;
        let directory = Arc::new(directory);
        let mirror = remote.map(|remote| {
            let url = remote.url.to_string();
            (Mirror::start(tenant.clone(), remote, directory.clone(), metrics), url)
        });

        Ok(Source { directory, mirror })
    }

    /// Number of the source, unique within the process. Its announcements carry it.
    pub fn number(&self) -> u64 {
        self.directory.number()
    }

    /// Returns a receiver of the announcements.
    pub fn subscribe(&self) -> watch::Receiver<Arc<AspiredVersions>> {
        self.directory.subscribe()
    }

    /// Waits for the announcement of a scan that begins after this call.
    pub async fn rescan(&self) -> Result<Arc<AspiredVersions>, SourceStopped> {
        self.directory.rescan().await
    }

    /// Waits for a refresh of the mirror that begins after this call. Returns the reason if it
    /// failed. Returns at once for a directory.
    pub async fn refresh(&self) -> Result<Option<String>, SourceStopped> {
        match &self.mirror {
            Some((mirror, _)) => mirror.refresh().await,
            None => Ok(None),
        }
    }

    /// The reason why the mirror differs from the remote repository, if it does.
    pub fn degraded_reason(&self) -> Option<String> {
        self.mirror.as_ref().and_then(|(mirror, _)| mirror.degraded_reason())
    }

    /// Deletes versions of a model from the repository, in this order; from a remote one with the
    /// host's credentials. Returns those that could not be deleted, each with the reason.
    pub async fn prune(
        &self,
        name: &ModelName,
        versions: Vec<Version>,
    ) -> BTreeMap<Version, String> {
        match &self.mirror {
            Some((mirror, _)) => mirror.prune(name, versions).await,
            None => {
                let (uploads, name) = (self.directory.uploads().clone(), name.clone());
                let delete = move || uploads.prune(&name, &versions);
                blocking::run(delete).await.unwrap_or_default()
            }
        }
    }

    /// The uploads into the repository. Fails if it is remote, since this server only reads it.
    pub fn uploads(&self) -> Result<&Arc<Uploads>, UploadError> {
        match &self.mirror {
            Some((_, url)) => Err(UploadError::Remote(url.clone())),
            None => Ok(self.directory.uploads()),
        }
    }
}
