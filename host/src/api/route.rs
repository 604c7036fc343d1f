//! Routes: method, path, required access, handler and documentation.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use super::auth::Access;
use super::state::ApiState;

/// A method, a path and the access that it requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with `{name}` for its parameters.
    pub path: &'static str,
    /// The access that the route requires.
    pub access: Access,
}

/// A route with its handler and its documentation.
pub(super) struct Endpoint {
    pub(super) route: Route,
    pub(super) handler: MethodRouter<Arc<ApiState>>,
    pub(super) operation: Operation,
}

/// The documentation of a route.
pub(super) struct Operation {
    /// Function name in generated clients.
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// Names of the query parameters.
    pub(super) query: &'static [&'static str],
    /// Kind of the request body, see `openapi::bodies`; empty for none.
    pub(super) request_body: &'static str,
    /// A request body that a server with the example models answers, as JSON; empty for none.
    pub(super) example: &'static str,
    /// The model in the path of that request.
    pub(super) example_model: &'static str,
    /// Kind of the response body on success; empty for none.
    pub(super) response_body: &'static str,
    /// Statuses on success.
    pub(super) statuses: &'static [&'static str],
    /// Error statuses beyond those that follow from access and request body.
    pub(super) errors: &'static [&'static str],
    /// Kind of the body of its errors.
    pub(super) error_body: &'static str,
}

/// The defaults of an [`Operation`]: no bodies, status 200, no errors of its own.
pub(super) const OPERATION: Operation = Operation {
    id: "",
    tag: "",
    summary: "",
    query: &[],
    request_body: "",
    example: "",
    example_model: "iris",
    response_body: "",
    statuses: &["200"],
    errors: &[],
    error_body: "Error",
};

/// A route with its handler that lacks documentation.
pub(super) struct Undocumented {
    route: Route,
    handler: MethodRouter<Arc<ApiState>>,
}

impl Undocumented {
    fn new(
        method: &'static str,
        path: &'static str,
        access: Access,
        handler: MethodRouter<Arc<ApiState>>,
    ) -> Self {
        Undocumented { route: Route { method, path, access }, handler }
    }

    /// Adds the documentation.
    pub(super) fn describe(self, operation: Operation) -> Endpoint {
        Endpoint { route: self.route, handler: self.handler, operation }
    }
}

/// Creates a `GET` route.
pub(super) fn get<H, T>(path: &'static str, access: Access, handler: H) -> Undocumented
where
    H: Handler<T, Arc<ApiState>>,
    T: 'static,
{
    Undocumented::new("GET", path, access, routing::get(handler))
}

/// Creates a `POST` route.
pub(super) fn post<H, T>(path: &'static str, access: Access, handler: H) -> Undocumented
where
    H: Handler<T, Arc<ApiState>>,
    T: 'static,
{
    Undocumented::new("POST", path, access, routing::post(handler))
}

/// Creates a `PUT` route.
pub(super) fn put<H, T>(path: &'static str, access: Access, handler: H) -> Undocumented
where
    H: Handler<T, Arc<ApiState>>,
    T: 'static,
{
    Undocumented::new("PUT", path, access, routing::put(handler))
}

/// Creates a `DELETE` route.
pub(super) fn delete<H, T>(path: &'static str, access: Access, handler: H) -> Undocumented
where
    H: Handler<T, Arc<ApiState>>,
    T: 'static,
{
    Undocumented::new("DELETE", path, access, routing::delete(handler))
}
