//! The key-value stores of a tenant's models: list, read, write and delete.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::json_response;
use crate::api::http::body;
use crate::api::http::query_parameters::QueryParameters;
use crate::api::http::request_memory::RequestMemory;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::model::InferError;
use crate::store::key_value::{BucketName, Key, KeyError, MAX_VALUE_SIZE};
use crate::store::{KeyValueStore, StoreError};
use crate::tenant::Tenant;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::get("/v2/keyvalue", Access::Manage, buckets).describe(Operation {
            id: "list_buckets",
            tag: "tenant",
            summary: "The buckets in which models keep values",
            query: &["cursor", "limit"],
            response_body: "Buckets",
            errors: errors::STORE,
            ..OPERATION
        }),
        route::get("/v2/keyvalue/{bucket}", Access::Manage, keys).describe(Operation {
            id: "list_keys",
            tag: "tenant",
            summary: "The keys of a bucket",
            query: &["cursor", "limit"],
            response_body: "Keys",
            errors: errors::STORE,
            ..OPERATION
        }),
        route::get("/v2/keyvalue/{bucket}/{key}", Access::Manage, get).describe(Operation {
            id: "get_value",
            tag: "tenant",
            summary: "The value of a key",
            response_body: "application/octet-stream",
            errors: errors::STORE,
            ..OPERATION
        }),
        route::put("/v2/keyvalue/{bucket}/{key}", Access::Manage, put).describe(Operation {
            id: "set_value",
            tag: "tenant",
            summary: "Give a key a value",
            request_body: "Value",
            response_body: "KeyValue",
            errors: errors::STORE,
            ..OPERATION
        }),
        route::delete("/v2/keyvalue/{bucket}/{key}", Access::Manage, delete).describe(Operation {
            id: "delete_value",
            tag: "tenant",
            summary: "Take a key's value away",
            response_body: "KeyValue",
            errors: errors::STORE,
            ..OPERATION
        }),
    ]
}

/// Names per page by default, and at most.
const MAX_PAGE_SIZE: usize = 1000;

type BucketPath = Result<Path<String>, PathRejection>;
type KeyPath = Result<Path<(String, String)>, PathRejection>;

/// `GET /v2/keyvalue`: the non-empty buckets.
async fn buckets(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    page: QueryParameters,
) -> Result<Response, ApiError> {
    let (after, max) = page_bounds(&page)?;
    let tenant = caller.tenant()?;

    let names = state.stores.key_values(tenant).list_buckets(after, max).await;
    let names = names.map_err(|error| error.into_infer_error(tenant))?;

    Ok(json_response(&json!({ "cursor": next_cursor(&names, max), "buckets": names })))
}

/// `GET /v2/keyvalue/{bucket}`: the keys of a bucket in byte order.
async fn keys(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: BucketPath,
    page: QueryParameters,
) -> Result<Response, ApiError> {
    let Path(bucket) = path.map_err(|_| ApiError::no_such_path(""))?;
    let name = BucketName::parse(&bucket)?;
    let (after, max) = page_bounds(&page)?;
    let tenant = caller.tenant()?;

    let keys = state.stores.key_values(tenant).list_keys(name, after, max).await;
    let keys = keys.map_err(|error| error.into_infer_error(tenant))?;

    Ok(json_response(&json!({ "bucket": bucket, "cursor": next_cursor(&keys, max), "keys": keys })))
}

/// `GET /v2/keyvalue/{bucket}/{key}`: the bytes of a value.
async fn get(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: KeyPath,
) -> Result<Response, ApiError> {
    let target = KeyTarget::find(&state, &caller, path)?;
    let value = target.store.get(target.bucket.clone(), target.key.clone()).await;
    let value = target.finish(value)?.ok_or_else(no_such_key)?;

    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))], value)
        .into_response())
}

/// `PUT /v2/keyvalue/{bucket}/{key}`: stores the body as the value.
async fn put(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: KeyPath,
    body: Body,
) -> Result<Response, ApiError> {
    let target = KeyTarget::find(&state, &caller, path)?;
    let mut memory = RequestMemory::new(&target.tenant);
    let value = body::read(body, MAX_VALUE_SIZE as u64, &mut memory).await?;
    let size = value.len();

    target
        .finish(target.store.set(target.bucket.clone(), target.key.clone(), value.into()).await)?;

    Ok(json_response(
        &json!({ "bucket": target.bucket.as_str(), "key": target.key.as_str(), "size": size }),
    ))
}

/// `DELETE /v2/keyvalue/{bucket}/{key}`: deletes a value.
async fn delete(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: KeyPath,
) -> Result<Response, ApiError> {
    let target = KeyTarget::find(&state, &caller, path)?;
    let deleted = target.store.delete(target.bucket.clone(), target.key.clone()).await;
    if !target.finish(deleted)? {
        return Err(no_such_key());
    }

    Ok(json_response(&json!({ "bucket": target.bucket.as_str(), "key": target.key.as_str() })))
}

/// A key and its store.
struct KeyTarget {
    store: Arc<dyn KeyValueStore>,
    tenant: Arc<Tenant>,
    bucket: BucketName,
    key: Key,
}

impl KeyTarget {
    fn find(state: &ApiState, caller: &Caller, path: KeyPath) -> Result<KeyTarget, ApiError> {
        // Fails only for a path that is not UTF-8 after decoding.
        let Path((bucket, key)) = path.map_err(|_| ApiError::no_such_path(""))?;
        let bucket = BucketName::parse(&bucket)?;
        let key = Key::new(key)?;
        let tenant = caller.tenant()?.clone();

        Ok(KeyTarget { store: state.stores.key_values(&tenant), tenant, bucket, key })
    }

    fn finish<T>(&self, outcome: Result<T, StoreError>) -> Result<T, ApiError> {
        outcome.map_err(|error| error.into_infer_error(&self.tenant).into())
    }
}

/// Returns the page's cursor (the last name of the previous page) and its maximum number of names.
fn page_bounds(page: &QueryParameters) -> Result<(String, usize), ApiError> {
    let cursor = page.text("cursor")?;
    let limit = page.number("limit")?;

    Ok((cursor.unwrap_or_default(), limit.unwrap_or(MAX_PAGE_SIZE).clamp(1, MAX_PAGE_SIZE)))
}

/// Returns the cursor of the next page; `None` after the last page.
fn next_cursor(names: &[String], max: usize) -> Option<&String> {
    names.last().filter(|_| names.len() == max)
}

fn no_such_key() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "key_not_found", "there is nothing under this key")
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        InferError::InvalidInput(error.to_string()).into()
    }
}
