//! The API documentation: `/openapi.json`, and `/docs`, a page that shows it and can call models.
//!
//! Neither contains tenant data. The page lists models with the API key that the user enters.

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::dashboard;
use super::model_routes;
use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::http::media_type::AcceptHeader;
use crate::api::http::offload;
use crate::api::http::request_memory::RequestMemory;
use crate::api::http::response_compression::StaticDocument;
use crate::api::openapi::{self, errors};
use crate::api::state::ApiState;
use crate::tenant::Pacer;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::get("/openapi.json", Access::Open, document).describe(Operation {
            id: "openapi",
            tag: "server",
            summary: "This document",
            response_body: "application/json",
            ..OPERATION
        }),
        route::get("/v2/models/{model}/openapi.json", Access::Key, model_document).describe(
            Operation {
                id: "model_openapi",
                tag: "models",
                summary: "A document of a model: inference and routes of its own, with its types",
                response_body: "application/json",
                errors: errors::MODEL,
                ..OPERATION
            },
        ),
        route::get("/docs", Access::Open, page).describe(Operation {
            id: "docs",
            tag: "server",
            summary: "A page that shows this document and lets one try a model",
            response_body: "text/html",
            ..OPERATION
        }),
        route::get("/", Access::Open, root).describe(Operation {
            id: "root",
            tag: "server",
            summary: "A sign of life; the dashboard for browsers",
            response_body: "Alive",
            ..OPERATION
        }),
    ]
}

/// `GET /openapi.json`. The document is built once.
async fn document(headers: HeaderMap) -> Response {
    static DOCUMENT: LazyLock<StaticDocument> = LazyLock::new(|| {
        StaticDocument::compress(openapi::document(&super::endpoints()).to_string())
    });

    DOCUMENT.respond(HeaderValue::from_static("application/json"), &headers)
}

/// `GET /v2/models/{m}/openapi.json`: the requests of the version that serves.
async fn model_document(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
) -> Result<Response, ApiError> {
    let servable = path.find(&state, &caller)?;
    let tenant = caller.tenant()?;
    let bytes = model_routes::document_work(servable.metadata(), &servable.settings().routes);
    let mut memory = RequestMemory::new(tenant);
    let write = move |pacer: &Pacer| model_routes::write_document(&servable, &mut memory, pacer);

    let document = offload::run(&state.workers, Some(tenant), bytes, write).await??;
    let json = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, json)], document).into_response())
}

/// `GET /docs`.
async fn page(headers: HeaderMap) -> Response {
    // The page is self-contained and connects to this server only.
    const POLICY: HeaderValue = HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    static PAGE: LazyLock<StaticDocument> =
        LazyLock::new(|| StaticDocument::compress(include_str!("page.html")));

    let mut response = PAGE.respond(HeaderValue::from_static("text/html; charset=utf-8"), &headers);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);

    response
}

/// `GET /`: the dashboard for browsers, or the documentation page if there is no dashboard; a
/// liveness answer for other clients.
async fn root(State(state): State<Arc<ApiState>>, headers: HeaderMap) -> Response {
    let is_browser = AcceptHeader::from_headers(&headers).lists("text/html");

    let mut response = match (is_browser, dashboard::page_response(&state, &headers)) {
        (true, Some(dashboard)) => dashboard,
        (true, None) => page(headers).await,
        (false, _) => json_response(&json!({ "status": "alive" })),
    };

    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    response
}
