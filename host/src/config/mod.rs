//! Settings of the whole host.
//!
//! A configuration starts from the defaults, whose reasons stand beside them. `wardian.toml`
//! overrides them, and the command line overrides both. A final check finds conflicts. The result
//! is complete: modules do not check whether a value was given. Settings of models are in their
//! `model.toml`, which `repository` parses.
//!
//! Tenants are defined in `wardian.toml` and in one file per tenant in `tenants/`. They are merged
//! into one [`Tenancy`], at start and whenever a file changes ([`TenancyWatch`]).

mod conflicts;
mod consistency;
mod credentials;
mod files;
mod host_file;
mod key_marker;
mod listen;
mod overrides;
mod tenancy;
mod tenant_file;
mod values;
mod watch;
mod watched_file;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) use self::credentials::parse_key_id;
use self::files::ConfigFiles;
pub use self::key_marker::KeyMarker;
pub(crate) use self::listen::listen_address;
pub use self::overrides::Overrides;
pub use self::tenancy::Tenancy;
pub use self::watch::{TenancyWatch, WatchedConfig};
use self::watched_file::Observation;
use crate::database::DatabaseConfig;
use crate::engine::EngineConfig;
use crate::engine::compile::CompileLimits;
use crate::model::{Host, ModelName, TenantName};
use crate::repository::remote::RemoteConfig;
use crate::repository::{DirectoryConfig, SourceConfig, WatchMode};
use crate::store::Durability;
use crate::tenant::{DEFAULT_REFRESH, RepositoryLocation, Tenant};

/// Settings of the whole host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address of the HTTP server.
    pub listen: SocketAddr,
    /// True if other machines may reach a server without keys.
    pub insecure: bool,
    /// Directory of persistent data and caches.
    pub state: PathBuf,
    /// Time limit of a graceful shutdown.
    pub drain_timeout: Duration,
    /// Time after the start during which the server waits for slow tenants before it reports ready.
    pub ready_timeout: Duration,
    /// Model of requests without a model name.
    pub default_model: Option<ModelName>,
    /// Repositories and how they are scanned.
    pub repository: RepositoryConfig,
    /// Runtimes of model files.
    pub runtimes: RuntimesConfig,
    /// Logging.
    pub log: LogConfig,
    /// HTTP connections.
    pub http: HttpConfig,
    /// Outgoing calls of models.
    pub egress: EgressConfig,
    /// Resources shared by guests.
    pub engine: EngineConfig,
    /// Limits of the tenants' databases.
    pub database: DatabaseConfig,
    /// Compilation of components.
    pub compile: CompileConfig,
    /// Durability of the tenants' stores.
    pub data: DataConfig,
    /// Tenants and keys. The only part that changes while the host runs.
    pub tenancy: Tenancy,
}

/// Repositories and how they are scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryConfig {
    /// Repository of the default tenant.
    pub models: RepositoryLocation,
    /// Refresh interval of remote repositories, unless the tenant has its own.
    pub refresh: Duration,
    /// Detection of changes in a directory.
    pub watch: WatchMode,
    /// Scan interval while polling, or while the directory is missing.
    pub poll_interval: Duration,
    /// Scan interval in the absence of events.
    pub rescan_interval: Duration,
    /// Time that a file must stay unchanged before it counts.
    pub settle: Duration,
    /// Limit of versions scanned in one repository.
    pub max_versions: u32,
    /// True if old versions are deleted where `prune` of a model asks for it.
    pub prune: bool,
}

/// Runtimes of model files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimesConfig {
    /// Folder of the operator's runtimes, which are added to the embedded ones or replace them.
    pub dir: PathBuf,
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Format of log lines.
    pub format: LogFormat,
    /// Least severe level that is logged.
    pub level: LogLevel,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As everywhere.
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// HTTP connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Limit of open connections. Beyond it, idle ones are closed.
    pub max_connections: u32,
    /// Time limit of receiving a request's headers.
    pub header_read_timeout: Duration,
    /// Idle time after which a connection is closed.
    pub keep_alive: Duration,
    /// Time limit of a client that does not read its response.
    pub write_timeout: Duration,
    /// Further host names of a server without keys, beside those of its own machine.
    pub hosts: Vec<Host>,
}

/// Outgoing calls of models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressConfig {
    /// PEM file of certificate authorities that are trusted beside the public ones.
    pub ca_certificates: Option<PathBuf>,
}

/// Compilation of components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileConfig {
    /// Limits of one compile process.
    pub limits: CompileLimits,
    /// Limit of compile processes that compute at the same time.
    pub jobs: u32,
    /// Limit of compile processes, including those that sleep or wait.
    pub children: u32,
    /// Time and CPU time limit of `load`.
    pub load_deadline: Duration,
}

/// Durability of the tenants' stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataConfig {
    /// Durability of acknowledged writes against power failure.
    pub durability: Durability,
}

/// All faults of a configuration, each with its location.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ConfigError(Vec<String>);

impl Config {
    /// Merges the defaults, the files and the command line. Fails with all faults.
    pub fn resolve(overrides: Overrides) -> Result<Self, ConfigError> {
        Config::read(overrides).map(|(config, _)| config)
    }

    /// Returns the configuration of a server, and its files for a [`TenancyWatch`]. Fails as
    /// [`Config::resolve`] does, and if the server had keys and has none now.
    pub fn resolve_and_watch(overrides: Overrides) -> Result<(Self, WatchedConfig), ConfigError> {
        let (config, watched) = Config::read(overrides)?;
        match KeyMarker::new(&config.state).conflict(&config) {
            Some(conflict) => Err(ConfigError(vec![conflict])),
            None => Ok((config, watched)),
        }
    }

    fn read(overrides: Overrides) -> Result<(Self, WatchedConfig), ConfigError> {
        let mut files = ConfigFiles::new(overrides);
        files.observe(Observation { now: Instant::now(), settle: Duration::ZERO });

        // Conflicts are only meaningful if every file is valid.
        let faults = files.faults();
        let (config, conflicts) =
            if faults.is_empty() { files.merge() } else { (Config::default(), faults) };

        if !conflicts.is_empty() {
            return Err(ConfigError(conflicts));
        }

        files.accept();

        Ok((config.clone(), WatchedConfig { files, start: config }))
    }

    /// Returns the settings of the source of a tenant's repository.
    pub fn source(&self, tenant: &Tenant) -> SourceConfig {
        let settings = tenant.settings();
        let (root, remote) = match &settings.repository {
            RepositoryLocation::Directory(root) => (root.clone(), None),
            RepositoryLocation::Remote(url) => {
                let mirrors = self.repository_state(tenant).join("remote");
                let remote = RemoteConfig::new(url.clone(), settings.refresh, &mirrors);
                (remote.root(), Some(remote))
            }
        };
        let is_mirror = remote.is_some();
        let directory = DirectoryConfig { is_mirror, ..self.directory_config(tenant, root) };
        SourceConfig { directory, remote }
    }

    /// Returns the settings of a source of a directory.
    pub fn directory_config(&self, tenant: &Tenant, root: PathBuf) -> DirectoryConfig {
        let RepositoryConfig {
            models: _,
            refresh: _,
            watch,
            poll_interval,
            rescan_interval,
            settle,
            max_versions,
            prune: _,
        } = self.repository;
        let (state, tenant) = (self.repository_state(tenant), tenant.name().clone());
        DirectoryConfig {
            tenant,
            root,
            state,
            watch,
            poll_interval,
            rescan_interval,
            settle,
            max_versions,
            is_mirror: false,
        }
    }

    /// Returns the settings of the source of the operator's runtimes.
    pub fn runtimes_directory(&self) -> DirectoryConfig {
        let host = Tenant::unlimited(TenantName::default_tenant());
        let state = self.state.join("runtimes");
        DirectoryConfig { state, ..self.directory_config(&host, self.runtimes.dir.clone()) }
    }

    /// Returns the directory of the artifact store.
    pub fn artifacts_dir(&self) -> PathBuf {
        self.state.join("artifacts")
    }

    /// Returns `./models` if a tenant uses it by default. A configured directory may be a volume
    /// that is not mounted yet.
    pub fn default_models(&self) -> Option<PathBuf> {
        let default = RepositoryConfig::default().models;
        let used = self.tenancy.tenants.values().any(|tenant| tenant.repository == default);
        default.directory().filter(|_| used).map(Path::to_owned)
    }

    fn repository_state(&self, tenant: &Tenant) -> PathBuf {
        self.state.join("repository").join(tenant.name().as_str())
    }
}

// === Defaults ===

impl Default for Config {
    fn default() -> Self {
        Config {
            // Loopback only, since no keys are required by default. 8080 needs no privileges.
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            insecure: false,
            // Beside the models, so that a trial leaves no files elsewhere.
            state: ".wardian".into(),
            // Kubernetes kills after 30 s by default, and the process needs a moment to end.
            drain_timeout: Duration::from_secs(25),
            // Two loads at their time limit. Only models that must be compiled are slower.
            ready_timeout: Duration::from_secs(120),
            default_model: None,
            repository: RepositoryConfig::default(),
            runtimes: RuntimesConfig::default(),
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
            models: RepositoryLocation::Directory("models".into()),
            refresh: DEFAULT_REFRESH,
            watch: WatchMode::Auto,
            // Fast enough for a waiting person. A scan of a thousand models takes a few
            // milliseconds.
            poll_interval: Duration::from_secs(1),
            // Covers lost events, which are rare.
            rescan_interval: Duration::from_secs(10),
            // Longer than the pauses of a busy writer and the steps of the file system's clock;
            // short compared with the seconds of a compilation.
            settle: Duration::from_millis(100),
            // A scan of so many takes a second. Enough for a thousand models with ten versions
            // each.
            max_versions: 10_000,
            // Nothing is deleted unless a model's settings ask for it.
            prune: true,
        }
    }
}

impl Default for RuntimesConfig {
    fn default() -> Self {
        // Beside the models, and like them in the working directory.
        RuntimesConfig { dir: "runtimes".into() }
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
            // Each takes a file descriptor and about 50 kB. More clients come through a proxy.
            max_connections: 4096,
            // Headers fit into a packet or two. Only broken or hostile clients need longer.
            header_read_timeout: Duration::from_secs(10),
            // Proxies keep idle connections for 60 s, and the server must not close first.
            keep_alive: Duration::from_secs(75),
            // Longer than pauses of a network, and than a page's processing of a part.
            write_timeout: Duration::from_secs(30),
            hosts: Vec::new(),
        }
    }
}

impl Default for CompileConfig {
    fn default() -> Self {
        CompileConfig {
            limits: CompileLimits::default(),
            // Compile processes have low priority, but long guests have idle priority. So at most
            // half the cores compile while calls run. At least two: one tenant must not take the
            // only slot.
            jobs: (std::thread::available_parallelism().map_or(1, NonZero::get) / 2).clamp(2, 1024)
                as u32,
            // Enough for a dozen tenants whose models sleep in `load`. Each may take `memory`.
            children: 16,
            // Loading is pure computation. Only very large models take tens of seconds.
            load_deadline: Duration::from_secs(60),
        }
    }
}

impl LogLevel {
    /// Returns the name used in `wardian.toml` and in log filters.
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
