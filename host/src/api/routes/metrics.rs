//! `GET /metrics`: metrics for Prometheus.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::http::media_type::AcceptHeader;
use crate::api::http::offload;
use crate::api::state::ApiState;
use crate::telemetry::to_text_format;
use crate::tenant::Pacer;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![route::get("/metrics", Access::Key, metrics).describe(Operation {
        id: "metrics",
        tag: "server",
        summary: "Metrics for Prometheus",
        response_body: "application/openmetrics-text,text/plain",
        ..OPERATION
    })]
}

const OPEN_METRICS: &str = "application/openmetrics-text";
const TEXT: &str = "text/plain";

/// `GET /metrics`: OpenMetrics, or Prometheus' older text format if the client prefers it.
async fn metrics(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    const OPEN_METRICS_TYPE: HeaderValue =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    const TEXT_TYPE: HeaderValue =
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    const VARIES: HeaderValue = HeaderValue::from_static("accept");

    let accepted = AcceptHeader::from_headers(&headers);
    let as_text = accepted.weight(TEXT) > accepted.weight(OPEN_METRICS);
    let tenant = caller.optional_tenant().filter(|_| !caller.is_admin());
    let telemetry = state.telemetry.clone();
    let name = tenant.map(|tenant| tenant.name().clone());

    let write = move |_: &Pacer| {
        let text = match name {
            Some(name) => telemetry.render_for_tenant(&name),
            None => telemetry.render(),
        };
        if as_text { to_text_format(&text) } else { text }
    };

    let text = offload::run(
        &state.workers,
        tenant.map(Arc::as_ref),
        state.telemetry.rendered_size(),
        write,
    )
    .await?;
    let media = if as_text { TEXT_TYPE } else { OPEN_METRICS_TYPE };

    Ok(([(CONTENT_TYPE, media), (VARY, VARIES)], text).into_response())
}
