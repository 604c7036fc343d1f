//! The HTTP service: entry and exit of every request.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Method, Request, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::Service;

use super::auth::{self, Access};
use super::context::{RequestContext, SERVER_TIMING, server_timing};
use super::error::ApiError;
use super::extract::ModelPath;
use super::grpc::{self, Grpc};
use super::http::connection::Connection;
use super::http::{request_id, unread_body};
use super::routes::{infer, openai};
use super::state::ApiState;
use super::{head_checks, router};
use crate::model::InferError;

/// The HTTP interface. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    state: Arc<ApiState>,
    router: Router,
    grpc: Grpc,
}

impl Api {
    /// Creates the interface over these services.
    pub fn new(state: ApiState) -> Self {
        let state = Arc::new(state);
        Api { router: router::router(state.clone()), grpc: Grpc::new(&state), state }
    }

    /// Answers one request that arrived on `connection`. Never fails: a panic in a handler becomes
    /// a 500 response.
    ///
    /// Dropping the future cancels the request.
    pub async fn serve(&self, request: Request<Body>, connection: Connection) -> Response {
        let context = RequestContext {
            request_id: request_id::from_headers(request.headers()),
            received: Instant::now(),
            connection,
        };

        // HTTP/2 resets the stream of a body that is not read, and the connection goes on.
        let version = request.version();
        let (request, unread) = match version {
            Version::HTTP_2 => (request, None),
            _ => unread_body::track(request),
        };
        let is_call = grpc::is_call(&request);
        let is_openai = openai::error::is_openai(&request);
        let origin = self.state.cors.allowed_origin(request.headers());
        let handling = self.route(request, &context, origin.is_some());
        let outcome = AssertUnwindSafe(handling).catch_unwind().await;
        let mut response = outcome.unwrap_or_else(|panic| {
            let error = panic_error(&context, panic.as_ref());
            if is_call { grpc::failed(&error) } else { error.into_response() }
        });

        if is_openai {
            response = openai::error::convert(response);
        }

        let read = match unread {
            Some(unread) => {
                let _discarding = context.connection.start_discarding();
                unread.discard().await
            }
            None => true,
        };

        if !read || self.state.dataplane.is_stopping() {
            context.connection.close_after(&mut response);
        }

        add_common_headers(&context, &mut response);
        if version == Version::HTTP_2 {
            keep_from_compression_table(&mut response);
        }
        self.state.cors.add_headers(origin, &mut response);

        response
    }

    /// Answers a request. `is_allowed_page` is true if a page of another origin sent it that may.
    async fn route(
        &self,
        request: Request<Body>,
        context: &RequestContext,
        is_allowed_page: bool,
    ) -> Response {
        if let Err(refusal) = self.check_head(&request, is_allowed_page) {
            let is_call = grpc::is_call(&request);
            return if is_call { grpc::failed(&refusal) } else { refusal.into_response() };
        }

        if is_allowed_page && let Some(answer) = self.state.cors.preflight(&request) {
            return answer;
        }

        if grpc::is_call(&request) {
            return self.grpc.handle(&self.state, &self.router, context, request).await;
        }

        // Nearly all requests are inference. Handling them before the router saves a boxed future,
        // a copy of the path parameters and two allocations per request.
        if request.method() == Method::POST
            && let Some(path) = ModelPath::parse(request.uri().path())
        {
            return match auth::authorize(&self.state, request.headers(), Access::Infer) {
                Ok(caller) => {
                    caller.record_on(&context.connection);
                    infer::handle(&self.state, context, &caller, path, request).await
                }
                Err(refusal) => refusal.into_response(),
            };
        }

        self.route_to_handler(request, context.clone()).await
    }

    /// Checks the request head. Fails if no route accepts such a request.
    fn check_head(&self, request: &Request<Body>, is_allowed_page: bool) -> Result<(), ApiError> {
        head_checks::check(request)?;
        if self.state.tenants.require_keys() {
            return Ok(());
        }

        self.state.hosts.check(request)?;
        if is_allowed_page { Ok(()) } else { self.state.hosts.check_page(request) }
    }

    async fn route_to_handler(
        &self,
        mut request: Request<Body>,
        context: RequestContext,
    ) -> Response {
        request.extensions_mut().insert(context);

        let method = request.method().clone();
        let response = self.router.clone().call(request).await.into_response();
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => method_not_allowed(&method, response),
            _ => response,
        }
    }
}

/// Adds the headers that every response carries.
fn add_common_headers(context: &RequestContext, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(request_id::REQUEST_ID_HEADER, request_id::to_header(&context.request_id));

    if !headers.contains_key(SERVER_TIMING) {
        headers.insert(SERVER_TIMING, server_timing(&[("total", context.received.elapsed())]));
    }
}

/// Keeps the headers whose values occur once from HTTP/2's table of headers to refer to. Otherwise
/// each response would replace entries that later ones could use.
fn keep_from_compression_table(response: &mut Response) {
    for name in [request_id::REQUEST_ID_HEADER, SERVER_TIMING] {
        if let Some(value) = response.headers_mut().get_mut(name) {
            value.set_sensitive(true);
        }
    }
}

/// Answers a request whose method no route at its path has, from axum's `Allow` header: `OPTIONS`
/// with the methods, and any other one with an error body in the usual form.
fn method_not_allowed(method: &Method, bare: Response) -> Response {
    let allow = bare.headers().get(ALLOW).cloned().unwrap_or(HeaderValue::from_static(""));
    if *method == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, [(ALLOW, allow)]).into_response();
    }

    let mut response =
        ApiError::method_not_allowed(method, allow.to_str().unwrap_or_default()).into_response();
    response.headers_mut().insert(ALLOW, allow);

    response
}

fn panic_error(context: &RequestContext, panic: &(dyn Any + Send)) -> ApiError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    tracing::error!(request_id = %context.request_id, code = "internal", panic = text, "a request handler panicked");

    ApiError::from(InferError::Internal(text.into()))
}
