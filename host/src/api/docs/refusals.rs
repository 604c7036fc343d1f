//! Error statuses of routes.

use std::collections::BTreeSet;

use super::bodies;
use super::operations::Operation;
use crate::api::auth::Access;
use crate::api::router::Route;

/// No statuses beyond the common ones.
pub(super) const NOTHING: &[&str] = &[];
/// Routes about a serving model.
pub(super) const MODEL: &[&str] = &["503"];
/// Inference. An interceptor can reject with any status from 400 to 499.
pub(super) const INFERENCE: &[&str] = &["422", "4XX", "503", "504"];
/// Scanning the repository.
pub(super) const REFRESH: &[&str] = &["503", "504"];
/// Loading a model.
pub(super) const LOAD: &[&str] = &["422", "503", "507"];
/// Unloading a model.
pub(super) const UNLOAD: &[&str] = &["503"];
/// Uploading a version.
pub(super) const UPLOAD: &[&str] = &["408", "409", "422", "503", "507"];
/// Deleting a version.
pub(super) const REMOVE: &[&str] = &["409", "503", "507"];
/// Routes that use a tenant's store.
pub(super) const STORE: &[&str] = &["503"];
/// Deleting a session.
pub(super) const SESSION: &[&str] = &["409", "503"];

/// All error statuses: status, name and description in the document.
pub(super) const ERRORS: [(&str, &str, &str); 15] = [
    ("400", "BadRequest", "The request is malformed."),
    ("401", "Unauthorized", "There is no key, or it is not one of those configured."),
    ("403", "Forbidden", "The key lacks the scope, or the request comes from a foreign web page."),
    ("404", "NotFound", "There is no such thing for this tenant."),
    ("408", "RequestTimeout", "The body did not arrive in time."),
    ("409", "Conflict", "What is there now must not be changed."),
    ("413", "ContentTooLarge", "The body is over its limit."),
    ("415", "UnsupportedMediaType", "The route does not read this type of content."),
    ("422", "UnprocessableContent", "The model refused the input, or could not be loaded."),
    ("429", "TooManyRequests", "A quota is used up; the answer names it."),
    ("4XX", "RefusedByInterceptor", "An interceptor refused the call."),
    ("500", "InternalServerError", "The model, an interceptor or the server is at fault."),
    ("503", "ServiceUnavailable", "It cannot be done now; Retry-After says when to try again."),
    ("504", "GatewayTimeout", "The time for the request is up."),
    ("507", "InsufficientStorage", "The disk is full, or the repository is read-only."),
];

/// Returns all error statuses of a route.
pub(super) fn of(route: &Route, operation: &Operation) -> BTreeSet<&'static str> {
    // The host and origin of every request are checked.
    let mut statuses = BTreeSet::from(["400", "403"]);
    if route.access != Access::Open {
        statuses.extend(["401", "404", "429", "500"]);
    }

    if !operation.body.is_empty() {
        statuses.insert("413");
    }

    if bodies::is_json(operation.body) {
        statuses.insert("415");
    }

    statuses.extend(operation.refusals);
    for status in operation.statuses {
        statuses.remove(status);
    }

    statuses
}

/// Returns the name of the shared response with this status.
pub(super) fn name(status: &str) -> Option<&'static str> {
    ERRORS.iter().find(|(known, ..)| *known == status).map(|(_, name, _)| *name)
}
