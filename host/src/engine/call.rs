//! The budget, the payer and the context of one guest call.

use std::sync::Arc;

use super::Budget;
use crate::capability::Scope;
use crate::tenant::Share;

/// The budget, the payer and the context of one guest call. A clone shares all of them.
#[derive(Clone)]
pub struct Call {
    /// The time that the call may use.
    pub budget: Budget,
    /// The model's share of its tenant's CPU time, which the call is charged to.
    pub share: Arc<Share>,
    /// The request's session, deferred tasks and the like.
    pub scope: Arc<Scope>,
}
