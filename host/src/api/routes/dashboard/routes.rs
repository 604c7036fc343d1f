//! The routes of the dashboard.

use super::{assets, history, live};
use crate::api::auth::Access;
use crate::api::openapi::errors;
use crate::api::route::{Endpoint, OPERATION, Operation, get};

/// A server without the dashboard has no such paths.
const NOT_ENABLED: &[&str] = &["404"];

/// Returns the routes: the page with its files without a key, the data with one.
pub(in crate::api::routes) fn endpoints() -> Vec<Endpoint> {
    let described = |id, summary, response_body| Operation {
        id,
        tag: "dashboard",
        summary,
        response_body,
        ..OPERATION
    };

    vec![
        get("/dashboard", Access::Open, assets::page).describe(Operation {
            errors: NOT_ENABLED,
            ..described("dashboard", "A page that shows and tries models", "text/html")
        }),
        get("/dashboard/{asset}", Access::Open, assets::asset).describe(Operation {
            errors: NOT_ENABLED,
            ..described(
                "dashboard_asset",
                "A file of the dashboard",
                "text/css,text/javascript,image/svg+xml",
            )
        }),
        get("/v2/dashboard", Access::Key, live::state).describe(described(
            "dashboard_state",
            "Models, use and latencies of a tenant, once or as server-sent events",
            "Dashboard",
        )),
        get("/v2/models/{model}/history", Access::Key, history::history).describe(Operation {
            query: &["width"],
            errors: errors::MODEL,
            ..described("model_history", "The last hour of a model, by minute", "History")
        }),
    ]
}
