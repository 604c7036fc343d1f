//! Authentication and authorization: the only place that determines a request's tenant.
//!
//! Every route declares the access that it requires ([`Access`]). [`require_access`] runs before
//! each handler. Inference bypasses the router and calls [`authorize`] itself. No handler can be
//! reached without one of the two.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequestParts, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::admin_quota::{AdminPermit, AdminQuota};
use super::context::RequestContext;
use super::error::{ApiError, UNKNOWN_KEY};
use super::http::compression::response_coding;
use super::http::connection::Connection;
use super::http::guarded_body::hold_until_sent;
use super::http::request_memory::RequestMemory;
use super::http::response_compression;
use super::state::ApiState;
use crate::model::{CallerInfo, Digest, InferError, RequestId, TenantName};
use crate::tenant::{AuthError, Identity, KeyScope, QuotaGuard, Tenant};

const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
pub(super) const TENANT_HEADER: HeaderName = HeaderName::from_static("wardian-tenant");

/// The access that a route requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// None: the route works with and without an API key.
    Open,
    /// Any API key.
    Key,
    /// An API key with scope `infer`.
    Infer,
    /// An API key with scope `manage`.
    Manage,
    /// An API key with scope `admin`.
    Admin,
}

impl Access {
    fn scope(self) -> Option<KeyScope> {
        match self {
            Access::Open | Access::Key => None,
            Access::Infer => Some(KeyScope::Infer),
            Access::Manage => Some(KeyScope::Manage),
            Access::Admin => Some(KeyScope::Admin),
        }
    }
}

/// The client that sent a request, as identified by its API key.
#[derive(Clone)]
pub(super) struct Caller(Identity);

impl Caller {
    /// Returns the tenant of the request. Fails if the caller has access to all tenants and
    /// selected none.
    pub(super) fn tenant(&self) -> Result<&Arc<Tenant>, ApiError> {
        let text = "this server has several tenants: name one in the header Wardian-Tenant";
        self.0.tenant.as_ref().ok_or_else(|| InferError::InvalidInput(text.into()).into())
    }

    /// Returns the name of the tenant. Fails like [`Caller::tenant`].
    pub(super) fn tenant_name(&self) -> Result<&TenantName, ApiError> {
        self.tenant().map(|tenant| tenant.name())
    }

    /// Returns the tenant of the request, `None` if the caller selected none.
    pub(super) fn optional_tenant(&self) -> Option<&Arc<Tenant>> {
        self.0.tenant.as_ref()
    }

    /// Returns the caller details that models and interceptors may see.
    pub(super) fn caller_info(&self, request_id: RequestId) -> CallerInfo {
        CallerInfo { request_id, key: self.0.key.clone() }
    }

    /// Records the tenant on the connection of the request.
    pub(super) fn record_on(&self, connection: &Connection) {
        if let Some(tenant) = self.optional_tenant() {
            connection.set_tenant(tenant.name());
        }
    }

    /// Fails if the API key lacks the scope that an access requires.
    pub(super) fn require(&self, access: Access) -> Result<(), ApiError> {
        match access.scope() {
            Some(scope) if !self.may(scope) => Err(missing_scope(scope)),
            _ => Ok(()),
        }
    }

    /// True if the API key has this scope.
    pub(super) fn may(&self, scope: KeyScope) -> bool {
        self.0.scopes.allows(scope)
    }

    /// The id of the API key; `None` if no keys are configured.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// True if the API key has scope `admin`.
    pub(super) fn is_admin(&self) -> bool {
        self.0.scopes.allows(KeyScope::Admin)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        // The caller is missing only on open routes, after a request without a valid key.
        parts.extensions.get::<Caller>().cloned().ok_or_else(|| AuthError::MissingKey.into())
    }
}

/// Identifies the caller from the request headers. Fails if it is unknown or lacks the required
/// access.
pub(super) fn authorize(
    state: &ApiState,
    headers: &HeaderMap,
    access: Access,
) -> Result<Caller, ApiError> {
    let named = headers.get(TENANT_HEADER).map(|name| name.to_str().unwrap_or_default());
    let caller = Caller(state.tenants.identify(sent_key(headers)?, named)?);

    caller.require(access)?;
    Ok(caller)
}

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
            let key = if caller.0.key.is_some() { sent_key(headers)? } else { None };
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

/// Returns the API key of a request: from `Authorization: Bearer`, else from `X-Api-Key`. Fails if
/// one of the two headers is repeated, because a proxy may have checked another of its values.
fn sent_key(headers: &HeaderMap) -> Result<Option<&[u8]>, AuthError> {
    let authorization = single_value(headers, &AUTHORIZATION)?;
    let api_key = single_value(headers, &API_KEY_HEADER)?;

    let bearer = authorization.and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
    });

    Ok(bearer.or_else(|| api_key.map(HeaderValue::as_bytes)))
}

fn single_value<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(AuthError::MultipleKeys),
    }
}

fn missing_scope(scope: KeyScope) -> ApiError {
    let text = format!(
        "this request needs a key with the scope '{}', and the key in it has other scopes",
        scope.name()
    );
    ApiError::new(StatusCode::FORBIDDEN, "forbidden", text)
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let (status, code) = match error {
            AuthError::MissingKey | AuthError::MultipleKeys => {
                (StatusCode::UNAUTHORIZED, "unauthenticated")
            }
            AuthError::UnknownKey => (StatusCode::UNAUTHORIZED, UNKNOWN_KEY),
            AuthError::TenantHeaderNotAllowed => (StatusCode::FORBIDDEN, "forbidden"),
            AuthError::UnknownTenant(_) => (StatusCode::NOT_FOUND, "tenant_not_found"),
        };

        ApiError::new(status, code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)]) -> Option<String> {
        let pairs = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        });

        let mut headers = HeaderMap::new();

        for (name, value) in pairs {
            headers.append(name, value);
        }

        sent_key(&headers).unwrap().map(|key| String::from_utf8_lossy(key).into_owned())
    }

    #[test]
    fn repeated_key_headers_are_rejected() {
        for name in [AUTHORIZATION, API_KEY_HEADER] {
            let mut headers = HeaderMap::new();
            for value in ["Bearer abc", "Bearer abc"] {
                headers.append(name.clone(), HeaderValue::from_static(value));
            }
            assert_eq!(sent_key(&headers), Err(AuthError::MultipleKeys), "{name}");
        }
    }

    #[test]
    fn key_comes_from_bearer_or_x_api_key() {
        assert_eq!(of(&[("authorization", "Bearer abc")]).as_deref(), Some("abc"));
        assert_eq!(of(&[("authorization", "bearer  abc ")]).as_deref(), Some("abc"));
        assert_eq!(of(&[("x-api-key", "abc")]).as_deref(), Some("abc"));
        assert_eq!(
            of(&[("authorization", "Basic eDp5"), ("x-api-key", "abc")]).as_deref(),
            Some("abc")
        );
        assert_eq!(
            of(&[("authorization", "Bearer one"), ("x-api-key", "two")]).as_deref(),
            Some("one")
        );

        for none in [&[][..], &[("authorization", "Bearer")], &[("authorization", "Basic eDp5")]] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
