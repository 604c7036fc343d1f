//! The composition root: builds every part, bottom up, and shuts them down in order.
//!
//! At start the socket listens before any model is loaded, so that health requests are answered at
//! once. At shutdown it closes last: until everything has drained, new work is refused with a
//! response and not with a closed port.

mod accept;
mod accept_queue;
mod connection_io;
mod connections;
mod descriptors;
mod eviction;
mod metrics;
mod preflight;
mod timeouts;
mod write_timeout;

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use self::accept::Acceptor;
use self::accept_queue::{AcceptQueue, queue_capacity};
use self::connections::Connections;
use self::descriptors::DescriptorShortage;
use self::metrics::ConnectionMetrics;
pub use self::preflight::{preflight, preflight_warnings};
use crate::api::{self, AllowedHosts, Api, ApiState};
use crate::capability::http::{TlsRoots, TlsRootsError};
use crate::config::{Config, KeyMarker, Tenancy, TenancyWatch, WatchedConfig};
use crate::database::{DatabaseMetrics, Databases};
use crate::dataplane::DataPlane;
use crate::deferred::TaskRunner;
use crate::engine::compile::Compiler;
use crate::engine::{ArtifactStore, Engine, GuestThreads};
use crate::essential;
use crate::lifecycle::{EngineLoader, LoaderConfig, Manager, ManagerParts};
use crate::registry::Registry;
use crate::repository::remote::RemoteMetrics;
use crate::repository::{DirectoryError, FolderClaims, Source};
use crate::servable::{ServableMetrics, Sessions, TaskChains};
use crate::store::Stores;
use crate::telemetry::{Telemetry, register_log};
use crate::tenant::{self, FairScheduler, Slots, Tenant, TenantChanges, Tenants, Workers};

/// An error that keeps a server from starting.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {error}; {}", listen_advice(error.kind()))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        error: std::io::Error,
    },
    /// The WebAssembly engine cannot be built.
    #[error("cannot build the engine: {0:#}")]
    Engine(wasmtime::Error),
    /// The state directory cannot be used.
    #[error("cannot use the state directory {path}: {error}{}", state_advice(error.kind()))]
    State {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// The default models directory cannot be created.
    #[error("cannot create the directory '{path}' for models: {error}; name another with --models")]
    Models {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// The threads for guests or for host work cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    /// The TLS root certificates for outgoing calls cannot be loaded.
    #[error(transparent)]
    Trust(#[from] TlsRootsError),
    /// The models' directory cannot be watched.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// The advice in the error for an address that cannot be bound.
fn listen_advice(why: ErrorKind) -> &'static str {
    match why {
        ErrorKind::AddrInUse => {
            "stop the program that listens there, or name another port with --listen ADDRESS:PORT (listen in \
             wardian.toml)"
        }
        ErrorKind::PermissionDenied => {
            "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; name a higher port with --listen \
             ADDRESS:PORT (listen in wardian.toml)"
        }
        _ => {
            "name an address of this machine with --listen ADDRESS:PORT (listen in wardian.toml), such as \
             127.0.0.1:8080"
        }
    }
}

/// The advice in the error for a state directory that cannot be used.
fn state_advice(why: ErrorKind) -> &'static str {
    match why {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; the user that runs wardian must be able to write there, or name another directory with --state (state in \
             wardian.toml)"
        }
        _ => "",
    }
}

/// A server that listens and does not accept connections yet.
pub struct Server {
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
    api: Api,
    connections: Connections,
    manager: Manager,
    deferred: TaskRunner,
    dataplane: DataPlane,
    registry: Registry,
    databases: Databases,
    stores: Stores,
    /// The task that applies changes of the tenants' configuration.
    tenancy: AbortHandle,
}

impl Server {
    /// Builds a server. `watched` holds the configuration files, which are read again when they
    /// change. `program` is the path of this program, which is started again to compile. Must be
    /// called within a tokio runtime.
    pub async fn build(
        mut config: Config,
        watched: WatchedConfig,
        program: PathBuf,
    ) -> Result<Server, ServerError> {
        if let Some(shortage) = DescriptorShortage::check(&config, descriptors::raise_limit()) {
            tracing::warn!("{shortage}");
            config.http.max_connections = shortage.connections;
        }

        let listener = listen(config.listen).await?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let telemetry = Arc::new(Telemetry::default());
        telemetry.register(register_log);
        let metrics = telemetry.register(ConnectionMetrics::register);
        let connections = Connections::new(config.http.max_connections as usize, metrics);

        let (stores, databases) = (build_stores(&config), databases(&config, &telemetry)?);
        let (sequences, chains) = build_session_parts(&stores, &telemetry);
        let loader = build_loader(
            &config,
            program,
            &telemetry,
            stores.clone(),
            databases.clone(),
            sequences.clone(),
        )?;
        let loader = Arc::new(loader);

        let workers = loader.workers().clone();

        let marker = KeyMarker::new(&config.state);
        marker.set(config.tenancy.requires_keys()).map_err(|error| state_error(&config, error))?;

        let registry = Registry::default();
        let deferred = TaskRunner::start(registry.clone(), sequences, chains);

        let tenancy = config.tenancy.clone().sharing(config.http.max_connections);
        let tenants = Tenants::new(tenancy.tenants, tenancy.keys);
        let slots = loader.slots().clone();
        slots.divide(&tenants.all());
        telemetry.register(|metrics| tenant::metrics::register(tenants.clone(), metrics));

        let ready = Arc::default();
        let dataplane = DataPlane::new(registry.clone(), Arc::clone(&ready));

        let sources = tenants.all().into_iter();
        let remotes = telemetry.register(RemoteMetrics::register);
        let grounds = Arc::new(grounds(&config, &watched, &tenants));
        let source_parts =
            SourceFactory { config: config.clone(), workers: workers.clone(), remotes, grounds };
        let sources =
            sources.map(|tenant| source_parts.spawn(&tenant).map(|source| (tenant, source)));
        let sources = sources.collect::<Result<Vec<_>, DirectoryError>>()?;

        let ready_timeout = config.ready_timeout;
        let parts =
            ManagerParts { loader, registry: registry.clone(), sources, ready, ready_timeout };
        let manager = telemetry.register(|metrics| Manager::start(parts, metrics));

        let watch = TenancyWatch::start(watched);
        let state = ApiState {
            dataplane: dataplane.clone(),
            manager: manager.clone(),
            tenants: tenants.clone(),
            tenancy_faults: watch.faults(),
            deferred: deferred.clone(),
            telemetry,
            workers,
            stores: stores.clone(),
            hosts: AllowedHosts::new(config.http.hosts.clone(), address),
            default_model: config.default_model.clone(),
        };

        let following =
            follow_tenancy(watch, source_parts, tenants, slots, manager.clone(), deferred.clone());
        let tenancy = essential::spawn("configuration of tenants", following).abort_handle();

        let api = Api::new(state);
        Ok(Server {
            config,
            listener,
            address,
            api,
            connections,
            manager,
            deferred,
            dataplane,
            registry,
            databases,
            stores,
            tenancy,
        })
    }

    /// The address that it listens on, with the real port if the configured one is 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves, then drains and returns within the drain timeout.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let sweeper = essential::spawn("idle instances", retire_idle(self.registry.clone()));

        let ending = GracefulShutdown::new();
        let (api, config, connections) = (&self.api, &self.config.http, &self.connections);
        let acceptor = Acceptor { api, config, connections, graceful: &ending };
        let lobby = AcceptQueue::new(queue_capacity(config.max_connections));

        let stop = async {
            shutdown.await;
            self.tenancy.abort();
            let timetable = ShutdownDeadlines::from_timeout(self.config.drain_timeout);
            drain(&self.dataplane, &self.deferred, &self.manager, &timetable).await;
            timetable.end
        };

        let end = tokio::select! {
            () = acceptor.run(&self.listener, lobby) => Instant::now(),
            end = stop => end,
        };

        drop(self.listener);
        sweeper.abort();
        let (databases, stores) = (self.databases, self.stores);
        let closing = tokio::task::spawn_blocking(move || {
            stores.close(end);
            databases.close(end);
        });

        // Every request has its response by now. This leaves time for the last bytes to be sent.
        let last_bytes = end.min(Instant::now() + FLUSH_TIMEOUT);
        let (left, closed) =
            tokio::join!(tokio::time::timeout_at(last_bytes.into(), ending.shutdown()), closing);

        if left.is_err() {
            tracing::warn!("closing connections that did not end");
        }
        if closed.is_err() {
            tracing::warn!("what is kept for tenants was not closed well");
        }
    }
}

const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The deadlines of the steps of a shutdown. A supervisor may kill the process after the timeout,
/// so no step comes after it.
struct ShutdownDeadlines {
    /// For requests and deferred tasks, whose models still serve. It is earlier than `models`, so
    /// that one tenant's long task does not keep the models of others from their unload hooks.
    work: Instant,
    /// For models: their last requests and their unload hooks.
    models: Instant,
    /// For everything: the last bytes, the tenants' stores and databases.
    end: Instant,
}

impl ShutdownDeadlines {
    fn from_timeout(timeout: Duration) -> Self {
        let now = Instant::now();
        ShutdownDeadlines {
            work: now + timeout * 2 / 3,
            models: now + timeout * 9 / 10,
            end: now + timeout,
        }
    }
}

/// The parts that every source of models is built from.
struct SourceFactory {
    config: Config,
    workers: Workers,
    remotes: RemoteMetrics,
    grounds: Arc<FolderClaims>,
}

impl SourceFactory {
    fn spawn(&self, tenant: &Arc<Tenant>) -> Result<Source, DirectoryError> {
        Source::spawn(
            tenant,
            self.config.source(tenant),
            &self.workers,
            &self.remotes,
            &self.grounds,
        )
    }
}

/// The name of the state directory in messages.
const STATE_DIRECTORY: &str = "state directory";

/// The directories that no repository may overlap, with the present repositories of all tenants.
fn grounds(config: &Config, watched: &WatchedConfig, tenants: &Tenants) -> FolderClaims {
    let own = [(STATE_DIRECTORY, config.state.clone())].into_iter().chain(watched.paths());
    let grounds = FolderClaims::new(own.collect());

    for tenant in tenants.all() {
        if let Some(path) = tenant.settings().repository.directory() {
            grounds.reserve(tenant.name(), path);
        }
    }
    grounds
}

/// Applies the tenants' configuration whenever it changes.
async fn follow_tenancy(
    mut watch: TenancyWatch,
    sources: SourceFactory,
    tenants: Tenants,
    slots: Arc<Slots>,
    manager: Manager,
    deferred: TaskRunner,
) {
    loop {
        let tenancy = watch.next().await;
        record_keys_required(&sources.config, tenancy.requires_keys()).await;

        let Tenancy { tenants: settings, keys } =
            tenancy.sharing(sources.config.http.max_connections);
        let TenantChanges { added_or_moved: adopted, removed: dismissed } =
            tenants.apply(settings, keys);
        slots.divide(&tenants.all());

        for tenant in dismissed {
            tracing::info!(tenant = %tenant.name(), "tenant removed");
            manager.remove_tenant(tenant.name().clone()).await;
            deferred.forget_tenant(tenant.name());
        }

        for tenant in adopted {
            tracing::info!(tenant = %tenant.name(), "tenant added, or its repository changed");
            match sources.spawn(&tenant) {
                Ok(source) => manager.add_tenant(tenant, source).await,
                Err(error) => {
                    tracing::error!(tenant = %tenant.name(), %error, "cannot serve this tenant's models")
                }
            }
        }
    }
}

/// Records in the state directory whether keys are configured, for the next start.
async fn record_keys_required(config: &Config, asks_for_keys: bool) {
    let marker = KeyMarker::new(&config.state);
    let noted = tokio::task::spawn_blocking(move || marker.set(asks_for_keys)).await;
    if let Ok(Err(error)) = noted {
        tracing::error!(%error, "cannot note in the state directory whether keys are configured");
    }
}

fn state_error(config: &Config, error: std::io::Error) -> ServerError {
    ServerError::State { path: config.state.clone(), error }
}

/// Builds the tenants' databases, whose files lie in the state directory.
pub fn databases(config: &Config, telemetry: &Telemetry) -> Result<Databases, ServerError> {
    let metrics = telemetry.register(DatabaseMetrics::register);
    let trust = TlsRoots::new(config.egress.ca_certificates.as_deref())?;
    let turns = FairScheduler::for_this_machine();

    Ok(Databases::new(
        config.state.join("tenants"),
        config.database.clone(),
        trust.config(),
        turns,
        metrics,
    ))
}

/// Builds the tenants' stores. A store creates its files when it is first used.
pub fn build_stores(config: &Config) -> Stores {
    Stores::new(config.state.join("tenants"), config.data.durability)
}

/// Builds the parts that keep sessions and deferred tasks.
pub fn build_session_parts(stores: &Stores, telemetry: &Telemetry) -> (Sessions, TaskChains) {
    telemetry.register(|metrics| Sessions::new(stores.clone(), metrics))
}

/// Builds the loader of models. `wardian check` uses it without a server.
pub fn build_loader(
    config: &Config,
    program: PathBuf,
    telemetry: &Telemetry,
    stores: Stores,
    databases: Databases,
    sequences: Sessions,
) -> Result<EngineLoader, ServerError> {
    let engine =
        Engine::new(&config.engine, databases.turns().clone()).map_err(ServerError::Engine)?;
    tracing::info!(reset = ?engine.reset(), "engine built");

    let artifacts = config.artifacts_dir();
    let store = ArtifactStore::open(&artifacts)
        .map_err(|error| ServerError::State { path: artifacts, error })?;

    let threads = Arc::new(GuestThreads::start(&engine).map_err(ServerError::Threads)?);
    let metrics = telemetry.register(ServableMetrics::register);
    let (jobs, children) = (config.compile.jobs as usize, config.compile.children as usize);
    let compiler = Compiler::new(program, jobs, children, databases.turns().clone());

    let limits = LoaderConfig {
        engine: config.engine.clone(),
        compile: config.compile.limits.clone(),
        load_deadline: config.compile.load_deadline,
        tls_roots: TlsRoots::new(config.egress.ca_certificates.as_deref())?,
        workers: Workers::new(databases.turns().clone()).map_err(ServerError::Threads)?,
        stores,
        databases,
    };
    Ok(EngineLoader::new(
        limits,
        engine,
        store,
        compiler,
        threads,
        sequences,
        metrics,
        api::parse_golden,
    ))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|error| ServerError::Listen { address, error })
}

/// Refuses new work, waits for the work under way, and unloads every model.
async fn drain(
    dataplane: &DataPlane,
    deferred: &TaskRunner,
    manager: &Manager,
    timetable: &ShutdownDeadlines,
) {
    tracing::info!("draining");
    manager.freeze();
    dataplane.stop();

    // The models still serve here. Requests come first: they leave deferred tasks, and tasks leave
    // no requests.
    let work = async {
        dataplane.wait_until_idle().await;
        deferred.drain().await;
    };
    let _ = tokio::time::timeout_at(timetable.work.into(), work).await;

    deferred.stop();
    // Requests may still be running.
    match tokio::time::timeout_at(timetable.models.into(), manager.stop()).await {
        Ok(()) => tracing::info!("drained"),
        Err(_) => tracing::warn!("not everything has drained in time"),
    }
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
