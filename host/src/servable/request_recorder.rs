//! Counts one request's outcome in its version's metrics and statistics.

use std::time::Instant;

use super::{ServableHandle, Timings};
use crate::engine::Interface;
use crate::model::{InferError, InferRequest};

/// Counts the outcome of one request once its response is written or its error is known. Counts
/// nothing if it is dropped before that, because the caller disconnected.
pub struct RequestRecorder {
    servable: ServableHandle,
    received: Instant,
    rows: u64,
}

impl RequestRecorder {
    /// Returns the recorder for a request to that version, received at that time.
    pub fn new(servable: &ServableHandle, received: Instant) -> Self {
        RequestRecorder { servable: servable.clone(), received, rows: 1 }
    }

    /// Stores the request's number of rows, once it is decoded.
    pub fn set_rows(&mut self, request: &InferRequest) {
        self.rows = self.servable.metadata().rows(request);
    }

    /// Counts a request that was answered with one response.
    pub fn record_success(self, timings: &Timings) {
        self.servable.metrics().succeeded(timings, self.rows);
        self.record_answer();
    }

    /// Counts a request that was answered with a stream. The call time of a model that streams
    /// depends on its reader too, so it is not counted in the compute phase.
    pub fn record_stream_success(self, timings: &Timings) {
        match self.servable.template().has(Interface::Streaming) {
            true => {
                self.servable.metrics().streamed(timings, self.rows);
                self.record_answer();
            }
            false => self.record_success(timings),
        }
    }

    /// Counts a request that failed.
    pub fn record_failure(self, error: &InferError) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.received);
        self.servable.metrics().failed(error, took);
        self.servable.history().record_failure(now);
    }

    fn record_answer(&self) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.received);
        self.servable.history().record_answer(now, took);
    }
}
