//! Interceptors: servables that run around the calls to their tenant's models.
//!
//! The manager stores the tenant's interceptors as a [`InterceptorChain`] in the
//! [`InterceptorChainHandle`] that all of the tenant's models share. A request uses the chain that
//! is current when it begins and holds it until it is answered ([`InterceptedRequest`]), so that
//! the same versions process its request and its response, whatever is swapped meanwhile. The call
//! of one interceptor (`interceptor_call`) is admitted, limited and counted like a request to it.
//! The lifecycle hooks are in `load_hooks`.
//!
//! An interceptor may forbid a call, so none is ever skipped: while an interceptor in the
//! repository cannot serve, the chain is blocked and all calls fail; if an interceptor fails, the
//! call fails.

mod intercepted_request;
mod interceptor_call;
mod load_hooks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

pub use intercepted_request::InterceptedRequest;

use super::ServableHandle;
use crate::model::InferError;

/// The serving interceptors of one tenant, in the order of their names.
#[derive(Default)]
pub struct InterceptorChain {
    interceptors: Vec<ServableHandle>,
    /// The reason that all calls are blocked; `None` if calls pass.
    blocked_reason: Option<String>,
}

impl InterceptorChain {
    /// Returns a chain of `interceptors`, in the order of their names. With a `blocked_reason`, all
    /// calls are blocked.
    pub fn new(interceptors: Vec<ServableHandle>, blocked_reason: Option<String>) -> Self {
        InterceptorChain { interceptors, blocked_reason }
    }

    /// True if both chains consist of the same versions.
    pub fn has_same_interceptors(&self, other: &InterceptorChain) -> bool {
        let same = |(one, other): (&ServableHandle, &ServableHandle)| Arc::ptr_eq(one, other);
        self.interceptors.len() == other.interceptors.len()
            && self.interceptors.iter().zip(&other.interceptors).all(same)
    }

    /// True if both chains consist of the same versions and are blocked for the same reason.
    pub fn is_identical(&self, other: &InterceptorChain) -> bool {
        self.has_same_interceptors(other) && self.blocked_reason == other.blocked_reason
    }

    /// Fails with [`InferError::NotReady`] while calls are blocked.
    pub fn check_open(&self) -> Result<(), InferError> {
        self.blocked_reason
            .as_ref()
            .map_or(Ok(()), |reason| Err(InferError::NotReady(reason.clone())))
    }
}

/// A shared reference to a tenant's current interceptor chain. A clone is shallow; reading takes no
/// lock.
#[derive(Clone, Default)]
pub struct InterceptorChainHandle {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Read first, because most tenants have no interceptors.
    is_active: AtomicBool,
    chain: ArcSwap<InterceptorChain>,
}

impl InterceptorChainHandle {
    /// Replaces the chain for all calls that begin from now on.
    pub fn set(&self, chain: InterceptorChain) {
        let any = !chain.interceptors.is_empty() || chain.blocked_reason.is_some();
        self.inner.chain.store(Arc::new(chain));
        self.inner.is_active.store(any, Ordering::Release);
    }

    /// Returns the current chain; `None` if calls run without interceptors.
    pub fn active_chain(&self) -> Option<Arc<InterceptorChain>> {
        self.inner.is_active.load(Ordering::Acquire).then(|| self.inner.chain.load_full())
    }

    /// Returns the current chain, which may be empty.
    pub fn chain(&self) -> Arc<InterceptorChain> {
        self.inner.chain.load_full()
    }
}
