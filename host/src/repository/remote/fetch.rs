//! Fetches the changed objects of a unit into a staging directory and moves the unit into the
//! mirror.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use object_store::ObjectStoreExt;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::listing::{ContentTag, ListedObject, tags};
use super::location::{STALL_TIMEOUT, StoreLocation, store_error_text};
use super::metrics::TenantMetrics;
use super::mirror_dir::MirrorDir;
use super::sync_unit::SyncUnit;
use crate::blocking;
use crate::repository::disk_error_text;

/// One unit to be mirrored as listed.
pub(super) struct FetchJob {
    pub(super) unit: SyncUnit,
    pub(super) files: BTreeMap<String, ListedObject>,
    /// The tags of the files mirrored so far.
    pub(super) mirrored: BTreeMap<String, ContentTag>,
    pub(super) location: Arc<StoreLocation>,
    pub(super) dir: MirrorDir,
    pub(super) metrics: Arc<TenantMetrics>,
}

impl FetchJob {
    /// Mirrors the unit. Returns the tags of its files. On failure returns the reason, and the unit
    /// stays as it was.
    pub(super) async fn run(self) -> (SyncUnit, Result<BTreeMap<String, ContentTag>, String>) {
        let outcome = self.fetch_and_place().await;
        (self.unit, outcome.map(|()| tags(&self.files)))
    }

    async fn fetch_and_place(&self) -> Result<(), String> {
        let dir = self.dir.clone();
        let staged = mirror_io(move || dir.stage()).await?;

        let outcome = match self.assemble(&staged).await {
            Ok(()) => {
                let (dir, unit, staged) = (self.dir.clone(), self.unit.clone(), staged.clone());
                mirror_io(move || dir.place(&unit, &staged)).await
            }
            Err(why) => Err(why),
        };

        if outcome.is_err() {
            // A staging directory that stayed would accumulate with every refresh.
            let _ = tokio::fs::remove_dir_all(&staged).await;
        }

        outcome
    }

    async fn assemble(&self, staged: &Path) -> Result<(), String> {
        for (name, object) in &self.files {
            if self.mirrored.get(name) == Some(&object.tag) {
                self.keep(name, staged).await?;
            } else {
                self.fetch(object, &staged.join(name))
                    .await
                    .map_err(|why| format!("{name}: {why}"))?;
            }
        }

        Ok(())
    }

    async fn keep(&self, name: &str, staged: &Path) -> Result<(), String> {
        let (dir, unit) = (self.dir.clone(), self.unit.clone());
        let (name, staged) = (name.to_owned(), staged.to_owned());
        mirror_io(move || dir.link_unchanged(&unit, &name, &staged)).await
    }

    /// Fetches one object. Fails unless it is complete and has not changed since it was listed.
    async fn fetch(&self, object: &ListedObject, to: &Path) -> Result<(), String> {
        let response =
            tokio::time::timeout(STALL_TIMEOUT, self.location.store.get(&object.path)).await;
        let object_data =
            response.map_err(|_| stalled_message())?.map_err(|error| store_error_text(&error))?;

        if let (Some(listed), Some(fetched)) = (&object.etag, &object_data.meta.e_tag)
            && bare_etag(listed) != bare_etag(fetched)
        {
            return Err("it has changed since it was listed".into());
        }

        let unwritable = |error: io::Error| {
            format!(
                "cannot be written to the mirror in the state directory: {}",
                disk_error_text(&error)
            )
        };

        let mut file = File::create_new(to).await.map_err(unwritable)?;
        let mut pieces = object_data.into_stream();
        let mut received = 0;

        while let Some(piece) = tokio::time::timeout(STALL_TIMEOUT, pieces.next())
            .await
            .map_err(|_| stalled_message())?
        {
            let piece = piece.map_err(|error| store_error_text(&error))?;
            received += piece.len() as u64;
            if received > object.tag.size {
                break;
            }
            self.metrics.record_bytes(piece.len() as u64);
            file.write_all(&piece).await.map_err(unwritable)?;
        }

        if received != object.tag.size {
            return Err(format!(
                "{received} bytes were received, but {} were listed",
                object.tag.size
            ));
        }

        // The age of a version is that of its objects, also when the mirror is made anew.
        let modified = object.modified();
        let file = file.into_std().await;
        let finish = move || {
            // Not every file system has such a time.
            let _ = file.set_modified(modified);
            file.sync_all()
        };
        mirror_io(finish).await
    }
}

/// Strips quotes and the weak prefix from an ETag. Some stores add them in one response and not in
/// another.
fn bare_etag(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}

fn stalled_message() -> String {
    format!("no data was received for {} s", STALL_TIMEOUT.as_secs())
}

/// Reads or writes files of the mirror on a blocking thread. Fails with a text for the operator.
pub(super) async fn mirror_io<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    match blocking::run(work).await {
        Ok(done) => done.map_err(|error| {
            format!(
                "the mirror cannot be written in the state directory: {}",
                disk_error_text(&error)
            )
        }),
        Err(error) => Err(format!("it ended unexpectedly: {error}")),
    }
}
