//! Authentication and authorization: the only place that determines a request's tenant.
//!
//! Every route declares the access that it requires ([`Access`]). `access_guard` calls
//! [`authorize`] before each handler. Inference bypasses the router and calls it itself. No handler
//! can be reached without one of the two.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::api_key_header::sent_key;
use super::error::{ApiError, UNKNOWN_KEY};
use super::http::connection::Connection;
use super::state::ApiState;
use crate::model::{CallerInfo, InferError, RequestId, TenantName};
use crate::tenant::{AuthError, Identity, KeyScope, Tenant};

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
