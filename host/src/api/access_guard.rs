//! The middleware before every handler: it checks the access to the route, and holds the request's
//! share of a quota until the response has been sent.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::admin_quota::{AdminPermit, AdminQuota};
use super::api_key_header::sent_key;
use super::auth::{Access, Caller, authorize};
use super::context::RequestContext;
use super::error::ApiError;
use super::http::compression::response_coding;
use super::http::guarded_body::hold_until_sent;
use super::http::request_memory::RequestMemory;
use super::http::response_compression;
use super::state::ApiState;
use crate::model::{Digest, InferError};
use crate::tenant::{QuotaGuard, Tenant};

/// The state of [`require_access`] for one route.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) state: Arc<ApiState>,
    pub(super) access: Access,
    pub(super) admin_quota: AdminQuota,
}

/// Middleware before every handler: authorizes the request and takes its share of a quota. The
/// share is given back when the response has been sent.
pub(super) async fn require_access(
    State(Guard { state, access, admin_quota }): State<Guard>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let caller = match (authorize(&state, request.headers(), access), access) {
        (Ok(caller), _) => caller,
        (Err(_), Access::Open) => return next.run(request).await,
        (Err(refusal), _) => return refusal.into_response(),
    };

    let permit = match Permit::take(&admin_quota, &caller, access, request.headers()) {
        Ok(permit) => permit,
        Err(refusal) => return refusal.into_response(),
    };

    if let Some(context) = request.extensions().get::<RequestContext>() {
        caller.record_on(&context.connection);
    }

    let coding = response_coding(request.headers());
    let tenant = caller.optional_tenant().cloned();
    let payer = paying_tenant(&caller, access).cloned();

    request.extensions_mut().insert(caller);

    let handling = async {
        let response = next.run(request).await;

        // Inference compresses its own responses.
        if access == Access::Infer {
            return response;
        }

        response_compression::compress(&state.workers, tenant.as_deref(), coding, response).await
    };

    let response = match payer {
        Some(payer) => state.workers.run_in_turns(payer.payer(), handling).await,
        None => handling.await,
    };

    permit.hold(response).unwrap_or_else(IntoResponse::into_response)
}

/// Marks a response whose number is bounded by its handler, in its extensions: one that may last as
/// long as a page is open would take a place of the tenant's concurrency from inference.
#[derive(Clone)]
pub(super) struct BoundedByHandler;

/// A request's share of the quota that covers it.
enum Permit {
    /// The tenant's quota covers the request.
    Tenant(QuotaGuard),
    /// The quota of the API key covers the request, see [`AdminQuota`].
    Admin(AdminPermit),
    /// Open routes build nothing for the request. Inference takes its own share.
    Uncovered,
}

impl Permit {
    /// Takes a share for a request. Fails if the quota is used up.
    fn take(
        admin_quota: &AdminQuota,
        caller: &Caller,
        access: Access,
        headers: &HeaderMap,
    ) -> Result<Permit, ApiError> {
        if matches!(access, Access::Open | Access::Infer) {
            return Ok(Permit::Uncovered);
        }

        if caller.is_admin() {
            // Without configured keys, a key that a client sends has no meaning.
            let key = if caller.key_id().is_some() { sent_key(headers)? } else { None };
            return admin_quota.admit(key.map(Digest::sha256)).map(Permit::Admin);
        }

        let admitted = caller.tenant()?.admit();
        admitted.map(Permit::Tenant).map_err(|refusal| InferError::from(refusal).into())
    }

    /// Makes a response hold the share, and the memory of its own bytes. Short responses are sent
    /// even if the tenant's memory quota is used up, so that the tenant can inspect its usage.
    /// Fails if the quota does not cover the response.
    fn hold(self, response: Response) -> Result<Response, ApiError> {
        if response.extensions().get::<BoundedByHandler>().is_some() {
            return Ok(response);
        }

        let length = response.body().size_hint().lower();

        match self {
            Permit::Tenant(permit) => {
                let mut memory = RequestMemory::new(permit.tenant());
                memory.resize(length as usize).map_err(InferError::from)?;
                Ok(hold_until_sent((permit, memory), response))
            }
            Permit::Admin(mut permit) => {
                permit.add_response(length)?;
                Ok(hold_until_sent(permit, response))
            }
            Permit::Uncovered => Ok(response),
        }
    }
}

/// Returns the tenant whose turns the request takes and that pays for it. `None` for open routes,
/// and for inference, which does its own accounting.
fn paying_tenant(caller: &Caller, access: Access) -> Option<&Arc<Tenant>> {
    caller.optional_tenant().filter(|_| !matches!(access, Access::Open | Access::Infer))
}
