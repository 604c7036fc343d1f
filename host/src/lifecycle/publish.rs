//! Uploads: received, validated, put into the repository, and followed to their outcome.
//!
//! A version is loaded and validated under its future name before it is put into the repository. It
//! is loaded once more when a scan finds it there; that load finds the artifact already made, and
//! is the same as for any other file. So no version serves that the repository does not hold, and
//! the repository never holds an upload that could not serve.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::error::CommandError;
use super::event::Event;
use super::index_entry::IndexEntry;
use super::manager::Manager;
use crate::blocking;
use crate::model::{LoadError, ModelId, Stage, TenantName};
use crate::repository::upload::{
    Announced, PutOutcome, ReceivedUpload, Upload, UploadError, UploadTarget, Uploads,
};
use crate::repository::{Candidate, Digest};
use crate::tenant::Tenant;

/// The reason for which an upload or a removal failed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The repository refused it.
    #[error(transparent)]
    Refused(#[from] UploadError),
    /// It cannot be carried out now.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// The outcome of an upload.
pub struct Published {
    /// The change of the repository; `None` if it already held the same content.
    pub put: Option<PutOutcome>,
    /// SHA-256 of the body.
    pub digest: Digest,
    /// The version's index entry; `None` if the version is gone again.
    pub entry: Option<IndexEntry>,
}

impl Manager {
    /// Begins an upload.
    pub async fn begin_upload(
        &self,
        tenant: &Arc<Tenant>,
        target: UploadTarget,
        announced: Announced,
    ) -> Result<Upload, PublishError> {
        let uploads = self.uploads(tenant.name())?;
        let tenant = tenant.clone();
        run_blocking(move || uploads.begin(&tenant, target, announced)).await
    }

    /// Loads and validates an upload, puts it into the repository, and waits until its outcome is
    /// known. An upload that is not wanted by the model's version policy succeeds.
    pub async fn publish(&self, received: ReceivedUpload) -> Result<Published, PublishError> {
        let manager = self.clone();
        // A task of its own: a complete upload is carried through even if its client disconnects.
        tokio::spawn(async move { manager.publish_received(received).await })
            .await
            .unwrap_or_else(|error| Err(task_failed(&error)))
    }

    /// Removes a version from the repository, and waits until a scan no longer finds it. Returns
    /// the version's index entry, if there is one: the version may still answer its last requests,
    /// or serve until another has taken its place.
    pub async fn remove(
        &self,
        tenant: &TenantName,
        target: UploadTarget,
    ) -> Result<Option<IndexEntry>, PublishError> {
        let uploads = self.uploads(tenant)?;
        let gone = target.clone();
        run_blocking(move || uploads.remove(&gone)).await?;
        tracing::info!(%tenant, model = %target.name, version = %target.version, "removed from the repository");

        // The version is removed even if its outcome is unknown.
        let entry = self.await_version(tenant, &target).await.unwrap_or_default();
        Ok(entry.filter(|entry| entry.version == Some(target.version)))
    }

    async fn publish_received(&self, received: ReceivedUpload) -> Result<Published, PublishError> {
        let (received, is_present) =
            with_received(received, |received| received.is_already_present()).await?;
        if is_present {
            return self.await_published(received, None).await;
        }

        let (received, candidate) = with_received(received, ReceivedUpload::candidate).await?;
        self.validate_upload(received.tenant(), &candidate).await?;

        let (received, put) =
            with_received(received, move |received| received.put(&candidate)).await?;
        self.await_published(received, Some(put)).await
    }

    /// Validates a candidate and drops it again.
    async fn validate_upload(
        &self,
        tenant: &Arc<Tenant>,
        candidate: &Candidate,
    ) -> Result<(), UploadError> {
        // An upload that an interceptor's load hook refuses must not enter the repository.
        let id = ModelId {
            tenant: tenant.name().clone(),
            name: candidate.name.clone(),
            version: candidate.version,
        };
        self.interceptor_chain(tenant.name()).before_load(&id).await?;

        let validated = self.shared.loader.load(tenant, candidate).await?;
        let routes = &candidate.settings.routes;
        let conflict = self.shared.registry.route_conflict(tenant.name(), &id.name, routes);
        // Unmapping is slow and must not run on an HTTP thread.
        blocking::drop_value(validated).await;
        match conflict {
            Some(reason) => Err(LoadError::new(Stage::Routes, reason).into()),
            None => Ok(()),
        }
    }

    /// Keeps an upload, and its part of the storage quota, until a scan has found it in the
    /// repository.
    async fn await_published(
        &self,
        received: ReceivedUpload,
        put: Option<PutOutcome>,
    ) -> Result<Published, PublishError> {
        let tenant = received.tenant().name();
        let target = received.target();
        let digest = received.digest();
        tracing::info!(%tenant, model = %target.name, version = %target.version, %digest, ?put, "uploaded");
        let entry = self.await_version(tenant, target).await?;
        Ok(Published { put, digest, entry })
    }

    /// Scans the repository and waits until the outcome of a version is known.
    async fn await_version(
        &self,
        tenant: &TenantName,
        target: &UploadTarget,
    ) -> Result<Option<IndexEntry>, CommandError> {
        let aspired = self.source(tenant)?.rescan().await.map_err(|_| CommandError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        let name = target.name.clone();
        let version = target.version;
        self.send(tenant, Event::AwaitVersion { name, version, aspired, reply }).await?;
        answer.await.map_err(|_| CommandError::Stopping)
    }

    fn uploads(&self, tenant: &TenantName) -> Result<Arc<Uploads>, PublishError> {
        Ok(self.source(tenant)?.uploads()?.clone())
    }
}

async fn with_received<T: Send + 'static>(
    mut received: ReceivedUpload,
    work: impl FnOnce(&mut ReceivedUpload) -> Result<T, UploadError> + Send + 'static,
) -> Result<(ReceivedUpload, T), PublishError> {
    run_blocking(move || work(&mut received).map(|done| (received, done))).await
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UploadError> + Send + 'static,
) -> Result<T, PublishError> {
    let done = blocking::run(work).await;
    done.map_err(|error| task_failed(&error))?.map_err(PublishError::from)
}

fn task_failed(error: &dyn std::error::Error) -> PublishError {
    CommandError::Failed(LoadError::new(
        Stage::Host,
        format!("the operation ended unexpectedly: {error}"),
    ))
    .into()
}
