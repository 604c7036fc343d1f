//! On whose account a call runs, and within what.

use std::sync::Arc;

use super::Budget;
use crate::capability::Scope;
use crate::tenant::Share;

/// On whose account a call runs, and within what. A clone shares the account and the budget.
#[derive(Clone)]
pub struct Call {
    /// What it may spend.
    pub budget: Budget,
    /// Who is charged for it.
    pub share: Arc<Share>,
    /// What it has to do with beyond its own request.
    pub scope: Arc<Scope>,
}
