//! The HTTP service: entry and exit of every request.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::header::ALLOW;
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::Service;

use super::auth::{self, Access, Caller};
use super::connection::Connection;
use super::error::ApiError;
use super::infer::{self, Target};
use super::{ApiState, head_checks, json, request_id, router, unread_body};
use crate::model::RequestId;

/// The HTTP interface. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    state: Arc<ApiState>,
    router: Router,
}

/// The request context: facts that are known before the request is parsed.
#[derive(Clone)]
pub(super) struct RequestContext {
    /// Identifies the request in its response and in the log.
    pub(super) request_id: RequestId,
    /// Arrival time of the request head. Deadlines count from here.
    pub(super) received: Instant,
    /// The connection that carries the request.
    pub(super) connection: Connection,
}

/// The response header with the durations of the processing steps, in milliseconds (W3C Server
/// Timing).
pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

impl Api {
    /// Creates the interface over these services.
    pub fn new(state: ApiState) -> Self {
        let state = Arc::new(state);
        Api { router: router::router(state.clone()), state }
    }

    /// Answers one request that arrived on `connection`. Never fails: a panic in a handler becomes
    /// a 500 response.
    ///
    /// Dropping the future cancels the request.
    pub async fn serve(&self, request: Request<Body>, connection: Connection) -> Response {
        let (request_id, received) = (request_id::from_headers(request.headers()), Instant::now());
        let context = RequestContext { request_id, received, connection };
        let (request, unread) = unread_body::track(request);
        let outcome = AssertUnwindSafe(self.route(request, &context)).catch_unwind().await;
        let mut response = outcome.unwrap_or_else(|panic| panic_response(&context, panic.as_ref()));

        let read = match unread {
            Some(unread) => {
                let _refusing = context.connection.start_discarding();
                unread.discard().await
            }
            None => true,
        };

        if !read || self.state.dataplane.is_stopping() {
            context.connection.close_after(&mut response);
        }

        context.add_common_headers(&mut response);

        response
    }

    async fn route(&self, request: Request<Body>, context: &RequestContext) -> Response {
        if let Err(refusal) = self.check_head(&request) {
            return refusal.into_response();
        }

        // Nearly all requests are inference. Handling them before the router saves a boxed future,
        // a copy of the path parameters and two allocations per request.
        if request.method() == Method::POST
            && let Some(target) = Target::parse(request.uri().path())
        {
            return match auth::authorize(&self.state, request.headers(), Access::Infer) {
                Ok(caller) => {
                    context.record_tenant(&caller);
                    infer::respond(&self.state, context, &caller, target, request).await
                }
                Err(refusal) => refusal.into_response(),
            };
        }

        self.route_to_handler(request, context.clone()).await
    }

    /// Checks the request head. Fails if no route accepts such a request.
    fn check_head(&self, request: &Request<Body>) -> Result<(), ApiError> {
        head_checks::check(request)?;
        if self.state.tenants.require_keys() { Ok(()) } else { self.state.hosts.check(request) }
    }

    async fn route_to_handler(
        &self,
        mut request: Request<Body>,
        context: RequestContext,
    ) -> Response {
        request.extensions_mut().insert(context);

        let method = request.method().clone();
        let response = self.router.clone().call(request).await.into_response();
        let refused = response.status() == StatusCode::METHOD_NOT_ALLOWED;

        if refused { method_not_allowed(&method, response) } else { response }
    }
}

impl RequestContext {
    /// Records the caller's tenant on the connection.
    pub(super) fn record_tenant(&self, caller: &Caller) {
        if let Some(tenant) = caller.optional_tenant() {
            self.connection.set_tenant(tenant.name());
        }
    }

    /// Adds the headers that every response carries.
    fn add_common_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(request_id::REQUEST_ID_HEADER, request_id::to_header(&self.request_id));
        if !headers.contains_key(SERVER_TIMING) {
            headers.insert(SERVER_TIMING, server_timing(&[("total", self.received.elapsed())]));
        }
    }
}

/// Formats a `Server-Timing` value from names and durations.
pub(super) fn server_timing(parts: &[(&str, Duration)]) -> HeaderValue {
    let mut text = Vec::with_capacity(64);
    for (index, (name, duration)) in parts.iter().enumerate() {
        if index > 0 {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b";dur=");
        write_millis(&mut text, *duration);
    }

    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}

fn write_millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = duration.as_micros() as u64;
    json::write_integer(out, micros / 1000);

    let rest = micros % 1000;
    out.extend([b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
}

fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// Keeps axum's `Allow` header and adds an error body in the usual form.
fn method_not_allowed(method: &Method, bare: Response) -> Response {
    let allow = bare.headers().get(ALLOW).cloned().unwrap_or(HeaderValue::from_static(""));
    let mut response =
        ApiError::method_not_allowed(method, allow.to_str().unwrap_or_default()).into_response();
    response.headers_mut().insert(ALLOW, allow);

    response
}

fn panic_response(context: &RequestContext, panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    tracing::error!(request_id = %context.request_id, code = "internal", panic = text, "a request handler panicked");

    ApiError::from(crate::model::InferError::Internal(text.into())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timings_are_in_milliseconds() {
        let parts = [
            ("queue", Duration::from_nanos(12_999)),
            ("compute", Duration::from_micros(1_234_050)),
        ];
        assert_eq!(server_timing(&parts), "queue;dur=0.012, compute;dur=1234.050");
    }
}
