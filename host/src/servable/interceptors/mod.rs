//! Interceptors: servables that run around the calls to their tenant's models.
//!
//! The manager stores the tenant's interceptors as a [`Chain`] in the [`Wrapping`] that all of the
//! tenant's models share. A request uses the chain that is current when it begins and holds it
//! until it is answered ([`Passed`]), so that the same versions process its request and its
//! response, whatever is swapped meanwhile. The call of one interceptor (`visit`) is admitted,
//! limited and counted like a request to it. The lifecycle hooks are in `hooks`.
//!
//! An interceptor may forbid a call, so none is ever skipped: while an interceptor in the
//! repository cannot serve, the chain is blocked and all calls fail; if an interceptor fails, the
//! call fails.

mod call;
mod hooks;
mod visit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

pub use call::Passed;

use super::ServableHandle;
use crate::model::InferError;

/// The serving interceptors of one tenant, in the order of their names.
#[derive(Default)]
pub struct Chain {
    links: Vec<ServableHandle>,
    /// The reason that all calls are blocked; `None` if calls pass.
    shut: Option<String>,
}

impl Chain {
    /// Returns a chain of `links`, in the order of their names. With a reason in `shut`, all calls
    /// are blocked.
    pub fn new(links: Vec<ServableHandle>, shut: Option<String>) -> Self {
        Chain { links, shut }
    }

    /// True if both chains consist of the same versions.
    pub fn has_same_links(&self, other: &Chain) -> bool {
        let same = |(one, other): (&ServableHandle, &ServableHandle)| Arc::ptr_eq(one, other);
        self.links.len() == other.links.len() && self.links.iter().zip(&other.links).all(same)
    }

    /// True if both chains consist of the same versions and are blocked for the same reason.
    pub fn is_same(&self, other: &Chain) -> bool {
        self.has_same_links(other) && self.shut == other.shut
    }

    /// Fails with [`InferError::NotReady`] while calls are blocked.
    pub fn check_open(&self) -> Result<(), InferError> {
        self.shut.as_ref().map_or(Ok(()), |reason| Err(InferError::NotReady(reason.clone())))
    }
}

/// A shared reference to a tenant's current interceptor chain. A clone is shallow; reading takes no
/// lock.
#[derive(Clone, Default)]
pub struct Wrapping {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Read first, because most tenants have no interceptors.
    any: AtomicBool,
    chain: ArcSwap<Chain>,
}

impl Wrapping {
    /// Replaces the chain for all calls that begin from now on.
    pub fn set(&self, chain: Chain) {
        let any = !chain.links.is_empty() || chain.shut.is_some();
        self.inner.chain.store(Arc::new(chain));
        self.inner.any.store(any, Ordering::Release);
    }

    /// Returns the current chain; `None` if calls run without interceptors.
    pub fn in_force(&self) -> Option<Arc<Chain>> {
        self.inner.any.load(Ordering::Acquire).then(|| self.inner.chain.load_full())
    }

    /// Returns the current chain, which may be empty.
    pub fn chain(&self) -> Arc<Chain> {
        self.inner.chain.load_full()
    }
}
