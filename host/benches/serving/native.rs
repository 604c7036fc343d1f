//! The baseline: an ordinary axum handler that runs the same trees, with the same JSON.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::serve::ListenerExt;
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::native_stream;
use tokio::net::TcpListener;

// Its tests run with the model. Here they would only raise warnings.
#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "../../../guest-models/house-price/src/trees.rs"]
mod trees;

pub(crate) use trees::Trees;

#[derive(Deserialize)]
struct Request {
    id: Option<String>,
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    shape: [usize; 2],
    datatype: String,
    data: Vec<f64>,
}

#[derive(Serialize)]
struct Response {
    model_name: &'static str,
    model_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: [Output; 1],
}

#[derive(Serialize)]
struct Output {
    name: &'static str,
    datatype: &'static str,
    shape: [usize; 2],
    data: Vec<f64>,
}

type Refusal = (StatusCode, &'static str);

/// Serves until the process is killed, at the latest with its parent.
pub(crate) fn serve() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;

    runtime.block_on(async {
        let app = Router::new()
            .route("/v2/models/house-price/infer", post(infer))
            .with_state(Arc::new(trees()?));
        let app = app.merge(native_stream::routes());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        Ok(axum::serve(listener, app).await?)
    })
}

/// The trees of the component.
pub(crate) fn trees() -> Result<Trees> {
    let parsed = Trees::parse(include_str!("../../../guest-models/house-price/trees.txt"));
    parsed.map_err(anyhow::Error::msg).context("trees.txt")
}

async fn infer(State(trees): State<Arc<Trees>>, body: Bytes) -> Result<impl IntoResponse, Refusal> {
    let request = serde_json::from_slice(&body).map_err(|_| refuse("not an inference request"))?;
    let response =
        serde_json::to_vec(&answer(&trees, request)?).map_err(|_| refuse("not a number"))?;
    Ok(([(CONTENT_TYPE, "application/json")], response))
}

fn answer(trees: &Trees, request: Request) -> Result<Response, Refusal> {
    let [input] = request.inputs.as_slice() else { return Err(refuse("not one input")) };
    check(trees, input).map_err(refuse)?;
    let data: Vec<_> =
        input.data.chunks_exact(trees.features()).map(|row| trees.predict(row)).collect();
    let output = Output { name: "price", datatype: "FP64", shape: [data.len(), 1], data };
    Ok(Response {
        model_name: "house-price",
        model_version: "1",
        id: request.id,
        outputs: [output],
    })
}

/// Checks an input as Wardian and the model do.
fn check(trees: &Trees, input: &Input) -> Result<(), &'static str> {
    let [rows, features] = input.shape;
    if input.name != "features" || input.datatype != "FP64" {
        return Err("not the input 'features' of FP64");
    }
    if features != trees.features() || rows.checked_mul(features) != Some(input.data.len()) {
        return Err("not the shape [rows, 11]");
    }
    let finite = input.data.iter().all(|value| (*value as f32).is_finite());
    if finite { Ok(()) } else { Err("every feature must be a finite number") }
}

fn refuse(reason: &'static str) -> Refusal {
    (StatusCode::BAD_REQUEST, reason)
}
