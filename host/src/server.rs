//! The composition root: builds every part, bottom up, and shuts them down in order.
//!
//! At start the socket listens before any model is loaded, so that health requests are answered at
//! once. At shutdown it closes last: until everything has drained, new work is refused with a
//! response and not with a closed port.

mod accept;
mod accept_queue;
mod build_loader;
mod config_check;
mod connection_io;
mod connections;
mod descriptors;
mod error;
mod eviction;
mod http_meter;
mod listeners;
mod metrics;
mod pacing;
mod peer;
mod protocol;
mod sending_body;
mod shutdown;
mod storage;
mod tenancy;
mod timeouts;
mod unsent_responses;
mod write_timeout;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use self::accept::Acceptor;
use self::accept_queue::{AcceptQueue, queue_capacity};
pub use self::build_loader::build_loader;
pub use self::config_check::{check_config, config_warnings};
use self::connections::Connections;
use self::descriptors::DescriptorShortage;
pub use self::error::ServerError;
use self::http_meter::HttpPacer;
pub use self::listeners::Listeners;
use self::metrics::ConnectionMetrics;
use self::shutdown::{ShutdownDeadlines, close, drain};
pub use self::storage::Storage;
use self::tenancy::{SourceFactory, TenancyUpdater};
use crate::api::{AllowedHosts, Api, ApiState, Cors, Dashboard};
use crate::config::{Config, CorsConfig, KeyMarker, TenancyWatch, WatchedConfig};
use crate::database::Databases;
use crate::dataplane::DataPlane;
use crate::deferred::TaskRunner;
use crate::essential;
use crate::lifecycle::{Manager, ManagerParts};
use crate::registry::Registry;
use crate::repository::{RuntimeFolder, Runtimes};
use crate::store::Stores;
use crate::telemetry::{Telemetry, register_log};
use crate::tenant::{self, Tenants};

/// A server that listens and does not accept connections yet.
pub struct Server {
    config: Config,
    listeners: Listeners,
    api: Api,
    connections: Connections,
    pacer: HttpPacer,
    manager: Manager,
    tasks: TaskRunner,
    dataplane: DataPlane,
    registry: Registry,
    databases: Databases,
    stores: Stores,
    /// The task that applies changes of the tenants' configuration.
    tenancy: AbortHandle,
}

impl Server {
    /// Builds a server that accepts connections from `listeners`. `watched` holds the configuration
    /// files, which are read again when they change. `program` is the path of this program, which
    /// is started again to compile. Must be called within a tokio runtime.
    pub fn build(
        mut config: Config,
        watched: WatchedConfig,
        program: PathBuf,
        listeners: Listeners,
    ) -> Result<Server, ServerError> {
        limit_connections(&mut config);
        let telemetry = Arc::new(Telemetry::default());
        telemetry.register(register_log);

        let tenants = build_tenants(&config, &telemetry);
        let storage = Storage::build(&config, &config.state, &telemetry)?;
        let loader = Arc::new(build_loader(&config, program, &storage, &tenants, &telemetry)?);
        let Storage { stores, databases, sessions, task_chains } = storage;
        let workers = loader.workers().clone();
        let slots = loader.slots().clone();
        slots.divide(&tenants.all());

        let metrics = telemetry.register(ConnectionMetrics::register);
        let pacer = HttpPacer::new(databases.turns().clone(), metrics.waits.clone());
        let connections = Connections::new(config.http.max_connections as usize, metrics);

        KeyMarker::new(&config.state)
            .set(config.tenancy.requires_keys())
            .map_err(|error| ServerError::state(&config, error))?;
        let runtimes = follow_runtimes(&config);
        let sources =
            SourceFactory::new(&config, &watched, &tenants, runtimes, workers.clone(), &telemetry);

        let registry = Registry::default();
        let ready = Arc::default();
        let dataplane = DataPlane::new(registry.clone(), Arc::clone(&ready));
        let tasks = TaskRunner::start(registry.clone(), sessions, task_chains);
        let manager_parts = ManagerParts {
            loader,
            registry: registry.clone(),
            sources: sources.spawn_all(&tenants)?,
            ready,
            ready_timeout: config.ready_timeout,
            prune: config.repository.prune,
        };
        let manager = telemetry.register(|metrics| Manager::start(manager_parts, metrics));

        let watch = TenancyWatch::start(watched);
        let address = listeners.http_address().unwrap_or(config.listen);
        let api = Api::new(ApiState {
            dataplane: dataplane.clone(),
            manager: manager.clone(),
            tenants: tenants.clone(),
            tenancy_faults: watch.faults(),
            deferred: tasks.clone(),
            telemetry,
            workers,
            stores: stores.clone(),
            hosts: AllowedHosts::new(config.http.hosts.clone(), address),
            cors: allowed_pages(&config),
            default_model: config.default_model.clone(),
            keep_alive: config.http.keep_alive,
            dashboard: Dashboard::new(config.dashboard.enabled),
        });

        let updater = TenancyUpdater {
            watch,
            sources,
            tenants,
            slots,
            manager: manager.clone(),
            tasks: tasks.clone(),
        };
        let tenancy = essential::spawn("configuration of tenants", updater.run()).abort_handle();

        Ok(Server {
            config,
            listeners,
            api,
            connections,
            pacer,
            manager,
            tasks,
            dataplane,
            registry,
            databases,
            stores,
            tenancy,
        })
    }

    /// Serves until `shutdown` resolves, then drains and returns within the drain timeout.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let sweeper = essential::spawn("idle instances", retire_idle(self.registry.clone()));

        let graceful = GracefulShutdown::new();
        let (accepting, accepted) = watch::channel(());
        let acceptor = Acceptor {
            api: &self.api,
            config: &self.config.http,
            connections: &self.connections,
            pacer: &self.pacer,
            graceful: &graceful,
            accepting: accepted,
        };
        let queue = AcceptQueue::new(queue_capacity(self.config.http.max_connections));

        let stop = async {
            shutdown.await;
            self.tenancy.abort();
            let deadlines = ShutdownDeadlines::from_timeout(self.config.drain_timeout);
            drain(&self.dataplane, &self.tasks, &self.manager, &deadlines).await;
            deadlines.end
        };

        let end = tokio::select! {
            () = acceptor.run(&self.listeners, queue) => Instant::now(),
            end = stop => end,
        };

        drop(self.listeners);
        drop(accepting);
        sweeper.abort();
        close(graceful, self.stores, self.databases, end).await;
    }
}

/// Lowers the limit of connections to what the file descriptors allow.
fn limit_connections(config: &mut Config) {
    if let Some(shortage) = DescriptorShortage::check(config, descriptors::raise_limit()) {
        tracing::warn!("{shortage}");
        config.http.max_connections = shortage.connections;
    }
}

fn build_tenants(config: &Config, telemetry: &Telemetry) -> Tenants {
    let tenancy = config.tenancy.clone().sharing(config.http.max_connections);
    let tenants = Tenants::new(tenancy.tenants, tenancy.keys);
    telemetry.register(|metrics| tenant::metrics::register(tenants.clone(), metrics));

    tenants
}

/// Returns the web pages of other origins that may call the server.
fn allowed_pages(config: &Config) -> Cors {
    let CorsConfig { origins, credentials, max_age } = config.cors.clone();
    Cors::new(origins, credentials, max_age)
}

/// Reads the folder of the operator's runtimes, and follows its changes.
fn follow_runtimes(config: &Config) -> Runtimes {
    let folder = RuntimeFolder::read(&config.runtimes.dir);
    let runtimes = folder.runtimes().clone();
    essential::spawn("runtimes", folder.follow(config.runtimes_directory()));

    runtimes
}

/// Retires instances that have been idle for too long, once a second.
async fn retire_idle(registry: Registry) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        for servable in registry.serving() {
            servable.retire_idle(Instant::now());
        }
    }
}
