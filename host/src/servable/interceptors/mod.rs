//! What wraps a tenant's models: its interceptors, each of which is a servable of its own.
//!
//! The manager says which there are, in a [`Chain`], and puts it into the tenant's [`Wrapping`],
//! which all of its models share. A request takes the chain as it is when it begins and holds on to
//! it until it has its answer ([`Passed`]), so that the same version of an interceptor sees its
//! beginning and its end, whatever is swapped meanwhile. One interceptor's part in a call is a
//! `visit`, which is admitted, limited and counted like a request of its own; what it does when
//! versions come and go is in `hooks`.
//!
//! What wraps a call decides whether it may happen at all, so nothing is passed over: while an
//! interceptor that lies in the repository cannot serve, the chain is shut, and when one fails the
//! call has failed.

mod call;
mod hooks;
mod visit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

pub use call::Passed;

use super::ServableHandle;
use crate::model::InferError;

/// The interceptors of one tenant that serve, in the order of their names.
#[derive(Default)]
pub struct Chain {
    links: Vec<ServableHandle>,
    /// Why no call may pass, if none may.
    shut: Option<String>,
}

impl Chain {
    /// A chain of these, in the order of their names. With a reason to be `shut`, no call may pass
    /// it.
    pub fn new(links: Vec<ServableHandle>, shut: Option<String>) -> Self {
        Chain { links, shut }
    }

    /// Whether it consists of the very same versions.
    pub fn has_same_links(&self, other: &Chain) -> bool {
        let same = |(one, other): (&ServableHandle, &ServableHandle)| Arc::ptr_eq(one, other);
        self.links.len() == other.links.len() && self.links.iter().zip(&other.links).all(same)
    }

    /// Whether it is just the same.
    pub fn is_same(&self, other: &Chain) -> bool {
        self.has_same_links(other) && self.shut == other.shut
    }

    /// Fails with [`InferError::NotReady`] while no call may pass.
    pub fn check_open(&self) -> Result<(), InferError> {
        self.shut.as_ref().map_or(Ok(()), |reason| Err(InferError::NotReady(reason.clone())))
    }
}

/// Where the models of one tenant find what wraps their calls now. A clone is shallow; reading
/// takes no lock.
#[derive(Clone, Default)]
pub struct Wrapping {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Asked first, because most tenants have no interceptors.
    any: AtomicBool,
    chain: ArcSwap<Chain>,
}

impl Wrapping {
    /// Has that chain wrap every call that begins from now on.
    pub fn set(&self, chain: Chain) {
        let any = !chain.links.is_empty() || chain.shut.is_some();
        self.inner.chain.store(Arc::new(chain));
        self.inner.any.store(any, Ordering::Release);
    }

    /// What wraps calls now, if anything does.
    pub fn in_force(&self) -> Option<Arc<Chain>> {
        self.inner.any.load(Ordering::Acquire).then(|| self.inner.chain.load_full())
    }

    /// What wraps calls now: perhaps a chain of none.
    pub fn chain(&self) -> Arc<Chain> {
        self.inner.chain.load_full()
    }
}
