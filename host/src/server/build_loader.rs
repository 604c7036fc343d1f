//! Builds the loader of models, for the server and for commands that load models without one.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::ServerError;
use super::storage::Storage;
use crate::api;
use crate::config::Config;
use crate::engine::compile::Compiler;
use crate::engine::{ArtifactStore, Engine, GuestThreads};
use crate::lifecycle::{CodeLoader, EngineLoader, LoaderConfig};
use crate::servable::ServableMetrics;
use crate::telemetry::Telemetry;
use crate::tenant::{Tenants, Workers};

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
        api::check_routes,
    ))
}
