//! The baseline of streamed responses: server-sent events of axum with the same parts, made while
//! they are written or, as for a model that computes, on another thread.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::routing::post;
use futures_util::Stream;
use futures_util::stream::{iter, unfold};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::channel;

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

/// The routes that respond as the test guest `streamer` does.
pub(super) fn routes() -> Router {
    let at_once = Router::new().route("/v2/models/streamer/generate_stream", post(at_once));
    at_once.route("/v2/models/threaded/generate_stream", post(on_a_thread))
}

async fn at_once(body: Bytes) -> Result<Sse<impl Stream<Item = Made>>, StatusCode> {
    Ok(Sse::new(iter(events(&body)?)))
}

async fn on_a_thread(body: Bytes) -> Result<Sse<impl Stream<Item = Made>>, StatusCode> {
    let mut events = events(&body)?;
    // The capacity of the channel between a guest and its reader.
    let (sender, receiver) = channel(16);
    tokio::task::spawn_blocking(move || events.try_for_each(|event| sender.blocking_send(event)));
    Ok(Sse::new(unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|event| (event, receiver))
    })))
}

type Made = Result<Event, serde_json::Error>;

fn events(body: &[u8]) -> Result<impl Iterator<Item = Made> + Send + use<>, StatusCode> {
    let Request { text_input, parts } =
        serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let part = move |index| Part {
        model_name: "streamer",
        model_version: "1",
        last: index + 1 == parts,
        text_output: format!("{text_input}{index} "),
        index,
    };

    Ok((0..parts).map(move |index| {
        serde_json::to_string(&part(index)).map(|json| Event::default().data(json))
    }))
}
