//! The model of a request, which is named in its body.
//!
//! The whole body is read first, because OpenAI's package writes the messages before the model. It
//! then goes on to the steps that all inference shares, as if it had just arrived.

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use axum::http::header::CONTENT_ENCODING;

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::ModelPath;
use crate::api::http::compression::{self, ContentCoding, MaybeCompressed};
use crate::api::http::request_memory::RequestMemory;
use crate::api::http::{body, content_type, offload};
use crate::api::json::{JsonError, Reader};
use crate::api::state::ApiState;
use crate::model::{InferError, ModelSettings};
use crate::tenant::{Pacer, QuotaGuard, Tenant, thread_time};

/// A request whose body has been read.
pub(super) struct NamedRequest {
    /// The model that it names.
    pub(super) path: ModelPath,
    pub(super) request: Request<Body>,
    /// Its share of the tenant's quota.
    pub(super) quota: QuotaGuard,
}

/// Reads a request. Fails if it names no model, or the body is larger than any model of the tenant
/// allows.
pub(super) async fn read(
    state: &ApiState,
    caller: &Caller,
    request: Request<Body>,
) -> Result<NamedRequest, ApiError> {
    let tenant = caller.tenant()?;
    // Before the body, which stays in memory while the request runs.
    let quota = tenant.admit().map_err(InferError::from)?;

    let (mut head, body) = request.into_parts();
    content_type::JSON_ONLY.check(&head.headers)?;
    let coding = compression::request_coding(&head.headers)?;

    let mut memory = RequestMemory::new(tenant);
    let limit = limit(state, tenant, &body, coding);
    let body = body::read(body, limit, &mut memory).await?;
    let (model, body) = find_model(state, tenant, coding, body, limit, memory).await?;

    head.headers.remove(CONTENT_ENCODING);

    let path = ModelPath { model, version: None };
    let request = Request::from_parts(head, body.into());

    Ok(NamedRequest { path, request, quota })
}

/// Returns the model that a body names, and the body without its content coding. The tenant pays
/// for the work.
async fn find_model(
    state: &ApiState,
    tenant: &Tenant,
    coding: Option<ContentCoding>,
    body: Bytes,
    limit: u64,
    mut memory: RequestMemory,
) -> Result<(String, Bytes), InferError> {
    let share = tenant.payer().share();
    let inline_limit = offload::inline_limit(&state.workers, share);
    let charge_since = |started| {
        let time = thread_time().saturating_sub(started);
        state.workers.turns().charge(share, time);
    };

    let started = thread_time();
    let body = MaybeCompressed::new(coding, body, limit, inline_limit);
    charge_since(started);

    let body = body?;
    let length = body.work_length();
    let work = move |pacer: &Pacer| {
        let body = body.into_plain(limit, &mut memory, pacer)?;
        let model = model(&body, pacer).map_err(InferError::InvalidInput)?;
        Ok((model, body))
    };
    if length <= inline_limit {
        let started = thread_time();
        let found = work(&Pacer::unmetered());
        charge_since(started);
        return found;
    }

    offload::run(&state.workers, Some(tenant), length, work).await?
}

/// Returns the limit of a body whose model is not known: the largest of the tenant's models, which
/// are looked at only for a body over the default.
fn limit(state: &ApiState, tenant: &Tenant, body: &Body, coding: Option<ContentCoding>) -> u64 {
    let usual = ModelSettings::default().limits.request;
    if coding.is_none() && body.size_hint().upper().is_some_and(|length| length <= usual) {
        return usual;
    }

    let names = state.dataplane.models(tenant.name());
    let limits = names.iter().flat_map(|name| {
        let serving = state.dataplane.servables(tenant.name(), name.as_str());
        serving.into_iter().map(|servable| servable.settings().limits.request)
    });
    limits.max().unwrap_or(usual)
}

/// Returns the value of `model`. Fails with a text for the caller.
pub(super) fn model(body: &[u8], pacer: &Pacer) -> Result<String, String> {
    let mut found = None;

    let mut read = || {
        let mut reader = Reader::paced(body, pacer)?;
        reader.object(|reader, key| match &*key {
            "model" if found.is_some() => Err(reader.error("'model' is given twice")),
            "model" => {
                let name = reader.string().map_err(|error| error.in_context("'model'"))?;
                found = Some(name.into_owned());
                Ok(())
            }
            _ => reader.skip(),
        })?;
        reader.expect_end()
    };
    read().map_err(|error: JsonError| error.to_string())?;

    found.ok_or_else(|| "'model' is missing: GET /v1/models lists the models".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<String, String> {
        model(text.as_bytes(), &Pacer::unmetered())
    }

    #[test]
    fn the_model_is_found_anywhere() {
        assert_eq!(found(r#"{"model": "a"}"#), Ok("a".into()));
        assert_eq!(
            found(r#"{"messages": [{"model": "b"}], "model": "a", "x": 1}"#),
            Ok("a".into())
        );

        let bomb = format!(r#"{{"model": "a", "x": {}"#, "[".repeat(100_000));
        for (text, says) in [
            ("", "expected an object"),
            ("[]", "expected an object"),
            ("{", "a string"),
            ("{}", "'model' is missing"),
            (r#"{"model": 1}"#, "'model': expected a string"),
            (r#"{"model": null}"#, "'model': expected a string"),
            (r#"{"model": "a", "model": "b"}"#, "'model' is given twice"),
            (r#"{"model": "a"} x"#, "something after the end"),
            (&bomb, "nested"),
        ] {
            let error = found(text).unwrap_err();
            assert!(error.contains(says), "{text:.40}: {error}");
        }
    }
}
