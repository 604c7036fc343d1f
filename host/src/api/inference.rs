//! The steps that all inference routes share: admission, resolution of the model, logging and error
//! responses.

use std::future::Future;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use tracing::{Instrument, Span};

use super::auth::Caller;
use super::context::RequestContext;
use super::error::ApiError;
use super::extract::ModelPath;
use super::http::guarded_body::hold_until_sent;
use super::http::request_memory::RequestMemory;
use super::json::shorten;
use super::state::ApiState;
use crate::dataplane::{Admission, Admitted};
use crate::model::{InferError, Version};
use crate::servable::{AfterResponse, ServableHandle};
use crate::tenant::{QuotaGuard, Tenant};

/// An admitted inference request whose model has been resolved.
pub(super) struct ResolvedRequest<'r> {
    pub(super) context: &'r RequestContext,
    pub(super) tenant: &'r Arc<Tenant>,
    pub(super) path: &'r ModelPath,
    pub(super) admitted: Admitted,
}

/// A response with the host memory that it holds until it has been sent; `None` if its body holds
/// the memory itself.
pub(super) type Answer = Result<(Response, Option<RequestMemory>), InferError>;

/// Answers an inference request with `answer`, which must log the outcome. The response holds the
/// admission until it has been sent.
///
/// Admission precedes reading the body, because the body stays in memory while the request runs.
pub(super) async fn respond<'r, F: Future<Output = Answer>>(
    state: &ApiState,
    context: &'r RequestContext,
    caller: &'r Caller,
    path: &'r ModelPath,
    answer: impl FnOnce(ResolvedRequest<'r>) -> F,
) -> Response {
    respond_counted(state, context, caller, path, None, answer).await
}

/// Like [`respond`], for a request that the tenant's quota counts already if there is a guard.
pub(super) async fn respond_counted<'r, F: Future<Output = Answer>>(
    state: &ApiState,
    context: &'r RequestContext,
    caller: &'r Caller,
    path: &'r ModelPath,
    quota: Option<QuotaGuard>,
    answer: impl FnOnce(ResolvedRequest<'r>) -> F,
) -> Response {
    let tenant = match caller.tenant() {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal.into_response(),
    };

    let admitted = admit(state, context, tenant, path, quota);
    respond_admitted(state, context, tenant, path, admitted, answer).await
}

/// Like [`respond`], for a request that has been admitted, or not.
pub(super) async fn respond_admitted<'r, F: Future<Output = Answer>>(
    state: &ApiState,
    context: &'r RequestContext,
    tenant: &'r Arc<Tenant>,
    path: &'r ModelPath,
    admitted: Result<(Admission, Admitted), InferError>,
    answer: impl FnOnce(ResolvedRequest<'r>) -> F,
) -> Response {
    let version = path.version.as_deref();
    let outcome = match admitted {
        Ok((admission, admitted)) => {
            let resolved = ResolvedRequest { context, tenant, path, admitted };
            let span = resolved.span();
            let answered = answer(resolved).instrument(span).await;
            answered.map(|(response, memory)| hold_until_sent((admission, memory), response))
        }
        Err(error) => Err(error),
    };

    outcome.unwrap_or_else(|error| {
        ApiError::from(error)
            .with_model_hints(&state.dataplane, tenant.name(), &path.model, version)
            .into_response()
    })
}

/// Admits a request, which the tenant's quota counts already if there is a guard, and resolves its
/// model. Logs the outcome if it fails.
pub(super) fn admit(
    state: &ApiState,
    context: &RequestContext,
    tenant: &Arc<Tenant>,
    path: &ModelPath,
    quota: Option<QuotaGuard>,
) -> Result<(Admission, Admitted), InferError> {
    let version = path.version.as_deref();
    let outcome = match quota {
        Some(quota) => state.dataplane.admit_counted(quota, tenant, &path.model, version),
        None => state.dataplane.admit(tenant, &path.model, version),
    };
    if outcome.is_err() {
        log_outcome(context, tenant, path, None, &outcome);
    }

    outcome
}

/// Admits a request to a version that a route has found. Logs the outcome if it fails.
pub(super) fn admit_to(
    state: &ApiState,
    context: &RequestContext,
    tenant: &Arc<Tenant>,
    path: &ModelPath,
    servable: ServableHandle,
) -> Result<(Admission, Admitted), InferError> {
    let outcome = state.dataplane.admit_to(tenant, servable);
    if outcome.is_err() {
        log_outcome(context, tenant, path, None, &outcome);
    }

    outcome
}

impl ResolvedRequest<'_> {
    /// The span in which the request runs. It costs one comparison unless the log includes debug
    /// messages, so lines of other levels name their request themselves.
    fn span(&self) -> Span {
        let id = self.admitted.servable().id();
        let request_id = &self.context.request_id;
        tracing::debug_span!("request", %request_id, tenant = %id.tenant, model = %id.name, version = %id.version)
    }

    /// Logs the outcome, including details that only the model's owner may read.
    pub(super) fn log_outcome<T>(&self, outcome: &Result<T, InferError>) {
        let version = self.admitted.servable().id().version;
        log_outcome(self.context, self.tenant, self.path, Some(version), outcome);
    }
}

fn log_outcome<T>(
    context: &RequestContext,
    tenant: &Tenant,
    path: &ModelPath,
    version: Option<Version>,
    outcome: &Result<T, InferError>,
) {
    let request_id = &context.request_id;
    let tenant = tenant.name();
    let version = version.map(Version::number);

    let error = match outcome {
        // Its span names the request.
        Ok(_) => return tracing::debug!("answered"),
        Err(error) => error,
    };

    let model = shorten(&path.model);
    let code = ApiError::from(error).code;

    match error.private_detail() {
        Some(detail) => {
            tracing::warn!(%request_id, %tenant, model, version, code, detail, "a request failed")
        }
        None => {
            tracing::debug!(%request_id, %tenant, model, version, code, "a request was refused")
        }
    }
}

/// Attaches work that starts once the connection has written the head of the response.
pub(super) fn attach_after_response(
    mut response: Response,
    after_response: Option<AfterResponse>,
) -> Response {
    if let Some(after_response) = after_response {
        // hyper drops the extensions after writing the head, which starts the work.
        response.extensions_mut().insert(Arc::new(after_response));
    }

    response
}
