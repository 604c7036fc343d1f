//! Uploads: received, shown to load, put into the repository, and followed until it is known what
//! came of them.
//!
//! A version is loaded and proved under the name it will have before it is put into its place, and
//! then once more when the repository is seen to hold it: that load finds the artifact made, and is
//! the same as for any other file. So nothing serves that the repository does not hold, and what
//! was never good is never in it.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::index::IndexEntry;
use super::manager::{CommandError, Event, Manager};
use crate::model::{LoadError, ModelId, Stage, TenantName};
use crate::repository::upload::{Put, Received, Target, Upload, UploadError, Uploads};
use crate::repository::{Candidate, Digest};
use crate::tenant::Tenant;

/// Why an upload or a removal came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The repository does not take it.
    #[error(transparent)]
    Refused(#[from] UploadError),
    /// It cannot be carried out now.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// What has come of an upload.
pub struct Published {
    /// What was put into the repository; `None` if it held the same content already.
    pub put: Option<Put>,
    /// SHA-256 of the component.
    pub digest: Digest,
    /// What the index tells of the version now; `None` if it is gone again.
    pub entry: Option<IndexEntry>,
}

impl Manager {
    /// Begins an upload of `announced` bytes; 0 if that is not known.
    pub async fn begin_upload(
        &self,
        tenant: &Arc<Tenant>,
        target: Target,
        announced: u64,
    ) -> Result<Upload, PublishError> {
        let (uploads, tenant) = (self.uploads(tenant.name())?, tenant.clone());
        blocking(move || uploads.begin(&tenant, target, announced)).await
    }

    /// Loads and proves what was received, puts it into the repository if that went well, and waits
    /// until it is known whether it serves. That it may not serve, for the model's version policy,
    /// is no failure.
    pub async fn publish(&self, received: Received) -> Result<Published, PublishError> {
        let manager = self.clone();
        // A task of its own: what was received whole is carried through, also if whoever sent it
        // goes away.
        tokio::spawn(async move { manager.carry_through(received).await })
            .await
            .unwrap_or_else(|error| Err(ended(&error)))
    }

    /// Removes a version from the repository, and waits until the repository has been seen without
    /// it. Gives what the index tells of the version then, if anything: it may still be answering
    /// its last requests, or serve until another has taken its place.
    pub async fn remove(
        &self,
        tenant: &TenantName,
        target: Target,
    ) -> Result<Option<IndexEntry>, PublishError> {
        let uploads = self.uploads(tenant)?;
        let gone = target.clone();
        blocking(move || uploads.remove(&gone)).await?;
        tracing::info!(%tenant, model = %target.name, version = %target.version, "removed from the repository");
        // It is removed, whatever else happens.
        let entry = self.follow(tenant, &target).await.unwrap_or_default();
        Ok(entry.filter(|entry| entry.version == Some(target.version)))
    }

    async fn carry_through(&self, received: Received) -> Result<Published, PublishError> {
        let (received, there) = with(received, |received| received.is_there()).await?;
        if there {
            return self.published(received, None).await;
        }
        let (received, candidate) = with(received, Received::candidate).await?;
        self.verify(received.tenant(), &candidate).await?;
        let (received, put) = with(received, move |received| received.put(&candidate)).await?;
        self.published(received, Some(put)).await
    }

    /// Shows that a candidate can serve, and lets it go again.
    async fn verify(&self, tenant: &Arc<Tenant>, candidate: &Candidate) -> Result<(), UploadError> {
        // What would be refused in its place must not come to be there.
        let id = ModelId {
            tenant: tenant.name().clone(),
            name: candidate.name.clone(),
            version: candidate.version,
        };
        self.chain(tenant.name()).before_load(&id).await?;
        let loaded = self.shared.loader.load(tenant, candidate, &|_| {}).await?;
        // Unmapping it takes a while; no thread that serves HTTP should do it.
        let _ = tokio::task::spawn_blocking(move || drop(loaded)).await;
        Ok(())
    }

    /// Holds what was received, and its storage with it, until the repository has been seen to hold
    /// it.
    async fn published(
        &self,
        received: Received,
        put: Option<Put>,
    ) -> Result<Published, PublishError> {
        let (tenant, target, digest) =
            (received.tenant().name(), received.target(), received.digest());
        tracing::info!(%tenant, model = %target.name, version = %target.version, %digest, ?put, "uploaded");
        let entry = self.follow(tenant, target).await?;
        Ok(Published { put, digest, entry })
    }

    /// Has the repository looked at, and waits until it is known what becomes of a version.
    async fn follow(
        &self,
        tenant: &TenantName,
        target: &Target,
    ) -> Result<Option<IndexEntry>, CommandError> {
        let aspired = self.source(tenant)?.rescan().await.map_err(|_| CommandError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        let (name, version) = (target.name.clone(), target.version);
        self.send(tenant, Event::Follow { name, version, aspired, reply }).await?;
        answer.await.map_err(|_| CommandError::Stopping)
    }

    fn uploads(&self, tenant: &TenantName) -> Result<Arc<Uploads>, PublishError> {
        Ok(self.source(tenant)?.uploads()?.clone())
    }
}

async fn with<T: Send + 'static>(
    mut received: Received,
    work: impl FnOnce(&mut Received) -> Result<T, UploadError> + Send + 'static,
) -> Result<(Received, T), PublishError> {
    blocking(move || work(&mut received).map(|done| (received, done))).await
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UploadError> + Send + 'static,
) -> Result<T, PublishError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ended(&error))?.map_err(PublishError::from)
}

fn ended(error: &tokio::task::JoinError) -> PublishError {
    CommandError::Failed(LoadError::new(Stage::Host, format!("it ended unexpectedly: {error}")))
        .into()
}
