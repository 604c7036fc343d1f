//! What each route does, in words. The routes themselves are in `router`.

use crate::api::router::Route;

/// What a route does.
pub(super) struct Operation {
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// What may stand behind the `?`.
    pub(super) query: &'static [&'static str],
    /// A schema or a media type.
    pub(super) body: Option<&'static str>,
    pub(super) body_required: bool,
    /// What it answers if all is well: a schema or a media type.
    pub(super) answer: &'static str,
    /// The statuses that it answers with then.
    pub(super) statuses: &'static [&'static str],
}

/// What that route does; `None` if nobody has said.
pub(super) fn operation(route: &Route) -> Option<Operation> {
    let line = TABLE.iter().find(|line| (line.0, line.1) == (route.method, route.path))?;
    let &(_, _, tag, summary, body, answer) = line;
    let statuses = STATUSES.iter().find(|(method, path, _)| (*method, *path) == (route.method, route.path));
    let statuses = statuses.map_or(&["200"][..], |(_, _, statuses)| statuses);
    let body_required = !OPTIONAL_BODY.contains(&body);
    let query = QUERY.iter().find(|(path, _)| *path == route.path).map_or(&[][..], |(_, names)| names);
    let body = (!body.is_empty()).then_some(body);
    Some(Operation { tag, summary, query, body, body_required, answer, statuses })
}

/// How many routes are described.
#[cfg(test)]
pub(super) fn count() -> usize {
    TABLE.len()
}

/// Bodies that may be left out.
const OPTIONAL_BODY: [&str; 2] = ["IndexRequest", "LoadRequest"];

/// What may stand behind the `?` of a path.
const QUERY: [(&str, &[&str]); 5] = [
    ("/v2/logs", &["model"]),
    ("/v2/keyvalue", &["cursor", "limit"]),
    ("/v2/keyvalue/{bucket}", &["cursor", "limit"]),
    ("/v2/models/{model}/sessions", &["cursor", "limit"]),
    ("/v2/tasks", &["cursor", "limit"]),
];

/// The statuses of routes that may answer with others than 200.
const STATUSES: [(&str, &str, &[&str]); 6] = [
    ("GET", "/v2/health/ready", &["200", "503"]),
    ("GET", "/ping", &["200", "503"]),
    ("PUT", "/v2/repository/models/{model}/versions/{version}", &["200", "201"]),
    ("POST", "/v2/repository/{repository}/index", &["501"]),
    ("POST", "/v2/repository/{repository}/models/{model}/load", &["501"]),
    ("POST", "/v2/repository/{repository}/models/{model}/unload", &["501"]),
];

/// Method, path, tag, summary, body, answer.
type Line = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const TABLE: &[Line] = &[
    ("GET", "/v2", "server", "The server's name, version and extensions", "", "Server"),
    ("GET", "/v2/health/live", "server", "Whether it runs", "", "Live"),
    ("GET", "/v2/health/ready", "server", "Whether every wanted model has been tried", "", "Ready"),
    ("GET", "/v2/models", "models", "The names of the models", "", "Models"),
    ("GET", "/v2/models/{model}", "models", "A model's inputs and outputs", "", "Metadata"),
    ("GET", "/v2/models/{model}/versions/{version}", "models", "A version's inputs and outputs", "", "Metadata"),
    ("GET", "/v2/models/{model}/ready", "models", "Whether a model serves", "", "ModelReady"),
    ("GET", "/v2/models/{model}/versions/{version}/ready", "models", "Whether a version serves", "", "ModelReady"),
    ("GET", "/v2/models/{model}/config", "models", "What is in force for a model", "", "Config"),
    ("GET", "/v2/models/{model}/versions/{version}/config", "models", "What is in force for a version", "", "Config"),
    ("GET", "/v2/models/stats", "models", "What every model has done since it went live", "", "Statistics"),
    ("GET", "/v2/models/{model}/stats", "models", "What a model's versions have done since they went live", "", "Statistics"),
    ("GET", "/v2/models/{model}/versions/{version}/stats", "models", "What a version has done since it went live", "", "Statistics"),
    ("POST", "/v2/models/{model}/infer", "inference", "Ask a model", "InferRequest", "InferResponse"),
    ("POST", "/v2/models/{model}/versions/{version}/infer", "inference", "Ask a version", "InferRequest", "InferResponse"),
    ("POST", "/v2/models/{model}/generate", "inference", "Ask a model by name of its inputs, for the whole answer", "GenerateRequest", "GenerateResponse"),
    ("POST", "/v2/models/{model}/versions/{version}/generate", "inference", "Ask a version so", "GenerateRequest", "GenerateResponse"),
    ("POST", "/v2/models/{model}/generate_stream", "inference", "Ask a model, for its answer in parts as they come", "GenerateRequest", "text/event-stream"),
    ("POST", "/v2/models/{model}/versions/{version}/generate_stream", "inference", "Ask a version so", "GenerateRequest", "text/event-stream"),
    ("POST", "/v2/repository/index", "repository", "Every version with its state and reason", "IndexRequest", "Index"),
    ("POST", "/v2/repository/refresh", "repository", "Look at the repository now", "LoadRequest", ""),
    ("POST", "/v2/repository/models/{model}/load", "repository", "Load a model, or try again what failed", "LoadRequest", ""),
    ("POST", "/v2/repository/models/{model}/unload", "repository", "Let a model drain and stay unloaded", "LoadRequest", ""),
    ("PUT", "/v2/repository/models/{model}/versions/{version}", "repository", "Upload a version", "application/wasm", "Uploaded"),
    ("DELETE", "/v2/repository/models/{model}/versions/{version}", "repository", "Remove a version", "", "Uploaded"),
    ("POST", "/v2/repository/{repository}/index", "repository", "Refused: repositories have no names here", "", "Error"),
    ("POST", "/v2/repository/{repository}/models/{model}/load", "repository", "Refused: repositories have no names here", "", "Error"),
    ("POST", "/v2/repository/{repository}/models/{model}/unload", "repository", "Refused: repositories have no names here", "", "Error"),
    ("GET", "/v2/keyvalue", "tenant", "The buckets in which models keep values", "", "Buckets"),
    ("GET", "/v2/keyvalue/{bucket}", "tenant", "The keys of a bucket", "", "Keys"),
    ("GET", "/v2/keyvalue/{bucket}/{key}", "tenant", "The value of a key", "", "application/octet-stream"),
    ("PUT", "/v2/keyvalue/{bucket}/{key}", "tenant", "Give a key a value", "application/octet-stream", "KeyValue"),
    ("DELETE", "/v2/keyvalue/{bucket}/{key}", "tenant", "Take a key's value away", "", "KeyValue"),
    ("GET", "/v2/models/{model}/sessions", "tenant", "The sessions that are kept for a model", "", "Sessions"),
    ("DELETE", "/v2/models/{model}/sessions/{session}", "tenant", "Forget a session, once nobody works with it", "", ""),
    ("GET", "/v2/tasks", "tenant", "Deferred tasks that wait, run or were given up", "", "Tasks"),
    ("GET", "/v2/tasks/{task}", "tenant", "One deferred task", "", "Task"),
    ("DELETE", "/v2/tasks/{task}", "tenant", "Cancel a task: it is removed, and stopped if it runs", "", ""),
    ("GET", "/v2/usage", "tenant", "What the tenant holds, and what it may hold", "", "Usage"),
    ("GET", "/v2/logs", "tenant", "The last lines that the tenant's models have written", "", "Logs"),
    ("GET", "/v2/tenants", "tenant", "Every tenant's use", "", "Tenants"),
    ("POST", "/invocations", "inference", "Ask a model as SageMaker does", "InferRequest", "InferResponse"),
    ("GET", "/ping", "server", "Whether it can serve, as SageMaker asks", "", ""),
    ("GET", "/metrics", "server", "Metrics for Prometheus", "", "application/openmetrics-text"),
    ("GET", "/openapi.json", "server", "This document", "", "application/json"),
    ("GET", "/", "server", "A sign of life; the page of `/docs` for browsers", "", "Alive"),
    ("GET", "/docs", "server", "A page that shows this document and lets one try a model", "", "text/html"),
];
