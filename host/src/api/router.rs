//! The route table and the router.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::{Extension, Router};

use super::admin_quota::AdminQuota;
use super::auth::{self, Access, Caller, Guard};
use super::context::RequestContext;
use super::docs::{self, errors};
use super::error::ApiError;
use super::extract::ModelPath;
use super::route::{Endpoint, OPERATION, Operation, Route, delete, get, post, put};
use super::state::ApiState;
use super::{config, generate, health, infer, key_value, metadata, metrics, predict, repository};
use super::{sagemaker, sessions, stats, tasks, tensorflow, upload, usage};

/// Returns all routes.
pub fn routes() -> Vec<Route> {
    endpoints().into_iter().map(|endpoint| endpoint.route).collect()
}

/// Builds the router. Inference by a plain path bypasses it: see `service`.
pub(super) fn router(state: Arc<ApiState>) -> Router {
    let admin_quota = AdminQuota::default();
    let mut router = Router::new();

    for Endpoint { route: Route { path, access, .. }, handler, .. } in endpoints() {
        let guard = Guard { state: state.clone(), access, admin_quota: admin_quota.clone() };
        let guarded = handler.layer(from_fn_with_state(guard, auth::require_access));

        // Some clients append a slash to the address of a server.
        if path == "/v2" {
            router = router.route("/v2/", guarded.clone());
        }

        router = router.route(path, guarded);
    }

    router.fallback(async |uri: Uri| ApiError::no_such_path(uri.path())).with_state(state)
}

/// The only list of routes. Every entry states the required access.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let groups = [
        server_endpoints(),
        model_endpoints(),
        inference_endpoints(),
        prediction_endpoints(),
        tensorflow_endpoints(),
        repository_endpoints(),
        tenant_endpoints(),
    ];

    groups.into_iter().flatten().collect()
}

/// The server itself: metadata, health, metrics and documentation.
fn server_endpoints() -> Vec<Endpoint> {
    vec![
        get("/v2", Access::Key, metadata::server).describe(Operation {
            id: "server_metadata",
            tag: "server",
            summary: "The server's name, version and extensions",
            response_body: "Server",
            ..OPERATION
        }),
        get("/v2/health/live", Access::Open, health::live).describe(Operation {
            id: "server_live",
            tag: "server",
            summary: "Whether it runs",
            response_body: "Live",
            ..OPERATION
        }),
        get("/v2/health/ready", Access::Open, health::ready).describe(Operation {
            id: "server_ready",
            tag: "server",
            summary: "Whether every wanted model has been tried",
            response_body: "Ready",
            statuses: &["200", "503"],
            ..OPERATION
        }),
        get("/ping", Access::Open, health::ping).describe(Operation {
            id: "ping",
            tag: "server",
            summary: "Whether it can serve, as SageMaker asks",
            statuses: &["200", "503"],
            ..OPERATION
        }),
        get("/health", Access::Open, health::ping).describe(Operation {
            id: "health",
            tag: "server",
            summary: "Whether it can serve, as MLflow asks",
            statuses: &["200", "503"],
            ..OPERATION
        }),
        get("/version", Access::Open, health::version).describe(Operation {
            id: "version",
            tag: "server",
            summary: "The server's version, as MLflow asks",
            response_body: "text/plain",
            ..OPERATION
        }),
        get("/metrics", Access::Key, metrics::metrics).describe(Operation {
            id: "metrics",
            tag: "server",
            summary: "Metrics for Prometheus",
            response_body: "application/openmetrics-text,text/plain",
            ..OPERATION
        }),
        get("/openapi.json", Access::Open, openapi).describe(Operation {
            id: "openapi",
            tag: "server",
            summary: "This document",
            response_body: "application/json",
            ..OPERATION
        }),
        get("/docs", Access::Open, docs::page).describe(Operation {
            id: "docs",
            tag: "server",
            summary: "A page that shows this document and lets one try a model",
            response_body: "text/html",
            ..OPERATION
        }),
        get("/", Access::Open, docs::root).describe(Operation {
            id: "root",
            tag: "server",
            summary: "A sign of life; the page of `/docs` for browsers",
            response_body: "Alive",
            ..OPERATION
        }),
    ]
}

/// Metadata, readiness, configuration and statistics of models.
fn model_endpoints() -> Vec<Endpoint> {
    vec![
        get("/v2/models", Access::Key, metadata::models).describe(Operation {
            id: "list_models",
            tag: "models",
            summary: "The names of the models",
            response_body: "Models",
            ..OPERATION
        }),
        get("/v2/models/{model}", Access::Key, metadata::model).describe(Operation {
            id: "model_metadata",
            tag: "models",
            summary: "A model's inputs and outputs",
            response_body: "Metadata",
            errors: errors::MODEL,
            ..OPERATION
        }),
        get("/v2/models/{model}/versions/{version}", Access::Key, metadata::model).describe(
            Operation {
                id: "version_metadata",
                tag: "models",
                summary: "A version's inputs and outputs",
                response_body: "Metadata",
                errors: errors::MODEL,
                ..OPERATION
            },
        ),
        get("/v2/models/{model}/ready", Access::Key, health::model_ready).describe(Operation {
            id: "model_ready",
            tag: "models",
            summary: "Whether a model serves",
            response_body: "ModelReady",
            errors: errors::MODEL,
            ..OPERATION
        }),
        get("/v2/models/{model}/versions/{version}/ready", Access::Key, health::model_ready)
            .describe(Operation {
                id: "version_ready",
                tag: "models",
                summary: "Whether a version serves",
                response_body: "ModelReady",
                errors: errors::MODEL,
                ..OPERATION
            }),
        get("/v2/models/{model}/config", Access::Key, config::model_config).describe(Operation {
            id: "model_config",
            tag: "models",
            summary: "What is in force for a model",
            response_body: "Config",
            errors: errors::MODEL,
            ..OPERATION
        }),
        get("/v2/models/{model}/versions/{version}/config", Access::Key, config::model_config)
            .describe(Operation {
                id: "version_config",
                tag: "models",
                summary: "What is in force for a version",
                response_body: "Config",
                errors: errors::MODEL,
                ..OPERATION
            }),
        get("/v2/models/stats", Access::Key, stats::all_stats).describe(Operation {
            id: "all_statistics",
            tag: "models",
            summary: "What every model has done since it went live",
            response_body: "Statistics",
            ..OPERATION
        }),
        get("/v2/models/{model}/stats", Access::Key, stats::model_stats).describe(Operation {
            id: "model_statistics",
            tag: "models",
            summary: "What a model's versions have done since they went live",
            response_body: "Statistics",
            errors: errors::MODEL,
            ..OPERATION
        }),
        get("/v2/models/{model}/versions/{version}/stats", Access::Key, stats::model_stats)
            .describe(Operation {
                id: "version_statistics",
                tag: "models",
                summary: "What a version has done since it went live",
                response_body: "Statistics",
                errors: errors::MODEL,
                ..OPERATION
            }),
    ]
}

/// Inference.
fn inference_endpoints() -> Vec<Endpoint> {
    vec![
        post("/v2/models/{model}/infer", Access::Infer, infer_model).describe(Operation {
            id: "infer",
            tag: "inference",
            summary: "Ask a model",
            request_body: "InferRequest",
            response_body: "InferResponse",
            errors: errors::INFERENCE,
            ..OPERATION
        }),
        post("/v2/models/{model}/versions/{version}/infer", Access::Infer, infer_model).describe(
            Operation {
                id: "infer_version",
                tag: "inference",
                summary: "Ask a version",
                request_body: "InferRequest",
                response_body: "InferResponse",
                errors: errors::INFERENCE,
                ..OPERATION
            },
        ),
        post("/v2/models/{model}/generate", Access::Infer, generate::generate).describe(
            Operation {
                id: "generate",
                tag: "inference",
                summary: "Ask a model by name of its inputs, for the whole answer",
                request_body: "GenerateRequest",
                response_body: "GenerateResponse",
                errors: errors::INFERENCE,
                ..OPERATION
            },
        ),
        post("/v2/models/{model}/versions/{version}/generate", Access::Infer, generate::generate)
            .describe(Operation {
                id: "generate_version",
                tag: "inference",
                summary: "Ask a version by name of its inputs, for the whole answer",
                request_body: "GenerateRequest",
                response_body: "GenerateResponse",
                errors: errors::INFERENCE,
                ..OPERATION
            }),
        post("/v2/models/{model}/generate_stream", Access::Infer, generate::generate_stream)
            .describe(Operation {
                id: "generate_stream",
                tag: "inference",
                summary: "Ask a model, for its answer in parts as they come",
                request_body: "GenerateRequest",
                response_body: "text/event-stream",
                errors: errors::INFERENCE,
                ..OPERATION
            }),
        post(
            "/v2/models/{model}/versions/{version}/generate_stream",
            Access::Infer,
            generate::generate_stream,
        )
        .describe(Operation {
            id: "generate_stream_version",
            tag: "inference",
            summary: "Ask a version, for its answer in parts as they come",
            request_body: "GenerateRequest",
            response_body: "text/event-stream",
            errors: errors::INFERENCE,
            ..OPERATION
        }),
        post("/invocations", Access::Infer, sagemaker::invocations).describe(Operation {
            id: "invocations",
            tag: "inference",
            summary: "Ask a model as SageMaker or MLflow does",
            request_body: "Invocation",
            response_body: "InvocationResponse",
            errors: errors::INFERENCE,
            ..OPERATION
        }),
    ]
}

/// Predictions for tables.
fn prediction_endpoints() -> Vec<Endpoint> {
    let predict = |id, summary| Operation {
        id,
        tag: "inference",
        summary,
        request_body: "PredictRequest",
        response_body: "Predictions",
        errors: errors::INFERENCE,
        ..OPERATION
    };
    let invoke = |id, summary| Operation {
        request_body: "Invocation",
        response_body: "InvocationResponse",
        ..predict(id, summary)
    };

    vec![
        post("/v2/models/{model}/predict", Access::Infer, predict::predict)
            .describe(predict("predict", "Ask a model about the rows of a table")),
        post("/v2/models/{model}/versions/{version}/predict", Access::Infer, predict::predict)
            .describe(predict("predict_version", "Ask a version about the rows of a table")),
        post("/v2/models/{model}/invocations", Access::Infer, predict::invocations)
            .describe(invoke("invoke_model", "Ask a model as MLflow's clients do")),
        post(
            "/v2/models/{model}/versions/{version}/invocations",
            Access::Infer,
            predict::invocations,
        )
        .describe(invoke("invoke_version", "Ask a version as MLflow's clients do")),
    ]
}

/// TensorFlow Serving's REST API, and what KServe and OpenAI have at the same paths.
fn tensorflow_endpoints() -> Vec<Endpoint> {
    let describe = |id, summary| Operation {
        id,
        tag: "tensorflow",
        summary,
        errors: errors::MODEL,
        ..OPERATION
    };
    let ask = |id, summary| Operation {
        request_body: "TensorflowRequest",
        response_body: "TensorflowResponse",
        errors: errors::INFERENCE,
        ..describe(id, summary)
    };
    let status = |id, summary| Operation { response_body: "ModelStatus", ..describe(id, summary) };
    let signature = |id, summary| Operation { response_body: "Signature", ..describe(id, summary) };

    vec![
        get("/v1/models", Access::Key, tensorflow::list).describe(Operation {
            response_body: "ModelList",
            errors: &[],
            error_body: "AnyError",
            ..describe("v1_list_models", "The models that serve, for clients of OpenAI and KServe")
        }),
        get("/v1/models/{model}", Access::Key, tensorflow::model).describe(Operation {
            error_body: "AnyError",
            ..status("v1_model", "A model and the states of its versions")
        }),
        post("/v1/models/{model}", Access::Infer, tensorflow::ask).describe(ask(
            "v1_ask_model",
            "Ask a model: the path ends with :predict, :classify or :regress",
        )),
        get("/v1/models/{model}/labels/{label}", Access::Key, tensorflow::version_status)
            .describe(status("v1_label", "The state of the version with a label")),
        post("/v1/models/{model}/labels/{label}", Access::Infer, tensorflow::ask).describe(ask(
            "v1_ask_label",
            "Ask the version with a label: the path ends with :predict, :classify or :regress",
        )),
        get("/v1/models/{model}/metadata", Access::Key, tensorflow::metadata)
            .describe(signature("v1_model_metadata", "A model's signature")),
        get("/v1/models/{model}/versions/{version}", Access::Key, tensorflow::version_status)
            .describe(status("v1_version", "The state of a version")),
        post("/v1/models/{model}/versions/{version}", Access::Infer, tensorflow::ask).describe(
            ask(
                "v1_ask_version",
                "Ask a version: the path ends with :predict, :classify or :regress",
            ),
        ),
        get("/v1/models/{model}/versions/{version}/metadata", Access::Key, tensorflow::metadata)
            .describe(signature("v1_version_metadata", "A version's signature")),
        get("/v1/models/{model}/labels/{label}/metadata", Access::Key, tensorflow::metadata)
            .describe(signature("v1_label_metadata", "The signature of the version with a label")),
    ]
}

/// The model repository extension, uploads and deletions.
fn repository_endpoints() -> Vec<Endpoint> {
    vec![
        post("/v2/repository/index", Access::Key, repository::index).describe(Operation {
            id: "repository_index",
            tag: "repository",
            summary: "Every version with its state and reason",
            request_body: "IndexRequest",
            response_body: "Index",
            ..OPERATION
        }),
        post("/v2/repository/refresh", Access::Manage, repository::refresh).describe(Operation {
            id: "repository_refresh",
            tag: "repository",
            summary: "Look at the repository now",
            request_body: "LoadRequest",
            errors: errors::REFRESH,
            ..OPERATION
        }),
        post("/v2/repository/models/{model}/load", Access::Manage, repository::load).describe(
            Operation {
                id: "load_model",
                tag: "repository",
                summary: "Load a model, or try again what failed",
                request_body: "LoadRequest",
                errors: errors::LOAD,
                ..OPERATION
            },
        ),
        post("/v2/repository/models/{model}/unload", Access::Manage, repository::unload).describe(
            Operation {
                id: "unload_model",
                tag: "repository",
                summary: "Let a model drain and stay unloaded",
                request_body: "UnloadRequest",
                errors: errors::UNLOAD,
                ..OPERATION
            },
        ),
        put("/v2/repository/models/{model}/versions/{version}", Access::Manage, upload::put)
            .describe(Operation {
                id: "upload_version",
                tag: "repository",
                summary: "Upload a version",
                request_body: "Component",
                response_body: "Uploaded",
                statuses: &["200", "201"],
                errors: errors::UPLOAD,
                ..OPERATION
            }),
        delete("/v2/repository/models/{model}/versions/{version}", Access::Manage, upload::delete)
            .describe(Operation {
                id: "delete_version",
                tag: "repository",
                summary: "Remove a version",
                response_body: "Uploaded",
                errors: errors::REMOVE,
                ..OPERATION
            }),
        post("/v2/repository/{repository}/index", Access::Key, repository::named_repository)
            .describe(Operation {
                id: "named_repository_index",
                tag: "repository",
                summary: "Refused: repositories have no names here",
                response_body: "Error",
                statuses: &["501"],
                ..OPERATION
            }),
        post(
            "/v2/repository/{repository}/models/{model}/load",
            Access::Manage,
            repository::named_repository,
        )
        .describe(Operation {
            id: "named_repository_load",
            tag: "repository",
            summary: "Refused: repositories have no names here",
            response_body: "Error",
            statuses: &["501"],
            ..OPERATION
        }),
        post(
            "/v2/repository/{repository}/models/{model}/unload",
            Access::Manage,
            repository::named_repository,
        )
        .describe(Operation {
            id: "named_repository_unload",
            tag: "repository",
            summary: "Refused: repositories have no names here",
            response_body: "Error",
            statuses: &["501"],
            ..OPERATION
        }),
    ]
}

/// Data and resource usage of tenants.
fn tenant_endpoints() -> Vec<Endpoint> {
    vec![
        get("/v2/keyvalue", Access::Manage, key_value::buckets).describe(Operation {
            id: "list_buckets",
            tag: "tenant",
            summary: "The buckets in which models keep values",
            query: &["cursor", "limit"],
            response_body: "Buckets",
            errors: errors::STORE,
            ..OPERATION
        }),
        get("/v2/keyvalue/{bucket}", Access::Manage, key_value::keys).describe(Operation {
            id: "list_keys",
            tag: "tenant",
            summary: "The keys of a bucket",
            query: &["cursor", "limit"],
            response_body: "Keys",
            errors: errors::STORE,
            ..OPERATION
        }),
        get("/v2/keyvalue/{bucket}/{key}", Access::Manage, key_value::get).describe(Operation {
            id: "get_value",
            tag: "tenant",
            summary: "The value of a key",
            response_body: "application/octet-stream",
            errors: errors::STORE,
            ..OPERATION
        }),
        put("/v2/keyvalue/{bucket}/{key}", Access::Manage, key_value::put).describe(Operation {
            id: "set_value",
            tag: "tenant",
            summary: "Give a key a value",
            request_body: "Value",
            response_body: "KeyValue",
            errors: errors::STORE,
            ..OPERATION
        }),
        delete("/v2/keyvalue/{bucket}/{key}", Access::Manage, key_value::delete).describe(
            Operation {
                id: "delete_value",
                tag: "tenant",
                summary: "Take a key's value away",
                response_body: "KeyValue",
                errors: errors::STORE,
                ..OPERATION
            },
        ),
        get("/v2/models/{model}/sessions", Access::Manage, sessions::list).describe(Operation {
            id: "list_sessions",
            tag: "tenant",
            summary: "The sessions that are kept for a model",
            query: &["cursor", "limit"],
            response_body: "Sessions",
            errors: errors::STORE,
            ..OPERATION
        }),
        delete("/v2/models/{model}/sessions/{session}", Access::Manage, sessions::delete).describe(
            Operation {
                id: "delete_session",
                tag: "tenant",
                summary: "Forget a session, once nobody works with it",
                errors: errors::SESSION,
                ..OPERATION
            },
        ),
        get("/v2/tasks", Access::Manage, tasks::list).describe(Operation {
            id: "list_tasks",
            tag: "tenant",
            summary: "Deferred tasks that wait, run or were given up",
            query: &["cursor", "limit"],
            response_body: "Tasks",
            errors: errors::STORE,
            ..OPERATION
        }),
        get("/v2/tasks/{task}", Access::Manage, tasks::get).describe(Operation {
            id: "get_task",
            tag: "tenant",
            summary: "One deferred task",
            response_body: "Task",
            errors: errors::STORE,
            ..OPERATION
        }),
        delete("/v2/tasks/{task}", Access::Manage, tasks::cancel).describe(Operation {
            id: "cancel_task",
            tag: "tenant",
            summary: "Cancel a task: it is removed, and stopped if it runs",
            errors: errors::STORE,
            ..OPERATION
        }),
        get("/v2/usage", Access::Key, usage::usage).describe(Operation {
            id: "usage",
            tag: "tenant",
            summary: "What the tenant holds, and what it may hold",
            response_body: "Usage",
            ..OPERATION
        }),
        get("/v2/logs", Access::Manage, usage::logs).describe(Operation {
            id: "logs",
            tag: "tenant",
            summary: "The last lines that the tenant's models have written",
            query: &["model"],
            response_body: "Logs",
            ..OPERATION
        }),
        get("/v2/tenants", Access::Admin, usage::tenants).describe(Operation {
            id: "list_tenants",
            tag: "tenant",
            summary: "Every tenant's use",
            response_body: "Tenants",
            ..OPERATION
        }),
    ]
}

/// `POST /v2/models/{m}[/versions/{v}]/infer` with escapes in the path.
async fn infer_model(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    infer::handle(&state, &context, &caller, path, request).await
}

/// `GET /openapi.json`.
async fn openapi(headers: HeaderMap) -> Response {
    docs::openapi(&headers, endpoints)
}
