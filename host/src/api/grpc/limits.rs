//! The bounds of calls that need no key and may last.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// Streams of health and reflection that the server has open at the same time.
const MAX_STREAMS: usize = 256;

/// Counts the open streams. Clones share the count.
#[derive(Clone)]
pub(super) struct OpenStreams(Arc<Semaphore>);

/// An open stream. Dropping it makes room for another.
pub(super) struct OpenStream {
    _permit: OwnedSemaphorePermit,
}

impl OpenStreams {
    pub(super) fn new() -> Self {
        OpenStreams(Arc::new(Semaphore::new(MAX_STREAMS)))
    }

    /// Counts a stream. Fails if there are too many.
    pub(super) fn open(&self) -> Result<OpenStream, Status> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit.map(|permit| OpenStream { _permit: permit }).map_err(|_| {
            Status::resource_exhausted(format!(
                "{MAX_STREAMS} streams of health and reflection are open; end one of them"
            ))
        })
    }
}
