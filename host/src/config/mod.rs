//! Settings of the whole host.
//!
//! A configuration starts from the defaults. `wardian.toml` overrides them, and the command line
//! overrides both. Most sections are defined beside the part that they configure, with their
//! defaults and the reasons for these; `host_file` reads them all. A final check finds conflicts.
//! The result is complete: modules do not check whether a value was given. Settings of models are
//! in their `model.toml`, which `repository` parses.
//!
//! Tenants are defined in `wardian.toml` and in one file per tenant in `tenants/`. They are merged
//! into one [`Tenancy`], at start and whenever a file changes ([`TenancyWatch`]).

mod cors;
mod credentials;
mod dashboard;
mod files;
mod host_file;
mod http;
mod key_marker;
mod listen_address;
mod overrides;
mod setting_conflicts;
mod tenancy;
mod tenancy_watch;
mod tenant_conflicts;
mod tenant_file;
mod values;
mod watched_file;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use self::cors::CorsConfig;
pub(crate) use self::credentials::parse_key_id;
pub use self::dashboard::DashboardConfig;
use self::files::ConfigFiles;
pub use self::http::HttpConfig;
pub use self::key_marker::KeyMarker;
pub(crate) use self::listen_address::listen_address;
pub use self::overrides::Overrides;
pub use self::tenancy::Tenancy;
pub use self::tenancy_watch::{TenancyWatch, WatchedConfig};
use self::watched_file::Observation;
use crate::capability::http::EgressConfig;
use crate::database::DatabaseConfig;
use crate::engine::EngineConfig;
use crate::engine::compile::CompileConfig;
use crate::model::{ModelName, TenantName};
use crate::repository::remote::RemoteConfig;
use crate::repository::{DirectoryConfig, RepositoryConfig, RuntimesConfig, SourceConfig};
use crate::store::DataConfig;
use crate::telemetry::LogConfig;
use crate::tenant::{RepositoryLocation, Tenant};

/// Settings of the whole host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address of the HTTP server.
    pub listen: SocketAddr,
    /// Another address for gRPC, which the HTTP server answers as well.
    pub grpc_listen: Option<SocketAddr>,
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
    /// Web pages of other origins.
    pub cors: CorsConfig,
    /// The dashboard.
    pub dashboard: DashboardConfig,
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
        self.repository.directory(tenant, root, self.repository_state(tenant))
    }

    /// Returns the settings of the source of the operator's runtimes.
    pub fn runtimes_directory(&self) -> DirectoryConfig {
        let host = Tenant::unlimited(TenantName::default_tenant());
        let root = self.runtimes.dir.clone();
        self.repository.directory(&host, root, self.state.join("runtimes"))
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

impl Default for Config {
    fn default() -> Self {
        Config {
            // Loopback only, since no keys are required by default. 8080 needs no privileges.
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            // Clients of gRPC use the same port unless they expect another.
            grpc_listen: None,
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
            cors: CorsConfig::default(),
            dashboard: DashboardConfig::default(),
            egress: EgressConfig::default(),
            engine: EngineConfig::default(),
            database: DatabaseConfig::default(),
            compile: CompileConfig::default(),
            data: DataConfig::default(),
            tenancy: Tenancy::single(RepositoryConfig::default().models),
        }
    }
}

#[cfg(test)]
mod tests;
