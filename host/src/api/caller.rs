//! Who is asking: the one place where a request's tenant is decided.

use std::sync::LazyLock;

use axum::http::HeaderMap;

use crate::model::TenantName;

/// Whoever sent a request.
pub(super) struct Caller {
    /// Whose models it may see.
    pub(super) tenant: TenantName,
}

/// Tells who sent a request with these headers. A server without credentials has one tenant, and everyone
/// who reaches it belongs to it.
pub(super) fn identify(_headers: &HeaderMap) -> Caller {
    static DEFAULT: LazyLock<TenantName> = LazyLock::new(TenantName::default_tenant);
    Caller { tenant: DEFAULT.clone() }
}
