//! The count of one request, from the moment when its version is found.

use std::time::Instant;

use super::{ServableHandle, Timings};
use crate::model::{InferError, InferRequest};

/// The count of one request. It counts how the request has ended, once its answer has been written
/// or its error is known; dropped before that, because the caller has gone, it counts nothing.
pub struct Tally {
    servable: ServableHandle,
    received: Instant,
    rows: u64,
}

impl Tally {
    /// The count of a request for that version, received then.
    pub fn begin(servable: &ServableHandle, received: Instant) -> Self {
        Tally { servable: servable.clone(), received, rows: 1 }
    }

    /// Notes how many rows the request has, once it has been read.
    pub fn note_rows(&mut self, request: &InferRequest) {
        self.rows = self.servable.metadata().rows(request);
    }

    /// Counts an answer that came as a whole.
    pub fn answered(self, timings: &Timings) {
        self.servable.metrics().succeeded(timings, self.rows);
    }

    /// Counts an answer that was asked for in parts. How long the call of a model that streams took
    /// is its reader's doing as much as its own, and is not counted with the other calls.
    pub fn answered_in_parts(self, timings: &Timings) {
        match self.servable.template().has_streaming() {
            true => self.servable.metrics().streamed(timings, self.rows),
            false => self.answered(timings),
        }
    }

    /// Counts a request that was not answered.
    pub fn failed(self, error: &InferError) {
        self.servable.metrics().failed(error, self.received.elapsed());
    }
}
