//! The parts that load models. `wardian check` builds them without a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::ServerError;
use crate::api;
use crate::config::Config;
use crate::database::{DatabaseMetrics, Databases};
use crate::engine::compile::Compiler;
use crate::engine::{ArtifactStore, Engine, GuestThreads};
use crate::lifecycle::{CodeLoader, EngineLoader, LoaderConfig};
use crate::servable::{ServableMetrics, Sessions, TaskChains};
use crate::store::Stores;
use crate::telemetry::Telemetry;
use crate::tenant::{FairScheduler, Tenants, Workers};

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

/// The folder of the tenants' files in a state directory.
const TENANTS: &str = "tenants";

/// Builds the loader of models. `program` is the path of this program, which is started to compile.
pub fn build_loader(
    config: &Config,
    program: PathBuf,
    storage: &Storage,
    tenants: &Tenants,
    telemetry: &Telemetry,
) -> Result<EngineLoader, ServerError> {
    let scheduler = storage.databases.turns();
    let engine = Engine::new(&config.engine, scheduler.clone()).map_err(ServerError::Engine)?;
    tracing::info!(reset = ?engine.reset(), "engine built");

    let artifacts = config.artifacts_dir();
    let artifact_store = ArtifactStore::open(&artifacts)
        .map_err(|error| ServerError::State { path: artifacts, error })?;

    let compiler = Compiler::new(&config.compile, program, scheduler.clone());

    let code = CodeLoader::new(
        engine.clone(),
        config.engine.clone(),
        compiler,
        config.compile.clone(),
        artifact_store,
    );

    let guest_threads = Arc::new(GuestThreads::start(&engine).map_err(ServerError::Threads)?);
    let loader_config = LoaderConfig {
        tls_roots: config.egress.tls_roots()?,
        workers: Workers::new(scheduler.clone()).map_err(ServerError::Threads)?,
        stores: storage.stores.clone(),
        databases: storage.databases.clone(),
        tenants: tenants.clone(),
    };
    Ok(EngineLoader::new(
        loader_config,
        code,
        guest_threads,
        storage.sessions.clone(),
        telemetry.register(ServableMetrics::register),
        api::parse_golden,
    ))
}
