//! The mirror as a refresh changes it: its folder together with the tags of its files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::fetch::mirror_io;
use super::listing::{ContentTag, Listing};
use super::location::StoreLocation;
use super::mirror_dir::MirrorDir;
use super::plan::{Plan, models_without_replacement};
use super::prune::{PruneRequest, delete_objects};
use super::sync_unit::{Files, SyncUnit};

/// The mirror's folder, and the tags of its files.
pub(super) struct MirrorState {
    pub(super) dir: MirrorDir,
    pub(super) files: Files<ContentTag>,
}

impl MirrorState {
    /// Opens the mirror in a folder, or creates it.
    pub(super) async fn open(folder: PathBuf) -> Result<Self, String> {
        let (dir, files) = mirror_io(move || MirrorDir::open(folder)).await?;
        Ok(MirrorState { dir, files })
    }

    /// Deletes versions from the store, and then from the mirror.
    pub(super) async fn prune(
        &mut self,
        request: PruneRequest,
        listing: &mut Listing,
        location: &Arc<StoreLocation>,
    ) {
        let PruneRequest { name, versions, reply } = request;
        let mut faults = BTreeMap::new();
        for version in versions {
            let unit = SyncUnit::Version(name.clone(), version);
            let mut failed = BTreeMap::new();
            match delete_objects(&unit, location, listing).await {
                Ok(()) => self.remove(&unit, &mut failed).await,
                Err(why) => drop(failed.insert(unit, why)),
            }
            faults.extend(failed.into_values().map(|why| (version, why)));
        }

        let _ = reply.send(faults);
    }

    /// Removes the planned units of models that have a replacement. Returns their number.
    pub(super) async fn remove_planned(
        &mut self,
        plan: &Plan,
        listing: &Listing,
        failed: &mut BTreeMap<SyncUnit, String>,
    ) -> usize {
        // A replacement may have failed, and an interceptor that is still needed must not be
        // removed.
        let kept = models_without_replacement(&listing.files, &self.files);
        let removed: Vec<_> =
            plan.remove.iter().filter(|unit| !kept.contains(unit.model())).collect();

        for unit in &removed {
            self.remove(unit, failed).await;
        }
        removed.len()
    }

    async fn remove(&mut self, unit: &SyncUnit, failed: &mut BTreeMap<SyncUnit, String>) {
        let dir = self.dir.clone();
        let removed = unit.clone();

        match mirror_io(move || dir.remove(&removed)).await {
            Ok(()) => drop(self.files.remove(unit)),
            Err(why) => drop(failed.insert(unit.clone(), why)),
        }
    }

    /// Writes the record of the mirrored files.
    pub(super) async fn save(&self) -> Result<(), String> {
        let dir = self.dir.clone();
        let files = self.files.clone();
        mirror_io(move || dir.save(&files)).await
    }

    /// Writes the record. Makes the mirror visible to scans if it is useful: complete, or not
    /// empty.
    pub(super) async fn finish(&mut self, is_useful: bool) -> Result<(), String> {
        self.save().await?;

        if is_useful {
            let mut dir = self.dir.clone();
            let publish =
                move || dir.make_visible().and_then(|()| dir.remove_others()).map(|()| dir);
            self.dir = mirror_io(publish).await?;
        }

        Ok(())
    }
}
