//! Suggestions for paths of other model servers.

use super::error::ApiError;
use crate::model::{ModelName, Version};

impl ApiError {
    /// The path does not exist. The text suggests the equivalent path of this server.
    pub(super) fn no_such_path(path: &str) -> Self {
        let advice =
            path_hint(path).unwrap_or_else(|| "GET /docs lists the paths of this server".into());
        let text = format!("there is nothing at this path; {advice}");
        ApiError::new(axum::http::StatusCode::NOT_FOUND, "not_found", text)
    }
}

const HEALTH: &str = "GET /v2/health/live and GET /v2/health/ready return the state of the server";
const LIST: &str = "GET /v2/models lists the models";
const GENERATE: &str = "this server does not offer that protocol; POST /v2/models/{model}/generate answers with text, and \
     /v2/models/{model}/generate_stream in parts";
const OPENAI: &str = "of OpenAI's API there are POST /v1/chat/completions, /v1/completions and /v1/embeddings, and \
     GET /v1/models";
const EXTENSION: &str =
    "this server does not offer Triton's trace, log and shared memory extensions";

/// Returns the equivalent of another server's path; `None` if no known server has this path.
fn path_hint(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let text = match parts.as_slice() {
        [
            "health" | "healthz" | "livez" | "readyz" | "live" | "ready" | "status"
            | "health-check",
            ..,
        ]
        | ["v1" | "v2", "health", ..]
        | ["v2", "live" | "ready"] => HEALTH.into(),
        ["v1"] => "GET /v2 returns the name and version of this server".into(),
        ["stats" | "statistics"] | ["v2", "stats"] => {
            "GET /v2/models/stats returns the statistics".into()
        }
        ["models"] | ["api", "tags"] => LIST.into(),
        ["swagger" | "redoc" | "api-docs" | "openapi" | "openapi.yaml", ..] => {
            "GET /openapi.json describes this server, and GET /docs shows it".into()
        }
        ["v2", "logging" | "trace" | "systemsharedmemory" | "cudasharedmemory", ..]
        | ["v2", "models", _, "trace", ..] => EXTENSION.into(),
        ["v1", "chat" | "completions" | "embeddings", ..] => OPENAI.into(),
        ["v1", "responses", ..]
        | ["api", "generate" | "chat" | "embeddings"]
        | ["generate" | "generate_stream" | "chat"] => GENERATE.into(),
        ["v2", "models", model] if model.contains(':') => inference_hint(model, None),
        ["v2", "models", model, "versions", version] if version.contains(':') => {
            inference_hint(model, Some(version))
        }
        ["v1" | "v2", "models", model, "versions", version, word] if is_inference_word(word) => {
            inference_hint(model, Some(version))
        }
        ["v1" | "v2", "models", model, word] if is_inference_word(word) => {
            inference_hint(model, None)
        }
        ["v2", model, word] if is_inference_word(word) => inference_hint(model, None),
        ["predictions" | "explanations" | "models", model] | ["models", model, "invoke"] => {
            inference_hint(model, None)
        }
        ["predictions", model, version] => inference_hint(model, Some(version)),
        ["api", _, "predictions" | "explanations", ..] | ["v1" | "v2", ..] => {
            inference_hint("", None)
        }
        [word] if is_inference_word(word) => inference_hint("", None),
        _ => return None,
    };

    Some(text)
}

/// True if other servers use `word` as the name of an inference endpoint.
fn is_inference_word(word: &str) -> bool {
    let words = [
        "predict",
        "prediction",
        "predictions",
        "infer",
        "inference",
        "invoke",
        "invocations",
        "score",
        "explain",
        "classify",
        "regress",
        "run",
    ];

    words.contains(&word)
}

fn inference_hint(model: &str, version: Option<&str>) -> String {
    let model = model_or_placeholder(model);
    let version = version.and_then(|version| Version::parse(before_colon(version)));
    let version = version.map(|version| format!("/versions/{version}")).unwrap_or_default();

    format!(
        "inference is POST /v2/models/{model}{version}/infer with the Open Inference Protocol, and POST \
         /v2/models/{model}{version}/predict with records or CSV"
    )
}

/// Returns the model name in a path, or a placeholder if it is not a valid name.
fn model_or_placeholder(model: &str) -> String {
    ModelName::new(before_colon(model)).map_or_else(|_| "{model}".into(), |name| name.to_string())
}

/// Removes TensorFlow Serving's verb, which follows a colon.
fn before_colon(part: &str) -> &str {
    part.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_of_other_servers_get_a_hint() {
        for (path, says) in [
            ("/v2/models/iris:predict", "POST /v2/models/iris/infer"),
            ("/v2/models/iris/versions/3:predict", "POST /v2/models/iris/versions/3/infer"),
            ("/v1/models/iris/predict", "POST /v2/models/iris/infer"),
            ("/v2/iris/infer", "POST /v2/models/iris/infer"),
            ("/predictions/iris", "POST /v2/models/iris/infer"),
            ("/predictions/iris/1.0", "POST /v2/models/iris/infer"),
            ("/models/iris/invoke", "POST /v2/models/iris/infer"),
            ("/predict", "POST /v2/models/{model}/infer"),
            ("/score", "POST /v2/models/{model}/infer"),
            ("/v1/chat", "POST /v1/chat/completions"),
            ("/v1/responses", "POST /v2/models/{model}/generate"),
            ("/generate", "POST /v2/models/{model}/generate"),
            ("/healthz", "GET /v2/health/ready"),
            ("/v2/models/iris/trace/setting", "does not offer"),
            ("/v2/logging", "does not offer"),
            ("/swagger", "/openapi.json"),
            ("/elsewhere", "GET /docs"),
        ] {
            let text = ApiError::no_such_path(path).text;
            assert!(
                text.starts_with("there is nothing at this path; ") && text.contains(says),
                "{path}: {text}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_paths_neither_panic_nor_are_echoed(path in "(/[a-z0-9:<>%.]{0,200}){0,8}") {
            let text = ApiError::no_such_path(&path).text;
            prop_assert!(text.len() < 400 && !text.contains('<'));
        }
    }
}
