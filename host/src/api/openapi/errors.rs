//! Error statuses of routes.

use std::collections::BTreeSet;

use super::bodies;
use crate::api::auth::Access;
use crate::api::route::Endpoint;

/// Routes about a serving model.
pub(in crate::api) const MODEL: &[&str] = &["503"];
/// Inference. An interceptor can reject with any status from 400 to 499.
pub(in crate::api) const INFERENCE: &[&str] = &["422", "4XX", "503", "504"];
/// Scanning the repository.
pub(in crate::api) const REFRESH: &[&str] = &["503", "504"];
/// Loading a model.
pub(in crate::api) const LOAD: &[&str] = &["422", "503", "507"];
/// Unloading a model.
pub(in crate::api) const UNLOAD: &[&str] = &["503"];
/// Uploading a version.
pub(in crate::api) const UPLOAD: &[&str] = &["408", "409", "422", "503", "507"];
/// Deleting a version.
pub(in crate::api) const REMOVE: &[&str] = &["409", "503", "507"];
/// Routes that use a tenant's store.
pub(in crate::api) const STORE: &[&str] = &["503"];
/// Deleting a session.
pub(in crate::api) const SESSION: &[&str] = &["409", "503"];

/// An error response that routes share.
pub(super) struct ErrorResponse {
    pub(super) status: &'static str,
    /// Name in the document.
    pub(super) name: &'static str,
    pub(super) description: &'static str,
}

const fn error(
    status: &'static str,
    name: &'static str,
    description: &'static str,
) -> ErrorResponse {
    ErrorResponse { status, name, description }
}

/// All error responses.
pub(super) const ERRORS: [ErrorResponse; 15] = [
    error("400", "BadRequest", "The request is malformed."),
    error("401", "Unauthorized", "There is no key, or it is not one of those configured."),
    error(
        "403",
        "Forbidden",
        "The key lacks the scope, or the request comes from a foreign web page.",
    ),
    error("404", "NotFound", "There is no such thing for this tenant."),
    error("408", "RequestTimeout", "The body did not arrive in time."),
    error("409", "Conflict", "What is there now must not be changed."),
    error("413", "ContentTooLarge", "The body is over its limit."),
    error("415", "UnsupportedMediaType", "The route does not read this type of content."),
    error("422", "UnprocessableContent", "The model refused the input, or could not be loaded."),
    error("429", "TooManyRequests", "A quota is used up; the answer names it."),
    error("4XX", "RefusedByInterceptor", "An interceptor refused the call."),
    error("500", "InternalServerError", "The model, an interceptor or the server is at fault."),
    error(
        "503",
        "ServiceUnavailable",
        "It cannot be done now; Retry-After says when to try again.",
    ),
    error("504", "GatewayTimeout", "The time for the request is up."),
    error("507", "InsufficientStorage", "The disk is full, or the repository is read-only."),
];

/// Returns all error statuses of a route.
pub(in crate::api) fn statuses(endpoint: &Endpoint) -> BTreeSet<&'static str> {
    let Endpoint { route, operation, .. } = endpoint;

    // The host and origin of every request are checked.
    let mut statuses = BTreeSet::from(["400", "403"]);

    if route.access != Access::Open {
        statuses.extend(["401", "404", "429", "500"]);
    }

    if !operation.request_body.is_empty() {
        statuses.insert("413");
    }

    if bodies::is_json(operation.request_body) {
        statuses.insert("415");
    }

    statuses.extend(operation.errors);
    for status in operation.statuses {
        statuses.remove(status);
    }

    statuses
}

/// Returns the name of the shared response with this status.
pub(in crate::api) fn name(status: &str) -> Option<&'static str> {
    ERRORS.iter().find(|error| error.status == status).map(|error| error.name)
}
