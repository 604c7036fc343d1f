//! Who is asking, and whether they may: the one place where a request's tenant is decided.
//!
//! Every route says whom it is for ([`Access`]). [`guard`] stands before each of them, and
//! inference, which does not go through the router, passes [`admit`] on its own way; no handler can
//! be reached past them.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequestParts, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::edge::Context;
use super::error::ApiError;
use super::infer::compression::for_response;
use super::kept::keep;
use super::memory::Memory;
use super::{ApiState, compressed};
use crate::model::{Asker, InferError, RequestId, TenantName};
use crate::tenant::{AuthError, Caller as Identity, Held, Scope, Tenant};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub(super) const TENANT: HeaderName = HeaderName::from_static("wardian-tenant");

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, with or without a key.
    Open,
    /// Whoever has a key.
    Key,
    /// Whoever has a key with scope `infer`.
    Infer,
    /// Whoever has a key with scope `manage`.
    Manage,
    /// Whoever has a key with scope `admin`.
    Admin,
}

impl Access {
    fn scope(self) -> Option<Scope> {
        match self {
            Access::Open | Access::Key => None,
            Access::Infer => Some(Scope::Infer),
            Access::Manage => Some(Scope::Manage),
            Access::Admin => Some(Scope::Admin),
        }
    }
}

/// Whoever sent a request.
#[derive(Clone)]
pub(super) struct Caller(Identity);

impl Caller {
    /// In whose name the request is. Fails for one who may speak for every tenant and has named
    /// none.
    pub(super) fn tenant(&self) -> Result<&Arc<Tenant>, ApiError> {
        let text = "this server has several tenants: name one in the header Wardian-Tenant";
        self.0.tenant.as_ref().ok_or_else(|| InferError::InvalidInput(text.into()).into())
    }

    /// The name of the tenant.
    pub(super) fn tenant_name(&self) -> Result<&TenantName, ApiError> {
        self.tenant().map(|tenant| tenant.name())
    }

    /// In whose name the request is, if in anybody's.
    pub(super) fn named(&self) -> Option<&Arc<Tenant>> {
        self.0.tenant.as_ref()
    }

    /// What answers may know of it, and of its request.
    pub(super) fn asker(&self, request_id: RequestId) -> Asker {
        Asker { request_id, key: self.0.key.clone() }
    }

    /// Whether it may do everything.
    pub(super) fn is_admin(&self) -> bool {
        self.0.scopes.allow(Scope::Admin)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        // It is missing on open routes only, when there was no good key.
        parts.extensions.get::<Caller>().cloned().ok_or_else(|| AuthError::MissingKey.into())
    }
}

/// Tells who sent a request with these headers. Fails unless they may use such a route.
pub(super) fn admit(
    state: &ApiState,
    headers: &HeaderMap,
    access: Access,
) -> Result<Caller, ApiError> {
    let named = headers.get(TENANT).map(|name| name.to_str().unwrap_or_default());
    let caller = Caller(state.tenants.identify(key(headers)?, named)?);
    match access.scope() {
        Some(scope) if !caller.0.scopes.allow(scope) => Err(missing(scope)),
        _ => Ok(caller),
    }
}

/// Stands before a route: lets a request through if its sender may use it and is within the
/// tenant's quota. What it takes of the quota is given back when the response has left.
pub(super) async fn guard(
    State((state, access)): State<(Arc<ApiState>, Access)>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let admitted = admit(&state, request.headers(), access);
    let caller = match (admitted, access) {
        (Ok(caller), _) => caller,
        (Err(_), Access::Open) => return next.run(request).await,
        (Err(refusal), _) => return refusal.into_response(),
    };
    let permit = match permit(&caller, access) {
        Ok(permit) => permit,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(context) = request.extensions().get::<Context>() {
        context.note(&caller);
    }
    let (coding, tenant) = (for_response(request.headers()), caller.named().cloned());
    let payer = payer(&caller, access).cloned();
    request.extensions_mut().insert(caller);
    let handling = async {
        let response = next.run(request).await;
        // Inference has done all that follows by itself.
        if access == Access::Infer {
            return response;
        }
        compressed::compress(&state.workers, tenant.as_deref(), coding, response).await
    };
    let response = match payer {
        Some(payer) => state.workers.in_turns(payer.payer(), handling).await,
        None => handling.await,
    };
    match permit {
        Some(permit) => keep_with_memory(permit, response),
        None => response,
    }
}

/// Has a response hold its request's permit and its own memory. Short ones are answered whatever
/// their tenant holds: it must be able to look at that.
fn keep_with_memory(permit: Held, response: Response) -> Response {
    let length = response.body().size_hint().lower() as usize;
    let mut memory = Memory::of(permit.tenant());
    match memory.hold(length) {
        Ok(()) => keep((permit, memory), response),
        Err(refusal) => ApiError::from(InferError::from(refusal)).into_response(),
    }
}

/// The tenant in whose turns a request is handled, and who pays for it. Inference sees to that by
/// itself.
fn payer(caller: &Caller, access: Access) -> Option<&Arc<Tenant>> {
    caller.named().filter(|_| !matches!(access, Access::Open | Access::Infer))
}

/// What a request that is no inference takes of its tenant's quota. Whoever looks after the host
/// must be able to look at a tenant that has used its quota up; inference takes its part by itself.
fn permit(caller: &Caller, access: Access) -> Result<Option<Held>, ApiError> {
    match payer(caller, access).filter(|_| !caller.is_admin()) {
        Some(tenant) => {
            tenant.admit().map(Some).map_err(|refusal| InferError::from(refusal).into())
        }
        None => Ok(None),
    }
}

/// The key a request shows: after `Authorization: Bearer`, else in `X-Api-Key`. Fails if one of the
/// two headers is given more than once, because programs on the way may have checked another of its
/// values.
fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, AuthError> {
    let authorization = single(headers, &AUTHORIZATION)?;
    let api_key = single(headers, &API_KEY)?;

    let bearer = authorization.and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
    });
    Ok(bearer.or_else(|| api_key.map(HeaderValue::as_bytes)))
}

fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(AuthError::SeveralKeys),
    }
}

fn missing(scope: Scope) -> ApiError {
    let text = format!(
        "this request needs a key with the scope '{}', and the key in it has other scopes",
        scope.name()
    );
    ApiError::new(StatusCode::FORBIDDEN, "forbidden", text)
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let (status, code) = match error {
            AuthError::MissingKey | AuthError::SeveralKeys => {
                (StatusCode::UNAUTHORIZED, "unauthenticated")
            }
            AuthError::UnknownKey => (StatusCode::UNAUTHORIZED, UNKNOWN_KEY),
            AuthError::MayNotName => (StatusCode::FORBIDDEN, "forbidden"),
            AuthError::NoSuchTenant(_) => (StatusCode::NOT_FOUND, "tenant_not_found"),
        };
        ApiError::new(status, code, error.to_string())
    }
}

/// The machine code of an error about a key that is not known.
const UNKNOWN_KEY: &str = "unknown_key";

/// The header by which a 401 response asks for a key (RFC 6750, section 3): a key that was sent and
/// is not known is an invalid token.
pub(super) fn challenge(code: &str) -> (HeaderName, HeaderValue) {
    let challenge = if code == UNKNOWN_KEY { "Bearer error=\"invalid_token\"" } else { "Bearer" };
    (WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
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
        key(&headers).unwrap().map(|key| String::from_utf8_lossy(key).into_owned())
    }

    #[test]
    fn a_key_is_sent_once() {
        for name in [AUTHORIZATION, API_KEY] {
            let mut headers = HeaderMap::new();
            for value in ["Bearer abc", "Bearer abc"] {
                headers.append(name.clone(), HeaderValue::from_static(value));
            }
            assert_eq!(key(&headers), Err(AuthError::SeveralKeys), "{name}");
        }
    }

    #[test]
    fn a_key_is_sent_in_one_of_two_ways() {
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
