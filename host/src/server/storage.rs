//! The stores and databases of all tenants, for the server and for commands that load models
//! without one.

use std::path::Path;

use super::error::ServerError;
use crate::config::Config;
use crate::database::{DatabaseMetrics, Databases};
use crate::servable::{Sessions, TaskChains};
use crate::store::Stores;
use crate::telemetry::Telemetry;
use crate::tenant::FairScheduler;

/// The folder of the tenants' files in a state directory.
const TENANTS: &str = "tenants";

/// The stores and databases of all tenants, and what is built on them.
pub struct Storage {
    pub(super) stores: Stores,
    pub(super) databases: Databases,
    pub(super) sessions: Sessions,
    /// The chains of deferred tasks, for the runner of tasks.
    pub task_chains: TaskChains,
}

impl Storage {
    /// Builds the storage. Stores lie in the configured state directory, databases in
    /// `database_state`, which is the same directory for a server. A file is created when it is
    /// first used.
    pub fn build(
        config: &Config,
        database_state: &Path,
        telemetry: &Telemetry,
    ) -> Result<Self, ServerError> {
        let stores = Stores::new(config.state.join(TENANTS), config.data.durability);
        let databases = Databases::new(
            database_state.join(TENANTS),
            config.database.clone(),
            config.egress.tls_roots()?.config(),
            FairScheduler::for_this_machine(),
            telemetry.register(DatabaseMetrics::register),
        );
        let (sessions, task_chains) =
            telemetry.register(|metrics| Sessions::new(stores.clone(), metrics));

        Ok(Storage { stores, databases, sessions, task_chains })
    }
}
