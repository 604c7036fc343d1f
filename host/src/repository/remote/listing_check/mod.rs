//! Checks of a store's responses to listing requests.
//!
//! `object_store` reads responses leniently. It takes an HTML page, an error document or any other
//! XML for an empty listing. It also fails a whole listing for one object whose name cannot be a
//! path. So every response is checked before `object_store` reads it ([`CheckingConnector`]): a
//! response that is not a listing is refused with the reason, and entries that cannot be files here
//! are removed and counted.

mod azure;
mod bucket;
mod connector;
mod document;
mod entries;
mod listing_request;
mod web;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

pub(super) use connector::CheckingConnector;
use entries::Entries;

use crate::mutex::lock;

/// The listing protocol of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// S3, and Google Cloud Storage, which lists in the same format.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// WebDAV.
    WebDav,
}

/// The response is not a listing of the requested folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store's response is not a listing: {0}")]
pub(super) struct NotAListing(pub(super) String);

/// Number of listed objects that were skipped because they cannot be files here, and the name of
/// the first.
#[derive(Clone, Debug, Default)]
pub(super) struct SkippedObjects(Arc<Mutex<Option<(usize, String)>>>);

impl SkippedObjects {
    /// Adds the count of one response.
    fn add(&self, count: usize, first: String) {
        if count > 0 {
            lock(&self.0).get_or_insert((0, first)).0 += count;
        }
    }

    /// Returns and resets the count.
    pub(super) fn take(&self) -> Option<(usize, String)> {
        lock(&self.0).take()
    }
}
