//! What a store lists: which objects, of what size, and what tells whether one has changed.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::location::{Location, PATIENCE, plain};
use super::unit::{Files, Unit};
use crate::model::sanitize;

/// Everything of a repository that a store lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) files: Files<Object>,
    /// How many objects are none of the repository's, and the first of them.
    pub(super) ignored: Option<(usize, String)>,
}

/// One object as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// What the store calls it.
    pub(super) path: Path,
    /// What the store gave to ask for exactly this content, if it did.
    pub(super) etag: Option<String>,
    /// What it holds, as far as a listing tells.
    pub(super) tag: Tag,
    /// When it was written, in milliseconds since 1970.
    pub(super) modified: i64,
}

/// What differs whenever an object's content does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tag {
    /// Its ETag, or its time where the store has none.
    pub(super) mark: String,
    /// Bytes.
    pub(super) size: u64,
}

/// Ten times the largest repository thought of; listing so many takes a store a minute.
const MAX_OBJECTS: usize = 100_000;

/// Lists everything in a folder. Fails with what went wrong, also if that is only that there is too
/// much.
pub(super) async fn list(location: &Location) -> Result<Listing, String> {
    let prefix = Some(&location.prefix).filter(|prefix| !prefix.as_ref().is_empty());
    // What an earlier listing that failed has left there.
    location.skipped.take();
    let mut objects = location.store.list(prefix);
    let mut listing = Listing::default();
    for _ in 0..=MAX_OBJECTS {
        let next = tokio::time::timeout(PATIENCE, objects.next()).await;
        match next.map_err(|_| format!("nothing came for {} s", PATIENCE.as_secs()))? {
            Some(object) => listing.add(&location.prefix, object.map_err(|error| plain(&error))?),
            None => return Ok(listing.with_skipped(location.skipped.take())),
        }
    }
    Err(format!("there are more than {MAX_OBJECTS} objects; name a folder that holds models only"))
}

impl Listing {
    fn add(&mut self, prefix: &Path, meta: ObjectMeta) {
        let within = within(&meta.location, prefix);
        match within.and_then(Unit::of) {
            Some((unit, name)) => {
                drop(self.files.entry(unit).or_default().insert(name, Object::of(meta)))
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
        // Some tools make objects without content that stand for folders.
        if size > 0 {
            self.ignored.get_or_insert_with(|| (0, sanitize(path, 128))).0 += 1;
        }
    }
}

/// The name of an object within the repository; `None` if it is not in there.
fn within<'a>(location: &'a Path, prefix: &Path) -> Option<&'a str> {
    let rest = location.as_ref().strip_prefix(prefix.as_ref())?;
    if prefix.as_ref().is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

impl Object {
    fn of(meta: ObjectMeta) -> Self {
        let modified = meta.last_modified.timestamp_millis();
        let mark = meta.e_tag.clone().unwrap_or_else(|| format!("modified {modified}"));
        Object {
            path: meta.location,
            etag: meta.e_tag,
            tag: Tag { mark, size: meta.size },
            modified,
        }
    }
}

/// What is needed to tell whether a unit has changed.
pub(super) fn tags(files: &BTreeMap<String, Object>) -> BTreeMap<String, Tag> {
    files.iter().map(|(name, object)| (name.clone(), object.tag.clone())).collect()
}
