//! The budget, the payer and the context of one guest call.

use std::sync::Arc;

use super::Budget;
use crate::capability::CallContext;
use crate::tenant::CpuShare;

/// The budget, the payer and the context of one guest call. A clone shares all of them.
#[derive(Clone)]
pub struct Call {
    /// The time that the call may use.
    pub budget: Budget,
    /// The model's share of its tenant's CPU time, which the call is charged to.
    pub share: Arc<CpuShare>,
    /// The request's session, deferred tasks and the like.
    pub context: Arc<CallContext>,
}
