//! The calls that the HTTP routes answer: a call becomes a request to a route, with its access,
//! quota and errors, and the JSON of the answer becomes a message.

use std::convert::Infallible;
use std::fmt::Write;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Method, Request};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::Service;

use super::frames::MessageReader;
use super::head::CallHead;
use super::infer::ok_response;
use super::messages::{
    Condition, Empty, ModelConfig, ModelConfigResponse, ModelIndex, ModelMetadataResponse,
    ModelRequest, ModelStatisticsResponse, RepositoryIndexRequest, RepositoryIndexResponse,
    RepositoryModelRequest, RepositoryParameter, RepositoryParameterChoice, ServerMetadataResponse,
    TransactionPolicy,
};
use super::status;
use super::wire::malformed;
use crate::api::auth::{self, Access};
use crate::api::context::RequestContext;
use crate::api::error::ApiError;
use crate::api::extract::ModelPath;
use crate::api::http::body::within_receive_timeout;
use crate::api::http::compression::MaybeCompressed;
use crate::api::state::ApiState;
use crate::engine::Interface;
use crate::model::InferError;

/// The longest message of these calls in bytes.
const MAX_MESSAGE: u32 = 64 << 10;

/// A call that a route answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    ServerLive,
    ServerReady,
    ModelReady,
    ServerMetadata,
    ModelMetadata,
    ModelConfig,
    ModelStatistics,
    RepositoryIndex,
    ModelLoad,
    ModelUnload,
}

/// Everything that the routes need.
pub(super) struct Routes<'a> {
    pub(super) state: &'a ApiState,
    pub(super) router: &'a Router,
    pub(super) context: &'a RequestContext,
}

impl Routes<'_> {
    /// Answers a call.
    pub(super) async fn handle(&self, method: Call, request: Request<Body>) -> Response {
        let outcome = self.call(method, request).await;
        outcome.unwrap_or_else(|error| status::failed(&error))
    }

    async fn call(&self, method: Call, request: Request<Body>) -> Result<Response, ApiError> {
        let (parts, body) = request.into_parts();
        let call = CallHead::read(parts.headers)?;
        let message = read_message(&call, body).await?;
        let route = Route { routes: self, headers: call.into_headers(None, None)? };

        let answer = match method {
            Call::ServerLive => route.condition("/v2/health/live".into()).await?,
            Call::ServerReady => route.condition("/v2/health/ready".into()).await?,
            Call::ModelReady => {
                let model = decode::<ModelRequest>(message)?;
                route.condition(path_of(&model, "/ready")?).await?
            }
            Call::ServerMetadata => {
                route.get::<ServerMetadataResponse>("/v2".into()).await?.encode_to_vec()
            }
            Call::ModelMetadata => {
                let path = path_of(&decode(message)?, "")?;
                route.get::<ModelMetadataResponse>(path).await?.encode_to_vec()
            }
            Call::ModelConfig => {
                let config = route.config(&decode(message)?).await?;
                ModelConfigResponse { config: Some(config) }.encode_to_vec()
            }
            Call::ModelStatistics => {
                let model = decode::<ModelRequest>(message)?;
                let path = match model.name.as_str() {
                    "" => "/v2/models/stats".into(),
                    _ => path_of(&model, "/stats")?,
                };
                route.get::<ModelStatisticsResponse>(path).await?.encode_to_vec()
            }
            Call::RepositoryIndex => {
                let RepositoryIndexRequest { repository_name, ready } = decode(message)?;
                let path = repository_path(&repository_name, "/index");
                let models: Vec<ModelIndex> = route.post(path, &json!({"ready": ready})).await?;
                RepositoryIndexResponse { models }.encode_to_vec()
            }
            Call::ModelLoad => route.repository(decode(message)?, "load").await?,
            Call::ModelUnload => route.repository(decode(message)?, "unload").await?,
        };

        ok_response(answer)
    }
}

/// The route of one call.
struct Route<'a> {
    routes: &'a Routes<'a>,
    headers: HeaderMap,
}

impl Route<'_> {
    /// Asks whether something is live or ready. Something that does not exist is not ready.
    async fn condition(&self, path: String) -> Result<Vec<u8>, ApiError> {
        let response = self.send(Method::GET, path, Body::empty()).await;
        let holds = response.status().is_success();

        match response.extensions().get::<ApiError>() {
            Some(error) if !matches!(error.status.as_u16(), 404 | 503) => Err(error.clone()),
            _ => Ok(Condition { holds }.encode_to_vec()),
        }
    }

    async fn config(&self, model: &ModelRequest) -> Result<ModelConfig, ApiError> {
        let mut config: ModelConfig = self.get(path_of(model, "/config")?).await?;

        // Clients learn from it that a model answers streams in parts.
        let caller = auth::authorize(self.routes.state, &self.headers, Access::Key)?;
        let version = Some(model.version.clone()).filter(|version| !version.is_empty());
        let path = ModelPath { model: model.name.clone(), version };
        let servable = path.find(self.routes.state, &caller)?;
        let decoupled = servable.template().has(Interface::Streaming);
        config.model_transaction_policy = Some(TransactionPolicy { decoupled });

        Ok(config)
    }

    /// Loads or unloads a model.
    async fn repository(
        &self,
        request: RepositoryModelRequest,
        action: &str,
    ) -> Result<Vec<u8>, ApiError> {
        let RepositoryModelRequest { repository_name, model_name, parameters } = request;
        let parameters: serde_json::Map<_, _> =
            parameters.into_iter().map(|(name, value)| (name, parameter_json(value))).collect();

        let mut rest = "/models/".to_owned();
        escape(&model_name, &mut rest);
        rest = format!("{rest}/{action}");

        let path = repository_path(&repository_name, &rest);
        let body = json!({"parameters": parameters});
        read_answer(self.send(Method::POST, path, Body::from(body.to_string())).await).await?;

        Ok(Empty {}.encode_to_vec())
    }

    async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, ApiError> {
        parse(&read_answer(self.send(Method::GET, path, Body::empty()).await).await?)
    }

    async fn post<T: DeserializeOwned>(&self, path: String, body: &Value) -> Result<T, ApiError> {
        let response = self.send(Method::POST, path, Body::from(body.to_string())).await;
        parse(&read_answer(response).await?)
    }

    async fn send(&self, method: Method, path: String, body: Body) -> Response {
        let request = Request::builder().method(method).uri(path).body(body);
        let mut request = match request {
            Ok(request) => request,
            Err(error) => {
                return ApiError::from(InferError::Internal(error.to_string())).into_response();
            }
        };

        *request.headers_mut() = self.headers.clone();
        request.headers_mut().remove(axum::http::header::ACCEPT_ENCODING);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.extensions_mut().insert(self.routes.context.clone());

        let response: Result<Response, Infallible> = self.routes.router.clone().call(request).await;
        response.into_response()
    }
}

/// Reads the only message of a call.
async fn read_message(call: &CallHead, body: Body) -> Result<Bytes, ApiError> {
    let mut reader = MessageReader::new(body);
    let reading = async {
        let Some(prefix) = reader.next().await? else { return Ok(Bytes::new()) };
        let limit = u64::from(MAX_MESSAGE);
        if prefix.length > MAX_MESSAGE {
            return Err(InferError::RequestTooLarge { limit });
        }

        let coding = call.coding(prefix)?;
        let message = reader.short_message(prefix.length).await?;
        let most = MAX_MESSAGE as usize;
        MaybeCompressed::new(coding, message, limit, most)?.into_short(limit)
    };

    Ok(within_receive_timeout(reading).await?)
}

fn decode<T: Message + Default>(message: Bytes) -> Result<T, ApiError> {
    T::decode(message).map_err(|error| InferError::InvalidInput(malformed(error)).into())
}

/// Returns the body of an answer, or its error.
async fn read_answer(response: Response) -> Result<Bytes, ApiError> {
    if let Some(error) = response.extensions().get::<ApiError>() {
        return Err(error.clone());
    }

    let body = response.into_body().collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| InferError::Internal(error.to_string()).into())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| InferError::Internal(error.to_string()).into())
}

/// Returns the path of a model's route.
fn path_of(model: &ModelRequest, route: &str) -> Result<String, ApiError> {
    if model.name.is_empty() {
        let text = "the request names no model; give name";
        return Err(InferError::InvalidInput(text.into()).into());
    }

    let mut path = "/v2/models/".to_owned();
    escape(&model.name, &mut path);
    if !model.version.is_empty() {
        path.push_str("/versions/");
        escape(&model.version, &mut path);
    }

    path.push_str(route);
    Ok(path)
}

fn repository_path(repository: &str, rest: &str) -> String {
    let mut path = "/v2/repository".to_owned();
    if !repository.is_empty() {
        path.push('/');
        escape(repository, &mut path);
    }

    path.push_str(rest);
    path
}

/// Writes a text as one segment of a path.
fn escape(text: &str, path: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => path.push(byte.into()),
            // Two dots alone would leave the segment.
            b'.' if text != "." && text != ".." => path.push('.'),
            _ => drop(write!(path, "%{byte:02X}")),
        }
    }
}

fn parameter_json(value: RepositoryParameter) -> Value {
    match value.parameter_choice {
        None => Value::Null,
        Some(RepositoryParameterChoice::Bool(value)) => value.into(),
        Some(RepositoryParameterChoice::Int64(value)) => value.into(),
        Some(RepositoryParameterChoice::String(value)) => value.into(),
        Some(RepositoryParameterChoice::Bytes(value)) => value.len().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_single_segments() {
        let path = |name: &str, version: &str| {
            path_of(&ModelRequest { name: name.into(), version: version.into() }, "/ready").unwrap()
        };
        assert_eq!(path("house-price", ""), "/v2/models/house-price/ready");
        assert_eq!(path("a.b", "3"), "/v2/models/a.b/versions/3/ready");
        assert_eq!(path("a/b?c#d%41", ""), "/v2/models/a%2Fb%3Fc%23d%2541/ready");
        assert_eq!(path("mödel\n", ".."), "/v2/models/m%C3%B6del%0A/versions/%2E%2E/ready");
        assert!(path_of(&ModelRequest::default(), "").is_err());
        assert_eq!(repository_path("", "/index"), "/v2/repository/index");
        assert_eq!(repository_path("a b", "/index"), "/v2/repository/a%20b/index");
    }
}
