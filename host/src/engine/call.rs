//! On whose account a call runs, and within what.

use std::sync::Arc;

use super::Budget;
use crate::model::RequestId;
use crate::tenant::Share;

/// On whose account a call runs, and within what. A clone shares the account and the budget.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it may spend.
    pub budget: Budget,
    /// Who is charged for it.
    pub share: Arc<Share>,
    /// Names the request in the guest's log lines.
    pub request_id: RequestId,
}
