//! What is in force for the whole host: the sum of its modules' settings.
//!
//! It starts from the defaults, each of which has its reason beside it; `wardian.toml` overwrites
//! some, the command line overwrites some of those, and one check at the end judges the whole. What
//! comes out is complete: no module asks again whether something was given. A model's own settings
//! are not here but in its `model.toml`, which `repository` reads.
//!
//! Who the tenants are is told by `wardian.toml` and by one file for each in `tenants/`. It is put
//! together into one [`Tenancy`], at start and again whenever a file changes ([`TenancyWatch`]).

mod check;
mod clashes;
mod credentials;
mod file;
mod key_marker;
mod listen;
mod overrides;
mod source;
mod sources;
mod tenancy;
mod tenants;
mod watch;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) use self::credentials::key_id;
pub use self::key_marker::KeyMarker;
pub(crate) use self::listen::listen_address;
pub use self::overrides::Overrides;
use self::source::Glance;
use self::sources::Sources;
pub use self::tenancy::Tenancy;
pub use self::watch::{TenancyWatch, Watched};
use crate::database::DatabaseConfig;
use crate::engine::EngineConfig;
use crate::engine::compile::CompileLimits;
use crate::model::{Host, ModelName};
use crate::repository::remote::RemoteConfig;
use crate::repository::{DirectoryConfig, SourceConfig, Watch};
use crate::store::Durability;
use crate::tenant::{REFRESH, Site, Tenant};

/// What is in force for the whole host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// Whether other machines may reach a server that asks for no credentials.
    pub insecure: bool,
    /// Where the host keeps what it must not lose or need not compute again.
    pub state: PathBuf,
    /// How long the server may take to stop, with all that it has to finish for it.
    pub drain_timeout: Duration,
    /// How long after its start the server waits for tenants whose models are slow to load, before
    /// it is ready.
    pub ready_timeout: Duration,
    /// The model of requests that name none.
    pub default_model: Option<ModelName>,
    /// Where models come from.
    pub repository: RepositoryConfig,
    /// How the host tells what it does.
    pub log: LogConfig,
    /// How HTTP connections are handled.
    pub http: HttpConfig,
    /// How models call others.
    pub egress: EgressConfig,
    /// What guests share.
    pub engine: EngineConfig,
    /// What the tenants' databases may take.
    pub database: DatabaseConfig,
    /// How components are translated.
    pub compile: CompileConfig,
    /// How what the host keeps for models reaches the disk.
    pub data: DataConfig,
    /// Whose models are served, and who may ask. The only part that changes while the host runs.
    pub tenancy: Tenancy,
}

/// Where models come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryConfig {
    /// Where the default tenant's models are.
    pub models: Site,
    /// How often to look at a repository that is not a directory, unless its tenant says otherwise.
    pub refresh: Duration,
    /// How changes in it are noticed.
    pub watch: Watch,
    /// How often to look while polling, or while the directory is missing.
    pub poll_interval: Duration,
    /// How often to look although no event came.
    pub rescan_interval: Duration,
    /// How long a file must be unchanged before it counts.
    pub settle: Duration,
    /// How many versions of one repository are looked at.
    pub max_versions: u32,
}

/// How the host tells what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// The least important level that is told.
    pub level: LogLevel,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As everywhere.
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How HTTP connections are handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Connections open at the same time. For more, those that do no work are closed.
    pub max_connections: u32,
    /// How long a client may take to send a request's headers.
    pub header_read_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub keep_alive: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_timeout: Duration,
    /// Hosts under which a server without keys may be reached, beside those of its own machine.
    pub hosts: Vec<Host>,
}

/// How models call others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressConfig {
    /// A PEM file of authorities that are believed beside the public ones, for servers with
    /// certificates of one's own.
    pub ca_certificates: Option<PathBuf>,
}

/// How components are translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileConfig {
    /// What each compile child may use.
    pub limits: CompileLimits,
    /// Children that compute at the same time.
    pub jobs: u32,
    /// Children at the same time, those that sleep or wait included.
    pub children: u32,
    /// Wall-clock and CPU time of `load`.
    pub load_deadline: Duration,
}

/// How what the host keeps for models reaches the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataConfig {
    /// What a machine that loses its power may take with it.
    pub durability: Durability,
}

/// Why there is no configuration to run with: everything that is wrong, each with where it stands.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ConfigError(Vec<String>);

impl Config {
    /// Puts together the defaults, the files and the command line. Fails with everything that is
    /// wrong.
    pub fn resolve(overrides: Overrides) -> Result<Self, ConfigError> {
        Config::read(overrides).map(|(config, _)| config)
    }

    /// The configuration of a server, and what it was read from, for a [`TenancyWatch`]. Fails as
    /// [`Config::resolve`] does, and if the server had keys and has none now.
    pub fn resolve_and_watch(overrides: Overrides) -> Result<(Self, Watched), ConfigError> {
        let (config, watched) = Config::read(overrides)?;
        match KeyMarker::new(&config.state).conflict(&config) {
            Some(conflict) => Err(ConfigError(vec![conflict])),
            None => Ok((config, watched)),
        }
    }

    fn read(overrides: Overrides) -> Result<(Self, Watched), ConfigError> {
        let mut sources = Sources::new(overrides);
        sources.look(Glance { now: Instant::now(), settle: Duration::ZERO });
        // What is missing from a file that is wrong does not clash with anything.
        let faults = sources.faults();
        let (config, conflicts) =
            if faults.is_empty() { sources.merge() } else { (Config::default(), faults) };
        if !conflicts.is_empty() {
            return Err(ConfigError(conflicts));
        }
        sources.accept();
        Ok((config.clone(), Watched { sources, start: config }))
    }

    /// The settings of the source that watches this tenant's repository.
    pub fn source(&self, tenant: &Tenant) -> SourceConfig {
        let settings = tenant.settings();
        let (root, remote) = match &settings.repository {
            Site::Directory(root) => (root.clone(), None),
            Site::Remote(url) => {
                let mirrors = self.state_of(tenant).join("remote");
                let remote = RemoteConfig::new(url.clone(), settings.refresh, &mirrors);
                (remote.root(), Some(remote))
            }
        };
        SourceConfig { directory: self.directory(tenant, root), remote }
    }

    /// The settings of a source that watches a directory of this tenant's.
    pub fn directory(&self, tenant: &Tenant, root: PathBuf) -> DirectoryConfig {
        let RepositoryConfig {
            models: _,
            refresh: _,
            watch,
            poll_interval,
            rescan_interval,
            settle,
            max_versions,
        } = self.repository;
        let (state, tenant) = (self.state_of(tenant), tenant.name().clone());
        DirectoryConfig {
            tenant,
            root,
            state,
            watch,
            poll_interval,
            rescan_interval,
            settle,
            max_versions,
        }
    }

    /// Where compiled models are kept.
    pub fn artifacts(&self) -> PathBuf {
        self.state.join("artifacts")
    }

    /// `./models`, if a tenant has its models there and it is nowhere configured. A directory that
    /// was configured may be a volume that is not mounted yet.
    pub fn default_models(&self) -> Option<PathBuf> {
        let default = RepositoryConfig::default().models;
        let used = self.tenancy.tenants.values().any(|tenant| tenant.repository == default);
        default.directory().filter(|_| used).map(Path::to_owned)
    }

    fn state_of(&self, tenant: &Tenant) -> PathBuf {
        self.state.join("repository").join(tenant.name().as_str())
    }
}

// === Defaults ===

impl Default for Config {
    fn default() -> Self {
        Config {
            // Only this machine: nothing asks for credentials yet. 8080 needs no privilege.
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            insecure: false,
            // Beside the models, so that trying it out leaves nothing elsewhere.
            state: ".wardian".into(),
            // Kubernetes kills after 30 s unless told otherwise, and the end of a process takes a
            // moment too.
            drain_timeout: Duration::from_secs(25),
            // Two loads that take as long as a load may. Beside that, only models that have to be
            // compiled are slow.
            ready_timeout: Duration::from_secs(120),
            default_model: None,
            repository: RepositoryConfig::default(),
            log: LogConfig::default(),
            http: HttpConfig::default(),
            egress: EgressConfig::default(),
            engine: EngineConfig::default(),
            database: DatabaseConfig::default(),
            compile: CompileConfig::default(),
            data: DataConfig::default(),
            tenancy: Tenancy::single(RepositoryConfig::default().models),
        }
    }
}

impl Default for RepositoryConfig {
    fn default() -> Self {
        RepositoryConfig {
            models: Site::Directory("models".into()),
            refresh: REFRESH,
            watch: Watch::Auto,
            // Soon enough for someone who waits; a look at a thousand models takes a few
            // milliseconds.
            poll_interval: Duration::from_secs(1),
            // Only for events that were lost, which is rare; sooner than someone asks why nothing
            // happened.
            rescan_interval: Duration::from_secs(10),
            // Longer than a busy writer pauses between two writes, and than the file system's clock
            // steps; short beside the seconds that translating takes.
            settle: Duration::from_millis(100),
            // A look at so many takes a second; a tenant with a thousand models and ten versions of
            // each has room.
            max_versions: 10_000,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { format: LogFormat::Text, level: LogLevel::Info }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            // Each takes a file descriptor and some 50 kB; more clients than this come through a
            // proxy.
            max_connections: 4096,
            // Headers fit into a packet or two; only a broken or hostile client needs longer.
            header_read_timeout: Duration::from_secs(10),
            // Proxies keep idle connections for 60 s; the server must not be the first to close
            // one.
            keep_alive: Duration::from_secs(75),
            // Longer than a network pauses, and than a page takes to look at a part.
            write_timeout: Duration::from_secs(30),
            hosts: Vec::new(),
        }
    }
}

impl Default for CompileConfig {
    fn default() -> Self {
        CompileConfig {
            limits: CompileLimits::default(),
            // They run at low priority, but guests that take long run at none at all; so while
            // calls take turns, no more children compute than half the cores. At least two: one
            // tenant's child must not take the only slot.
            jobs: (std::thread::available_parallelism().map_or(1, NonZero::get) / 2).clamp(2, 1024)
                as u32,
            // Enough for a dozen tenants whose models sleep in `load`; each may take `memory`.
            children: 16,
            // Loading computes without waiting for anything; tens of seconds are a very large
            // model.
            load_deadline: Duration::from_secs(60),
        }
    }
}

impl LogLevel {
    /// Its name in `wardian.toml` and in log filters.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

#[cfg(test)]
mod tests;
