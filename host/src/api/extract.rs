//! Parts that most handlers share: the model in the path and JSON responses.

use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::error::ApiError;
use super::state::ApiState;
use crate::model::InferError;
use crate::servable::ServableHandle;

/// The model and the optional version in a path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ModelPath {
    pub(super) model: String,
    pub(super) version: Option<String>,
}

impl ModelPath {
    /// Parses `/v2/models/{m}[/versions/{v}]/infer`; `None` for other paths and for paths with
    /// escapes.
    pub(super) fn parse(path: &str) -> Option<ModelPath> {
        let named = path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
        let (model, version) = match named.split_once('/') {
            None => (named, None),
            Some((model, rest)) => (model, Some(rest.strip_prefix("versions/")?)),
        };

        let plain = |part: &str| !part.is_empty() && !part.contains(['/', '%']);
        let parsed =
            || ModelPath { model: model.to_string(), version: version.map(str::to_string) };

        (plain(model) && version.is_none_or(plain)).then(parsed)
    }

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
        Err(error) => ApiError::from(InferError::Internal(error.to_string())).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_contains_model_and_version() {
        let target = |model: &str, version: Option<&str>| {
            Some(ModelPath { model: model.into(), version: version.map(str::to_string) })
        };
        assert_eq!(ModelPath::parse("/v2/models/a/infer"), target("a", None));
        assert_eq!(
            ModelPath::parse("/v2/models/a.b-c/versions/3/infer"),
            target("a.b-c", Some("3"))
        );

        for other in [
            "/v2/models/infer",
            "/v2/models//infer",
            "/v2/models/a/versions//infer",
            "/v2/models/a%2e/infer",
        ] {
            assert_eq!(ModelPath::parse(other), None, "{other}");
        }

        for other in [
            "/v2/models/a/b/infer",
            "/v2/models/a/versions/1/2/infer",
            "/v2/models/a/ready",
            "/infer",
        ] {
            assert_eq!(ModelPath::parse(other), None, "{other}");
        }
    }
}
