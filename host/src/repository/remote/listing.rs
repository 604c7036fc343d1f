//! The listing of a store: its objects, their sizes, and the tags that identify their content.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::location::{STALL_TIMEOUT, StoreLocation, store_error_text};
use super::sync_unit::{Files, SyncUnit};
use crate::model::sanitize;

/// The listed objects of a repository.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) files: Files<ListedObject>,
    /// Number of objects that are not part of the repository, and the name of the first.
    pub(super) ignored: Option<(usize, String)>,
}

/// A listed object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedObject {
    /// Path of the object in the store.
    pub(super) path: Path,
    /// ETag, if the store returned one.
    pub(super) etag: Option<String>,
    /// Identifies the content.
    pub(super) tag: ContentTag,
    /// Time of the last modification in milliseconds since 1970.
    pub(super) modified: i64,
}

/// Identifies the content of an object: differs after every change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContentTag {
    /// ETag, or the modification time if the store has no ETags.
    pub(super) validator: String,
    /// Size in bytes.
    pub(super) size: u64,
}

/// Maximum number of objects: ten times the largest expected repository. Listing this many takes a
/// store a minute.
const MAX_OBJECTS: usize = 100_000;

/// Lists every object in a folder. Fails with the reason, also if there are too many objects.
pub(super) async fn list(location: &StoreLocation) -> Result<Listing, String> {
    let prefix = Some(&location.prefix).filter(|prefix| !prefix.as_ref().is_empty());
    // Discards the count of an earlier listing that failed.
    location.skipped.take();
    let mut objects = location.store.list(prefix);
    let mut listing = Listing::default();

    for _ in 0..=MAX_OBJECTS {
        let next = tokio::time::timeout(STALL_TIMEOUT, objects.next()).await;
        match next.map_err(|_| format!("no data was received for {} s", STALL_TIMEOUT.as_secs()))? {
            Some(object) => {
                listing.add(&location.prefix, object.map_err(|error| store_error_text(&error))?)
            }
            None => return Ok(listing.with_skipped(location.skipped.take())),
        }
    }

    Err(format!("there are more than {MAX_OBJECTS} objects; name a folder that holds models only"))
}

impl Listing {
    fn add(&mut self, prefix: &Path, meta: ObjectMeta) {
        let within = within(&meta.location, prefix);
        match within.and_then(SyncUnit::of) {
            Some((unit, name)) => {
                drop(self.files.entry(unit).or_default().insert(name, ListedObject::of(meta)))
            }
            None => self.ignore(within.unwrap_or(meta.location.as_ref()), meta.size),
        }
    }

    fn with_skipped(mut self, skipped: Option<(usize, String)>) -> Self {
        if let Some((count, first)) = skipped {
            self.ignored.get_or_insert((0, first)).0 += count;
        }
        self
    }

    fn ignore(&mut self, path: &str, size: u64) {
        // Some tools create empty objects that stand for folders.
        if size > 0 {
            self.ignored.get_or_insert_with(|| (0, sanitize(path, 128))).0 += 1;
        }
    }
}

/// Returns the path of an object within the repository; `None` if it lies outside.
fn within<'a>(location: &'a Path, prefix: &Path) -> Option<&'a str> {
    let rest = location.as_ref().strip_prefix(prefix.as_ref())?;
    if prefix.as_ref().is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

impl ListedObject {
    /// Time of the last modification. Times before 1970 become 1970.
    pub(super) fn modified(&self) -> SystemTime {
        let since = Duration::from_millis(u64::try_from(self.modified).unwrap_or_default());
        SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn of(meta: ObjectMeta) -> Self {
        let modified = meta.last_modified.timestamp_millis();
        let mark = meta.e_tag.clone().unwrap_or_else(|| format!("modified {modified}"));
        ListedObject {
            path: meta.location,
            etag: meta.e_tag,
            tag: ContentTag { validator: mark, size: meta.size },
            modified,
        }
    }
}

/// Returns the tags of a unit's files, which show if the unit has changed.
pub(super) fn tags(files: &BTreeMap<String, ListedObject>) -> BTreeMap<String, ContentTag> {
    files.iter().map(|(name, object)| (name.clone(), object.tag.clone())).collect()
}
