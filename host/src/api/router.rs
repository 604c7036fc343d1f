//! The router: every route behind the check of its access.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;

use super::access_guard::{Guard, require_access};
use super::admin_quota::AdminQuota;
use super::route::{Endpoint, Route};
use super::routes::endpoints;
use super::routes::model_routes;
use super::state::ApiState;

/// Builds the router. Other paths are those of models. Inference by a plain path bypasses it: see
/// `service`.
pub(super) fn router(state: Arc<ApiState>) -> Router {
    let admin_quota = AdminQuota::default();
    let mut router = Router::new();

    for Endpoint { route: Route { path, access, .. }, handler, .. } in endpoints() {
        let guard = Guard { state: state.clone(), access, admin_quota: admin_quota.clone() };
        let guarded = handler.layer(from_fn_with_state(guard, require_access));

        // Some clients append a slash to the address of a server.
        if path == "/v2" {
            router = router.route("/v2/", guarded.clone());
        }

        router = router.route(path, guarded);
    }

    router.fallback(model_routes::handle).with_state(state)
}
