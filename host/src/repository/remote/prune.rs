//! Deletion of old versions from a store: their objects first, and then their files in the mirror.
//!
//! The object that makes a version complete goes first, so no other reader of the store sees a
//! version with a part of its files. A version whose objects cannot all be deleted stays in the
//! mirror, and is deleted by a later request.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};
use tokio::sync::oneshot;

use super::listing::Listing;
use super::location::{STALL_TIMEOUT, StoreLocation, store_error_text};
use super::sync_unit::{SyncUnit, is_model};
use crate::model::{ModelName, Version};

/// A request to delete versions of a model, in this order.
pub(super) struct PruneRequest {
    pub(super) name: ModelName,
    pub(super) versions: Vec<Version>,
    /// Takes the versions that could not be deleted, each with the reason.
    pub(super) reply: oneshot::Sender<BTreeMap<Version, String>>,
}

impl PruneRequest {
    /// Replies that nothing could be deleted.
    pub(super) fn fail(self, reason: &str) {
        let faults = self.versions.into_iter().map(|version| (version, reason.to_owned()));
        let _ = self.reply.send(faults.collect());
    }
}

/// Deletes the listed objects of a version, and removes them from the listing. Fails with the
/// reason if one of them is left.
pub(super) async fn delete_objects(
    unit: &SyncUnit,
    location: &Arc<StoreLocation>,
    listing: &mut Listing,
) -> Result<(), String> {
    let Some(files) = listing.files.get_mut(unit) else { return Ok(()) };
    let mut objects: Vec<_> =
        files.iter().map(|(name, object)| (name.clone(), object.path.clone())).collect();
    objects.sort_by_key(|(name, _)| !is_model(name));

    for (name, path) in objects {
        delete(&path, location).await.map_err(|why| fault(unit, &name, &why))?;
        files.remove(&name);
    }

    listing.files.remove(unit);
    Ok(())
}

async fn delete(path: &Path, location: &StoreLocation) -> Result<(), String> {
    match tokio::time::timeout(STALL_TIMEOUT, location.store.delete(path)).await {
        // Another server was faster.
        Ok(Ok(()) | Err(Error::NotFound { .. })) => Ok(()),
        Ok(Err(error)) => Err(store_error_text(&error)),
        Err(_) => Err(format!("no answer was received for {} s", STALL_TIMEOUT.as_secs())),
    }
}

fn fault(unit: &SyncUnit, name: &str, why: &str) -> String {
    let model = unit.model();
    format!(
        "the store does not delete {}: {why}; permit the server's credentials to delete objects, or remove `prune` \
         from {model}/model.toml",
        unit.file(name)
    )
}
