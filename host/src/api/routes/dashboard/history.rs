//! `GET /v2/models/{m}/history`: the last hour of a model, by minute, and its plots.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::plots::Plots;
use super::state::summary_json;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::http::offload;
use crate::api::http::query_parameters::QueryParameters;
use crate::api::state::ApiState;
use crate::model::InferError;
use crate::telemetry::{Publication, RequestSummary};
use crate::tenant::Pacer;

/// Widths of a plot in CSS pixels: from a phone's to a wide window's.
const WIDTHS: std::ops::RangeInclusive<u32> = 280..=1200;

/// Width of a plot if the client does not say otherwise.
const DEFAULT_WIDTH: u32 = 640;

/// Approximate size of the answer in bytes, which drawing is compared with.
const BYTES: usize = 32 << 10;

/// `GET /v2/models/{m}/history[?width=pixels]`.
pub(super) async fn history(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
    query: QueryParameters,
) -> Result<Response, ApiError> {
    let width = query.number("width")?.unwrap_or(DEFAULT_WIDTH);
    let width = width.clamp(*WIDTHS.start(), *WIDTHS.end());
    let servable = path.find(&state, &caller)?;

    let write = move |_: &Pacer| {
        let now = Instant::now();
        let history = servable.history();
        let (minutes, publications) = (history.minutes(now), history.publications(now));
        let plots = Plots { minutes: &minutes, publications: &publications, width };

        let latency = plots.latency().map_err(|error| error.to_string())?;
        let requests = plots.requests().map_err(|error| error.to_string())?;
        Ok(json!({
            "name": path.model,
            "minutes": minutes.iter().map(minute_json).collect::<Vec<_>>(),
            "published": publications.iter().map(publication_json).collect::<Vec<_>>(),
            "plots": { "latency": latency, "requests": requests },
        }))
    };

    let written = offload::run(&state.workers, Some(caller.tenant()?), BYTES, write).await?;
    let json = written.map_err(|error: String| InferError::Internal(error))?;

    Ok(json_response(&json))
}

fn minute_json(minute: &RequestSummary) -> Value {
    let mut json = summary_json(minute);
    json["minutes_ago"] = minute.minutes_ago.into();
    json
}

fn publication_json(publication: &Publication) -> Value {
    json!({
        "version": publication.version.to_string(),
        "seconds_ago": publication.ago.as_secs(),
    })
}
