//! The route table.

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{
    MethodRouter, delete as on_delete, get as on_get, post as on_post, put as on_put,
};
use serde::{Deserialize, Serialize};

use super::auth::{self, Access, Caller};
use super::error::ApiError;
use super::infer::{self, Target};
use super::service::RequestContext;
use super::{ApiState, config, docs, generate, health, key_value, metadata, metrics, repository};
use super::{sagemaker, sessions, stats, tasks, upload, usage};
use crate::servable::ServableHandle;

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

/// Returns all routes.
pub fn routes() -> Vec<Route> {
    table().into_iter().map(|(route, _)| route).collect()
}

/// Builds the router. Inference by a plain path bypasses it: see `edge`.
pub(super) fn router(state: Arc<ApiState>) -> Router {
    let mut router = Router::new();
    for (Route { path, access, .. }, handler) in table() {
        let guarded =
            handler.layer(from_fn_with_state((state.clone(), access), auth::require_access));
        // Some clients append a slash to the address of a server.
        if path == "/v2" {
            router = router.route("/v2/", guarded.clone());
        }
        router = router.route(path, guarded);
    }

    router.fallback(async |uri: Uri| ApiError::no_such_path(uri.path())).with_state(state)
}

type Handler = MethodRouter<Arc<ApiState>>;

/// The only list of routes. Every entry states the required access.
#[rustfmt::skip]
fn table() -> Vec<(Route, Handler)> {
    let get = |path, access, handler: Handler| (Route { method: "GET", path, access }, handler);
    let post = |path, access, handler: Handler| (Route { method: "POST", path, access }, handler);
    let put = |path, access, handler: Handler| (Route { method: "PUT", path, access }, handler);
    let delete = |path, access, handler: Handler| (Route { method: "DELETE", path, access }, handler);

    vec![
        get("/v2", Access::Key, on_get(metadata::server)),
        get("/v2/health/live", Access::Open, on_get(health::live)),
        get("/v2/health/ready", Access::Open, on_get(health::ready)),
        get("/v2/models", Access::Key, on_get(metadata::models)),
        get("/v2/models/{model}", Access::Key, on_get(metadata::model)),
        get("/v2/models/{model}/versions/{version}", Access::Key, on_get(metadata::model)),
        get("/v2/models/{model}/ready", Access::Key, on_get(health::model_ready)),
        get("/v2/models/{model}/versions/{version}/ready", Access::Key, on_get(health::model_ready)),
        get("/v2/models/{model}/config", Access::Key, on_get(config::model_config)),
        get("/v2/models/{model}/versions/{version}/config", Access::Key, on_get(config::model_config)),
        get("/v2/models/stats", Access::Key, on_get(stats::all)),
        get("/v2/models/{model}/stats", Access::Key, on_get(stats::model)),
        get("/v2/models/{model}/versions/{version}/stats", Access::Key, on_get(stats::model)),
        post("/v2/models/{model}/infer", Access::Infer, on_post(infer_model)),
        post("/v2/models/{model}/versions/{version}/infer", Access::Infer, on_post(infer_model)),
        post("/v2/models/{model}/generate", Access::Infer, on_post(generate::generate)),
        post("/v2/models/{model}/versions/{version}/generate", Access::Infer, on_post(generate::generate)),
        post("/v2/models/{model}/generate_stream", Access::Infer, on_post(generate::generate_stream)),
        post("/v2/models/{model}/versions/{version}/generate_stream", Access::Infer, on_post(generate::generate_stream)),
        post("/v2/repository/index", Access::Key, on_post(repository::index)),
        post("/v2/repository/refresh", Access::Manage, on_post(repository::refresh)),
        post("/v2/repository/models/{model}/load", Access::Manage, on_post(repository::load)),
        post("/v2/repository/models/{model}/unload", Access::Manage, on_post(repository::unload)),
        put("/v2/repository/models/{model}/versions/{version}", Access::Manage, on_put(upload::put)),
        delete("/v2/repository/models/{model}/versions/{version}", Access::Manage, on_delete(upload::delete)),
        post("/v2/repository/{repository}/index", Access::Key, on_post(repository::named_repository)),
        post("/v2/repository/{repository}/models/{model}/load", Access::Manage, on_post(repository::named_repository)),
        post("/v2/repository/{repository}/models/{model}/unload", Access::Manage, on_post(repository::named_repository)),
        get("/v2/keyvalue", Access::Manage, on_get(key_value::buckets)),
        get("/v2/keyvalue/{bucket}", Access::Manage, on_get(key_value::keys)),
        get("/v2/keyvalue/{bucket}/{key}", Access::Manage, on_get(key_value::get)),
        put("/v2/keyvalue/{bucket}/{key}", Access::Manage, on_put(key_value::put)),
        delete("/v2/keyvalue/{bucket}/{key}", Access::Manage, on_delete(key_value::delete)),
        get("/v2/models/{model}/sessions", Access::Manage, on_get(sessions::list)),
        delete("/v2/models/{model}/sessions/{session}", Access::Manage, on_delete(sessions::delete)),
        get("/v2/tasks", Access::Manage, on_get(tasks::list)),
        get("/v2/tasks/{task}", Access::Manage, on_get(tasks::get)),
        delete("/v2/tasks/{task}", Access::Manage, on_delete(tasks::cancel)),
        get("/v2/usage", Access::Key, on_get(usage::usage)),
        get("/v2/logs", Access::Manage, on_get(usage::logs)),
        get("/v2/tenants", Access::Admin, on_get(usage::tenants)),
        post("/invocations", Access::Infer, on_post(sagemaker::invocations)),
        get("/ping", Access::Open, on_get(health::ping)),
        get("/metrics", Access::Key, on_get(metrics::metrics)),
        get("/openapi.json", Access::Open, on_get(docs::openapi)),
        get("/docs", Access::Open, on_get(docs::page)),
        get("/", Access::Open, on_get(docs::root)),
    ]
}

/// The model and the optional version in a path.
#[derive(Deserialize)]
pub(super) struct ModelPath {
    pub(super) model: String,
    pub(super) version: Option<String>,
}

impl ModelPath {
    /// Returns the servable that this path selects. Fails with the error that inference would
    /// return.
    pub(super) fn find(
        &self,
        state: &ApiState,
        caller: &Caller,
    ) -> Result<ServableHandle, ApiError> {
        let version = self.version.as_deref();
        let tenant = caller.tenant_name()?;
        let found = state.dataplane.find(tenant, &self.model, version);

        found.map_err(|error| {
            ApiError::from(error).with_model_hints(&state.dataplane, tenant, &self.model, version)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ModelPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // Fails only for a path that is not UTF-8 after decoding.
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(path)| path)
            .map_err(|_| ApiError::no_such_path(""))
    }
}

/// Builds a JSON response. Serialization errors become a 500 response.
pub(super) fn json_response(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Err(fault) => {
            ApiError::from(crate::model::InferError::Internal(fault.to_string())).into_response()
        }
    }
}

async fn infer_model(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    let target = Target { model: path.model, version: path.version };
    infer::respond(&state, &context, &caller, target, request).await
}
