//! The descriptions of the routes in `router`.

use super::refusals::{
    INFERENCE, LOAD, MODEL, NOTHING, REFRESH, REMOVE, SESSION, STORE, UNLOAD, UPLOAD,
};
use crate::api::router::Route;

/// The description of a route.
pub(super) struct Operation {
    /// Function name in generated clients.
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// Names of the query parameters.
    pub(super) query: &'static [&'static str],
    /// Kind of the request body, see `bodies`; empty for none.
    pub(super) body: &'static str,
    /// Kind of the response body on success.
    pub(super) answer: &'static str,
    /// Statuses on success.
    pub(super) statuses: &'static [&'static str],
    /// Error statuses beyond those that follow from access and body.
    pub(super) refusals: &'static [&'static str],
}

/// Returns the description of a route; `None` if it has none.
pub(super) fn operation(route: &Route) -> Option<Operation> {
    let line = TABLE.iter().find(|line| (line.0, line.1) == (route.method, route.path))?;
    let &(_, _, id, tag, summary, body, answer, refusals) = line;
    let statuses =
        STATUSES.iter().find(|(method, path, _)| (*method, *path) == (route.method, route.path));
    let statuses = statuses.map_or(&["200"][..], |(_, _, statuses)| statuses);
    let query =
        QUERY.iter().find(|(path, _)| *path == route.path).map_or(&[][..], |(_, names)| names);

    Some(Operation { id, tag, summary, query, body, answer, statuses, refusals })
}

/// Returns the number of descriptions.
#[cfg(test)]
pub(super) fn count() -> usize {
    TABLE.len()
}

/// Query parameters by path.
const QUERY: [(&str, &[&str]); 5] = [
    ("/v2/logs", &["model"]),
    ("/v2/keyvalue", &["cursor", "limit"]),
    ("/v2/keyvalue/{bucket}", &["cursor", "limit"]),
    ("/v2/models/{model}/sessions", &["cursor", "limit"]),
    ("/v2/tasks", &["cursor", "limit"]),
];

/// Success statuses other than 200 alone.
const STATUSES: [(&str, &str, &[&str]); 6] = [
    ("GET", "/v2/health/ready", &["200", "503"]),
    ("GET", "/ping", &["200", "503"]),
    ("PUT", "/v2/repository/models/{model}/versions/{version}", &["200", "201"]),
    ("POST", "/v2/repository/{repository}/index", &["501"]),
    ("POST", "/v2/repository/{repository}/models/{model}/load", &["501"]),
    ("POST", "/v2/repository/{repository}/models/{model}/unload", &["501"]),
];

/// Method, path, name, tag, summary, body, answer, refusals.
type Line = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

#[rustfmt::skip]
const TABLE: &[Line] = &[
    ("GET", "/v2", "server_metadata", "server", "The server's name, version and extensions", "", "Server", NOTHING),
    ("GET", "/v2/health/live", "server_live", "server", "Whether it runs", "", "Live", NOTHING),
    ("GET", "/v2/health/ready", "server_ready", "server", "Whether every wanted model has been tried", "", "Ready", NOTHING),
    ("GET", "/v2/models", "list_models", "models", "The names of the models", "", "Models", NOTHING),
    ("GET", "/v2/models/{model}", "model_metadata", "models", "A model's inputs and outputs", "", "Metadata", MODEL),
    ("GET", "/v2/models/{model}/versions/{version}", "version_metadata", "models", "A version's inputs and outputs", "", "Metadata", MODEL),
    ("GET", "/v2/models/{model}/ready", "model_ready", "models", "Whether a model serves", "", "ModelReady", MODEL),
    ("GET", "/v2/models/{model}/versions/{version}/ready", "version_ready", "models", "Whether a version serves", "", "ModelReady", MODEL),
    ("GET", "/v2/models/{model}/config", "model_config", "models", "What is in force for a model", "", "Config", MODEL),
    ("GET", "/v2/models/{model}/versions/{version}/config", "version_config", "models", "What is in force for a version", "", "Config", MODEL),
    ("GET", "/v2/models/stats", "all_statistics", "models", "What every model has done since it went live", "", "Statistics", NOTHING),
    ("GET", "/v2/models/{model}/stats", "model_statistics", "models", "What a model's versions have done since they went live", "", "Statistics", MODEL),
    ("GET", "/v2/models/{model}/versions/{version}/stats", "version_statistics", "models", "What a version has done since it went live", "", "Statistics", MODEL),
    ("POST", "/v2/models/{model}/infer", "infer", "inference", "Ask a model", "InferRequest", "InferResponse", INFERENCE),
    ("POST", "/v2/models/{model}/versions/{version}/infer", "infer_version", "inference", "Ask a version", "InferRequest", "InferResponse", INFERENCE),
    ("POST", "/v2/models/{model}/generate", "generate", "inference", "Ask a model by name of its inputs, for the whole answer", "GenerateRequest", "GenerateResponse", INFERENCE),
    ("POST", "/v2/models/{model}/versions/{version}/generate", "generate_version", "inference", "Ask a version by name of its inputs, for the whole answer", "GenerateRequest", "GenerateResponse", INFERENCE),
    ("POST", "/v2/models/{model}/generate_stream", "generate_stream", "inference", "Ask a model, for its answer in parts as they come", "GenerateRequest", "text/event-stream", INFERENCE),
    ("POST", "/v2/models/{model}/versions/{version}/generate_stream", "generate_stream_version", "inference", "Ask a version, for its answer in parts as they come", "GenerateRequest", "text/event-stream", INFERENCE),
    ("POST", "/v2/repository/index", "repository_index", "repository", "Every version with its state and reason", "IndexRequest", "Index", NOTHING),
    ("POST", "/v2/repository/refresh", "repository_refresh", "repository", "Look at the repository now", "LoadRequest", "", REFRESH),
    ("POST", "/v2/repository/models/{model}/load", "load_model", "repository", "Load a model, or try again what failed", "LoadRequest", "", LOAD),
    ("POST", "/v2/repository/models/{model}/unload", "unload_model", "repository", "Let a model drain and stay unloaded", "UnloadRequest", "", UNLOAD),
    ("PUT", "/v2/repository/models/{model}/versions/{version}", "upload_version", "repository", "Upload a version", "Component", "Uploaded", UPLOAD),
    ("DELETE", "/v2/repository/models/{model}/versions/{version}", "delete_version", "repository", "Remove a version", "", "Uploaded", REMOVE),
    ("POST", "/v2/repository/{repository}/index", "named_repository_index", "repository", "Refused: repositories have no names here", "", "Error", NOTHING),
    ("POST", "/v2/repository/{repository}/models/{model}/load", "named_repository_load", "repository", "Refused: repositories have no names here", "", "Error", NOTHING),
    ("POST", "/v2/repository/{repository}/models/{model}/unload", "named_repository_unload", "repository", "Refused: repositories have no names here", "", "Error", NOTHING),
    ("GET", "/v2/keyvalue", "list_buckets", "tenant", "The buckets in which models keep values", "", "Buckets", STORE),
    ("GET", "/v2/keyvalue/{bucket}", "list_keys", "tenant", "The keys of a bucket", "", "Keys", STORE),
    ("GET", "/v2/keyvalue/{bucket}/{key}", "get_value", "tenant", "The value of a key", "", "application/octet-stream", STORE),
    ("PUT", "/v2/keyvalue/{bucket}/{key}", "set_value", "tenant", "Give a key a value", "Value", "KeyValue", STORE),
    ("DELETE", "/v2/keyvalue/{bucket}/{key}", "delete_value", "tenant", "Take a key's value away", "", "KeyValue", STORE),
    ("GET", "/v2/models/{model}/sessions", "list_sessions", "tenant", "The sessions that are kept for a model", "", "Sessions", STORE),
    ("DELETE", "/v2/models/{model}/sessions/{session}", "delete_session", "tenant", "Forget a session, once nobody works with it", "", "", SESSION),
    ("GET", "/v2/tasks", "list_tasks", "tenant", "Deferred tasks that wait, run or were given up", "", "Tasks", STORE),
    ("GET", "/v2/tasks/{task}", "get_task", "tenant", "One deferred task", "", "Task", STORE),
    ("DELETE", "/v2/tasks/{task}", "cancel_task", "tenant", "Cancel a task: it is removed, and stopped if it runs", "", "", STORE),
    ("GET", "/v2/usage", "usage", "tenant", "What the tenant holds, and what it may hold", "", "Usage", NOTHING),
    ("GET", "/v2/logs", "logs", "tenant", "The last lines that the tenant's models have written", "", "Logs", NOTHING),
    ("GET", "/v2/tenants", "list_tenants", "tenant", "Every tenant's use", "", "Tenants", NOTHING),
    ("POST", "/invocations", "invocations", "inference", "Ask a model as SageMaker does", "Invocation", "InferResponse", INFERENCE),
    ("GET", "/ping", "ping", "server", "Whether it can serve, as SageMaker asks", "", "", NOTHING),
    ("GET", "/metrics", "metrics", "server", "Metrics for Prometheus", "", "application/openmetrics-text,text/plain", NOTHING),
    ("GET", "/openapi.json", "openapi", "server", "This document", "", "application/json", NOTHING),
    ("GET", "/", "root", "server", "A sign of life; the page of `/docs` for browsers", "", "Alive", NOTHING),
    ("GET", "/docs", "docs", "server", "A page that shows this document and lets one try a model", "", "text/html", NOTHING),
];
