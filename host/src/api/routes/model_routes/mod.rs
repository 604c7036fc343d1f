//! The routes of models: paths that a `model.toml` declares, see [`ModelRoute`].
//!
//! The router asks here for every path that is not the server's own. The tenant of the request is
//! found first, then the route and with it the version that answers, so that a request sees the
//! routes of one version only.
//!
//! [`ModelRoute`]: crate::model::ModelRoute

mod answer;
mod check;
mod codec;
mod document;
mod events;
mod inference_operations;
mod multipart;
mod parts;
mod request;
mod socket;

#[cfg(fuzzing)]
pub(in crate::api) mod fuzzing;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::header::{ALLOW, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::api::auth::{self, Access, Caller};
use crate::api::context::RequestContext;
use crate::api::error::ApiError;
use crate::api::extract::ModelPath;
use crate::api::inference;
use crate::api::routes::generate::events::EventStream;
use crate::api::routes::generate::generation::Generation;
use crate::api::state::ApiState;
use crate::api::unary;
use crate::api::websocket;
use crate::dataplane::RouteSearch;
use crate::model::{ModelRoute, RESERVED_SEGMENTS, RouteMethod};
use crate::servable::ServableHandle;
use crate::tenant::Tenant;
pub use check::check_routes;
use codec::RouteCodec;
pub(in crate::api) use document::{document_work, write_document};
use events::RouteEvents;
use request::RequestHead;

/// Answers a request to a path that is not the server's own.
pub(in crate::api) async fn handle(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    mut request: Request<Body>,
) -> Response {
    websocket::move_key_to_header(request.headers_mut());
    let path = request.uri().path();
    let nothing = || ApiError::no_such_path(path).into_response();
    // Without routes, a path that leads nowhere does so for every caller.
    if is_reserved(path) || !state.dataplane.has_routes() {
        return nothing();
    }

    let caller = match auth::authorize(&state, request.headers(), Access::Key) {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(),
    };
    caller.record_on(&context.connection);
    let tenant = match caller.tenant() {
        Ok(tenant) => tenant.clone(),
        Err(refusal) => return refusal.into_response(),
    };
    // The answer does not depend on the routes of other tenants.
    if !state.dataplane.tenant_has_routes(tenant.name()) {
        return nothing();
    }
    if let Err(refusal) = caller.require(Access::Infer) {
        return refusal.into_response();
    }

    let method = RouteMethod::of_request(request.method().as_str());
    match state.dataplane.find_route(tenant.name(), method, path) {
        RouteSearch::Nothing => nothing(),
        RouteSearch::OtherMethods(methods) => other_methods(request.method(), &methods),
        RouteSearch::Found(route, servable, values) => {
            let is_head = request.method() == Method::HEAD;
            let found = Found { route, servable, values };
            let response = match found.route.websocket {
                true => socket::connect(&state, &context, &tenant, found, request).await,
                false => answer(&state, &context, &caller, &tenant, found, request).await,
            };
            if is_head { without_body(response) } else { response }
        }
    }
}

/// True if a path begins like one of the server's own.
fn is_reserved(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    RESERVED_SEGMENTS.contains(&first)
}

/// Answers a request whose method no route at its path has: `OPTIONS` with the methods, and any
/// other one with 405, to which the service adds a text.
fn other_methods(method: &Method, methods: &[RouteMethod]) -> Response {
    let mut names: Vec<_> = methods.iter().map(|method| method.name()).collect();
    if methods.contains(&RouteMethod::Get) {
        names.push("HEAD");
    }

    let is_options = *method == Method::OPTIONS;
    let status = if is_options { StatusCode::NO_CONTENT } else { StatusCode::METHOD_NOT_ALLOWED };
    let allow = HeaderValue::from_str(&names.join(",")).unwrap_or(HeaderValue::from_static(""));

    (status, [(ALLOW, allow)]).into_response()
}

/// A route that was found, with the version that answers it and the values in the path.
struct Found {
    route: Arc<ModelRoute>,
    servable: ServableHandle,
    values: Vec<String>,
}

async fn answer(
    state: &ApiState,
    context: &RequestContext,
    caller: &Caller,
    tenant: &Arc<Tenant>,
    found: Found,
    request: Request<Body>,
) -> Response {
    let Found { route, servable, values } = found;
    let query = request.uri().query().unwrap_or_default().to_owned();
    let codec = RouteCodec::new(
        route.clone(),
        RequestHead { path: values, query, ..RequestHead::default() },
    );
    let path = ModelPath { model: servable.id().name.to_string(), version: None };
    let admitted = inference::admit_to(state, context, tenant, &path, servable);

    if route.stream {
        let stream = |resolved| async move {
            let codec = |headers: &HeaderMap| codec.check_type(headers);
            let generation = Generation::start(state, caller, resolved, request, codec).await?;
            let events = EventStream::start(generation, RouteEvents).await?;
            // The events hold their memory themselves.
            Ok((events.into_response(), None))
        };
        return inference::respond_admitted(state, context, tenant, &path, admitted, stream).await;
    }

    let whole = |resolved| {
        unary::infer_and_record(state, caller, resolved, request, |headers| {
            codec.check_type(headers)
        })
    };
    inference::respond_admitted(state, context, tenant, &path, admitted, whole).await
}

/// Removes the body of a response and keeps its length, as `HEAD` asks for.
fn without_body(mut response: Response) -> Response {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    response.map(|_| Body::empty())
}
