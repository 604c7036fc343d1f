//! A streamed answer: chunks as server-sent events, and `[DONE]`.

use std::sync::Arc;

use axum::body::Bytes;

use super::answer::Head;
use super::settled::Settled;
use super::{Generation, TextCodec, read_text, take_text};
use crate::api::error::ApiError;
use crate::api::routes::generate::events::{EventFormat, to_event};
use crate::api::routes::openai::error;
use crate::model::{InferError, InferResponse};
use crate::tenant::Pacer;

/// The chunks of an answer.
pub(super) struct ChunkEvents {
    head: Arc<Head>,
    settled: Settled,
    /// True once the first chunk is written.
    has_begun: bool,
}

const DONE: &[u8] = b"data: [DONE]\n\n";

impl ChunkEvents {
    pub(super) fn new(generation: &Generation) -> Self {
        let head = Arc::new(Head::new(generation));
        ChunkEvents { head, settled: Settled::default(), has_begun: false }
    }

    /// Returns the chunk that comes before all others, once.
    fn begin(&mut self, generation: &Generation) -> Bytes {
        if std::mem::replace(&mut self.has_begun, true) {
            return Bytes::new();
        }

        let first = self.head.first(generation.form().includes_usage);
        first.map_or_else(Bytes::new, |first| to_event(&first))
    }
}

impl EventFormat for ChunkEvents {
    type Request = TextCodec;

    async fn part(
        &mut self,
        generation: &mut Generation,
        part: InferResponse,
    ) -> Result<Bytes, InferError> {
        let output = &generation.form().output;
        self.settled.add(&part, output);
        let Some(text) = take_text(part, output) else { return Ok(Bytes::new()) };

        let first = self.begin(generation);
        let head = Arc::clone(&self.head);
        let bytes = text.data.len();
        let includes_usage = generation.form().includes_usage;
        let work = move |_: &Pacer| {
            let chunk = head.chunk(read_text(&text)?, includes_usage);
            Ok(Bytes::from([&first[..], &to_event(&chunk)].concat()))
        };

        generation.work(bytes, work).await
    }

    async fn end(&mut self, generation: &mut Generation) -> Result<Bytes, InferError> {
        let first = self.begin(generation);
        let end = self.settled.end(generation);
        let includes_usage = generation.form().includes_usage;

        let last = to_event(&self.head.last(end.reason, includes_usage));
        let usage = match includes_usage {
            true => to_event(&self.head.usage(end.usage)),
            false => Bytes::new(),
        };

        Ok([&first[..], &last, &usage, DONE].concat().into())
    }

    fn error(&self, error: &ApiError) -> Bytes {
        to_event(&error::to_json(error))
    }
}
