//! A store's answer to a request for a listing: it counts only if it is what the store's protocol
//! says.
//!
//! `object_store` reads answers leniently. It takes an HTML page, an error document or any other
//! XML for an empty listing. It also refuses a whole listing for one object whose name cannot be a
//! path. So every answer is looked at before `object_store` sees it ([`Connector`]): an answer that
//! is not a listing is refused with the reason, and entries that cannot be files here are cut out
//! and counted.

mod azure;
mod bucket;
mod connector;
mod document;
mod entries;
mod web;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

pub(super) use connector::Connector;
use entries::Entries;

/// What a store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// S3, and Google Cloud Storage, which lists in the same format.
    Bucket,
    /// Azure Blob Storage.
    Azure,
    /// WebDAV.
    Web,
}

/// The answer is not a listing of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store's answer is not a listing: {0}")]
pub(super) struct NotAListing(pub(super) String);

/// How many listed objects were skipped because they cannot be files here, and the name of the
/// first.
#[derive(Clone, Debug, Default)]
pub(super) struct Skipped(Arc<Mutex<Option<(usize, String)>>>);

impl Skipped {
    /// Adds what one answer held.
    fn add(&self, count: usize, first: String) {
        if count > 0 {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((0, first)).0 +=
                count;
        }
    }

    /// Takes what was counted since the last call.
    pub(super) fn take(&self) -> Option<(usize, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
