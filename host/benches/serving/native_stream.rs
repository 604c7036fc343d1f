//! The baseline of answers in parts: axum's own server-sent events, with the same parts in them.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::post;
use futures_util::Stream;
use futures_util::stream::iter;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    text_input: String,
    parts: u32,
}

#[derive(Serialize)]
struct Part {
    model_name: &'static str,
    model_version: &'static str,
    last: bool,
    text_output: String,
    index: u32,
}

/// What answers as the test guest `streamer` does.
pub(super) fn routes() -> Router {
    Router::new().route("/v2/models/streamer/generate_stream", post(generate_stream))
}

async fn generate_stream(body: Bytes) -> Result<Sse<impl Stream<Item = Result<Event, serde_json::Error>>>, StatusCode> {
    let Request { text_input, parts } = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let part = move |index| Part {
        model_name: "streamer",
        model_version: "1",
        last: index + 1 == parts,
        text_output: format!("{text_input}{index} "),
        index,
    };
    let event = move |index| serde_json::to_string(&part(index)).map(|json| Event::default().data(json));
    Ok(Sse::new(iter((0..parts).map(event))))
}
