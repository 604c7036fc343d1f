//! Errors as OpenAI's clients read them: an object under `error`.

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use axum::response::Response;
use serde::Serialize;

use crate::api::error::ApiError;

/// Tells OpenAI's packages whether to send a request again. Without it they repeat every 5xx.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The fields of requests that an error can be about.
const FIELDS: &[&str] = &[
    "audio",
    "best_of",
    "dimensions",
    "echo",
    "encoding_format",
    "frequency_penalty",
    "function_call",
    "functions",
    "input",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "modalities",
    "model",
    "n",
    "presence_penalty",
    "prompt",
    "response_format",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "suffix",
    "temperature",
    "tool_choice",
    "top_logprobs",
    "top_p",
];

/// Codes of errors that a repeated request would only meet again.
const PERMANENT: [&str; 8] = [
    "cpu_time_exceeded",
    "deadline_exceeded",
    "interceptor_failed",
    "model_bad_output",
    "model_failed",
    "model_out_of_memory",
    "model_trapped",
    "response_too_large",
];

/// True if OpenAI's clients send such a request, so that they read the error.
pub(in crate::api) fn is_openai(request: &Request<Body>) -> bool {
    let Some(path) = request.uri().path().strip_prefix("/v1/") else { return false };
    let is_below = |root: &str| {
        path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };

    if let Some(model) = path.strip_prefix("models") {
        let is_model = model.strip_prefix('/').is_none_or(|model| !model.contains('/'));
        return request.method() == Method::GET && is_below("models") && is_model;
    }

    ["chat", "completions", "embeddings"].into_iter().any(is_below)
}

/// Gives a response the body that OpenAI's clients read, if it is an error.
pub(in crate::api) fn convert(mut response: Response) -> Response {
    let Some(error) = response.extensions().get::<ApiError>() else { return response };

    let body = to_json(error);
    let repeats = PERMANENT.contains(&error.code)
        || (error.status == StatusCode::TOO_MANY_REQUESTS && error.retry_after_seconds == 0);

    let headers = response.headers_mut();
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    if repeats {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    *response.body_mut() = Body::from(body);

    response
}

/// Returns the JSON of an error.
pub(super) fn to_json(error: &ApiError) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        error: Object<'a>,
    }

    #[derive(Serialize)]
    struct Object<'a> {
        message: &'a str,
        r#type: &'static str,
        param: Option<&'static str>,
        code: &'static str,
    }

    let message = error.public_text();
    let param = param(error.code, &message);
    let object = Object { message: &message, r#type: kind(error.status), param, code: error.code };

    // Texts can always be serialized.
    serde_json::to_vec(&Body { error: object }).unwrap_or_default()
}

fn kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    }
}

/// Returns the field that an error is about. The texts of this folder begin with it, in quotes.
fn param(code: &str, text: &str) -> Option<&'static str> {
    if code == "model_not_found" {
        return Some("model");
    }

    // The model's name precedes the text of most errors.
    let text = match text.strip_prefix("model '") {
        Some(named) => named.split_once("': ").map_or(text, |(_, text)| text),
        None => text,
    };

    FIELDS.iter().copied().find(|field| {
        let rest = text.strip_prefix('\'').and_then(|text| text.strip_prefix(*field));
        rest.is_some_and(|rest| rest.starts_with(['\'', '[', '.']))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::InferError;

    fn asks(method: Method, path: &str) -> bool {
        is_openai(&Request::builder().method(method).uri(path).body(Body::empty()).unwrap())
    }

    fn object(error: ApiError) -> Value {
        serde_json::from_slice::<Value>(&to_json(&error)).unwrap()["error"].clone()
    }

    #[test]
    fn errors_are_objects_where_openais_clients_ask() {
        for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/chat"] {
            assert!(asks(Method::POST, path) && asks(Method::GET, path), "{path}");
        }
        for path in ["/v1/models", "/v1/models/iris"] {
            assert!(asks(Method::GET, path) && !asks(Method::POST, path), "{path}");
        }
        for path in [
            "/v1/models/iris/versions/1",
            "/v1/models/iris/metadata",
            "/v1/modelsx",
            "/v1/completionsx",
            "/v2/models",
            "/v1",
        ] {
            assert!(!asks(Method::GET, path), "{path}");
        }
    }

    #[test]
    fn an_object_has_message_type_param_and_code() {
        let error = ApiError::from(InferError::InvalidInput("'n': it must be 1".into()));
        let expected = json!({
            "message": "model 'chat': 'n': it must be 1", "type": "invalid_request_error",
            "param": "n", "code": "invalid_input",
        });
        assert_eq!(object(error.with_model("chat", None)), expected);

        let error = object(InferError::InvalidInput("'messages[1].role': no".into()).into());
        assert_eq!(error["param"], "messages");
        assert_eq!(object(InferError::ModelNotFound.into())["param"], "model");

        let error = object(InferError::Overloaded.into());
        assert_eq!((&error["param"], &error["type"]), (&Value::Null, &json!("server_error")));
    }

    #[test]
    fn permanent_errors_are_not_repeated() {
        use axum::response::IntoResponse;

        let retry = |error: InferError| {
            let response = convert(ApiError::from(error).into_response());
            response.headers().get(SHOULD_RETRY).map(|value| value.to_str().unwrap().to_owned())
        };

        assert_eq!(retry(InferError::Failed("x".into())).as_deref(), Some("false"));
        assert_eq!(retry(InferError::Overloaded), None);
        assert_eq!(retry(InferError::QueueFull { limit: 1 }), None);
    }
}
