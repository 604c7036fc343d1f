//! `GET /metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::caller::Caller;
use super::media::Accepted;
use crate::telemetry::to_text_format;

const OPEN_METRICS: &str = "application/openmetrics-text";
const TEXT: &str = "text/plain";

/// `GET /metrics`, in the OpenMetrics format, or in Prometheus' older text format for those who prefer that.
pub(super) async fn metrics(State(state): State<Arc<ApiState>>, caller: Caller, headers: HeaderMap) -> Response {
    const OPEN_METRICS_TYPE: HeaderValue =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    const TEXT_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    const VARIES: HeaderValue = HeaderValue::from_static("accept");
    let text = match caller.named() {
        Some(tenant) if !caller.is_admin() => state.telemetry.render_for(tenant.name()),
        _ => state.telemetry.render(),
    };
    let accepted = Accepted::of(&headers);
    let (media, text) = match accepted.weight(TEXT) > accepted.weight(OPEN_METRICS) {
        true => (TEXT_TYPE, to_text_format(&text)),
        false => (OPEN_METRICS_TYPE, text),
    };
    ([(CONTENT_TYPE, media), (VARY, VARIES)], text).into_response()
}
