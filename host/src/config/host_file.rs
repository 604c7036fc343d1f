//! Parses `wardian.toml`. Every key is optional, and every fault is reported.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use super::credentials::{KeyOwner, LocatedKey, read_keys};
use super::listen_address::listen_address;
use super::tenant_file::{self, TenantEntry};
use super::values::{DAY, REFRESH_RANGE, path, repository_location};
use super::{Config, CorsConfig, HttpConfig, Overrides};
use crate::capability::http::EgressConfig;
use crate::database::DatabaseConfig;
use crate::engine::EngineConfig;
use crate::engine::compile::CompileConfig;
use crate::model::{Host as HttpHost, ModelName, Origin};
use crate::repository::{RepositoryConfig, WatchMode};
use crate::store::{DataConfig, Durability};
use crate::telemetry::{LogConfig, LogFormat, LogLevel};
use crate::tenant::RepositoryLocation;
use crate::toml_reader::{
    self, TableReader, TomlFaults, boolean, duration, list, number, one_of, origins, size, text,
};

/// Settings of `wardian.toml` and the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HostFile {
    /// Settings without the tenancy, which also depends on other files.
    pub(super) config: Config,
    /// Configured location of the models, if any.
    pub(super) models: Option<RepositoryLocation>,
    pub(super) tenants: Vec<TenantEntry>,
    pub(super) keys: Vec<LocatedKey>,
}

impl HostFile {
    /// Creates the settings of a server without a file.
    pub(super) fn new(overrides: &Overrides) -> Self {
        HostFile::default().with_overrides(overrides)
    }

    /// Parses a file and applies the command line. Relative paths are relative to the file.
    pub(super) fn read(file: &Path, text: &str, overrides: &Overrides) -> Result<Self, TomlFaults> {
        let shown: Arc<str> = file.display().to_string().into();
        let base = file.parent().unwrap_or(Path::new(""));
        let mut host = HostFile::default();

        toml_reader::read(&shown, text, |keys| read_settings(keys, base, &shown, &mut host))?;

        Ok(host.with_overrides(overrides))
    }

    fn with_overrides(mut self, overrides: &Overrides) -> Self {
        if let Some(models) = &self.models {
            self.config.repository.models = models.clone();
        }

        self.models = overrides.models.clone().or(self.models);
        overrides.clone().apply(&mut self.config);
        self
    }
}

fn read_settings(keys: &mut TableReader<'_>, base: &Path, file: &Arc<str>, host: &mut HostFile) {
    let config = &mut host.config;
    keys.read("listen", &mut config.listen, |value| listen_address(&text(value)?));
    keys.read("grpc_listen", &mut config.grpc_listen, |value| {
        listen_address(&text(value)?).map(Some)
    });
    keys.read("insecure", &mut config.insecure, boolean);
    keys.read("state", &mut config.state, path(base));
    keys.read("drain_timeout", &mut config.drain_timeout, duration(Duration::ZERO..=DAY));
    keys.read("ready_timeout", &mut config.ready_timeout, duration(Duration::ZERO..=DAY));
    keys.read("default_model", &mut config.default_model, |value| {
        ModelName::new(&text(value)?).map(Some).map_err(|error| error.to_string())
    });
    keys.read("models", &mut host.models, |value| repository_location(base)(value).map(Some));
    repository(keys, &mut config.repository);
    keys.table("runtimes", |keys| keys.read("dir", &mut config.runtimes.dir, path(base)));
    keys.table("log", |keys| log(keys, &mut config.log));
    keys.table("http", |keys| http(keys, &mut config.http));
    keys.table("cors", |keys| cors(keys, &mut config.cors));
    keys.table("dashboard", |keys| {
        keys.read("enabled", &mut config.dashboard.enabled, boolean);
    });
    keys.table("egress", |keys| egress(keys, base, &mut config.egress));
    keys.table("engine", |keys| engine(keys, &mut config.engine));
    keys.table("database", |keys| database(keys, &mut config.database));
    keys.table("compile", |keys| compile(keys, &mut config.compile));
    keys.table("data", |keys| data(keys, &mut config.data));
    host.keys = read_keys(keys, file, KeyOwner::Host);
    keys.table("tenants", |keys| {
        keys.tables(|name, keys| host.tenants.extend(tenant_file::tenant(keys, name, file, base)));
    });
}

/// More frequent polls would only keep a core busy.
const INTERVAL_RANGE: RangeInclusive<Duration> = Duration::from_millis(10)..=DAY;
/// Anything slower has hung.
const TIME_RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
/// From one page of linear memory to the 32-bit address space.
const GUEST_MEMORY_RANGE: RangeInclusive<u64> = (64 << 10)..=(4 << 30);
/// Less does not hold the host's own frames beside the guest's. More means runaway recursion.
const STACK_RANGE: RangeInclusive<u64> = (64 << 10)..=(64 << 20);
/// Longer statements block others and do not belong in a request.
const STATEMENT_TIME_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(60);
/// The result lies in the memory of the host and then of the guest.
const RESULT_RANGE: RangeInclusive<u64> = 1024..=(256 << 20);
/// Less is not enough to compile anything.
const COMPILE_MEMORY_RANGE: RangeInclusive<u64> = (256 << 20)..=(1 << 40);
/// Each slot reserves 4 GiB of the address space of 128 TiB.
const MAX_INSTANCES: u32 = 20_000;
/// Each is compared with every request.
const MAX_HOSTS: usize = 32;
/// Each is compared with the origin of a request that has one.
const MAX_CORS_ORIGINS: usize = 100;
/// A scan of so many takes minutes.
const MAX_VERSIONS: u32 = 1_000_000;
/// Linux's default limit of a process's file descriptors.
const MAX_CONNECTIONS: u32 = 1 << 20;

fn repository(keys: &mut TableReader<'_>, settings: &mut RepositoryConfig) {
    let watches =
        [("auto", WatchMode::Auto), ("events", WatchMode::Events), ("poll", WatchMode::Poll)];
    keys.read("watch", &mut settings.watch, one_of(watches));
    keys.read("poll_interval", &mut settings.poll_interval, duration(INTERVAL_RANGE));
    keys.read("rescan_interval", &mut settings.rescan_interval, duration(INTERVAL_RANGE));
    keys.read("refresh", &mut settings.refresh, duration(REFRESH_RANGE));
    keys.read("settle", &mut settings.settle, duration(INTERVAL_RANGE));
    keys.read("max_versions", &mut settings.max_versions, number(1..=MAX_VERSIONS));
    keys.read("prune", &mut settings.prune, boolean);
}

fn log(keys: &mut TableReader<'_>, settings: &mut LogConfig) {
    use LogLevel::{Debug, Error, Info, Trace, Warn};

    let levels = [Error, Warn, Info, Debug, Trace].map(|level| (level.name(), level));
    keys.read(
        "format",
        &mut settings.format,
        one_of([("text", LogFormat::Text), ("json", LogFormat::Json)]),
    );
    keys.read("level", &mut settings.level, one_of(levels));
}

fn http(keys: &mut TableReader<'_>, settings: &mut HttpConfig) {
    keys.read("max_connections", &mut settings.max_connections, number(1..=MAX_CONNECTIONS));
    keys.read("header_read_timeout", &mut settings.header_read_timeout, duration(TIME_RANGE));
    keys.read("keep_alive", &mut settings.keep_alive, duration(TIME_RANGE));
    keys.read("write_timeout", &mut settings.write_timeout, duration(TIME_RANGE));
    keys.read("hosts", &mut settings.hosts, hosts);
}

fn hosts(value: &DeValue<'_>) -> Result<Vec<HttpHost>, String> {
    let host = |value: &DeValue<'_>| {
        let written = text(value)?;
        HttpHost::parse(&written)
            .map_err(|why| format!("'{written}' is not a host like \"models.example.com\": {why}"))
    };
    let hosts = list(host)(value)?;
    match hosts.len() {
        0..=MAX_HOSTS => Ok(hosts),
        count => Err(format!("{count} hosts are more than the {MAX_HOSTS} allowed")),
    }
}

fn cors(keys: &mut TableReader<'_>, settings: &mut CorsConfig) {
    keys.read("origins", &mut settings.origins, cors_origins);
    keys.read("credentials", &mut settings.credentials, boolean);
    keys.read("max_age", &mut settings.max_age, duration(Duration::ZERO..=DAY));
    keys.check(
        !(settings.credentials && settings.origins.is_none()),
        "credentials: browsers do not send them where every origin is allowed; list the origins",
    );
}

/// Parses a list of origins, or `"*"` for every origin.
fn cors_origins(value: &DeValue<'_>) -> Result<Option<Vec<Origin>>, String> {
    const EVERY: Option<&str> = Some("*");

    if value.as_str() == EVERY {
        return Ok(None);
    }

    let items = || value.as_array().into_iter().flatten();
    if items().any(|item| item.get_ref().as_str() == EVERY) {
        return Err("every origin is written origins = \"*\", without a list".into());
    }

    origins(MAX_CORS_ORIGINS)(value).map(Some)
}

fn egress(keys: &mut TableReader<'_>, base: &Path, settings: &mut EgressConfig) {
    keys.read("ca_certificates", &mut settings.ca_certificates, |value| {
        path(base)(value).map(Some)
    });
}

fn engine(keys: &mut TableReader<'_>, settings: &mut EngineConfig) {
    keys.read("max_memory", &mut settings.max_memory, size(GUEST_MEMORY_RANGE));
    keys.read("instances", &mut settings.instances, number(1..=MAX_INSTANCES));
    keys.read("stack", &mut settings.stack, size(STACK_RANGE));
}

fn database(keys: &mut TableReader<'_>, settings: &mut DatabaseConfig) {
    let durabilities = [("full", Durability::Full), ("normal", Durability::Normal)];
    keys.read("synchronous", &mut settings.durability, one_of(durabilities));
    keys.read("statement_time", &mut settings.statement_time, duration(STATEMENT_TIME_RANGE));
    keys.read("transaction_time", &mut settings.transaction_time, duration(STATEMENT_TIME_RANGE));
    keys.read("busy_timeout", &mut settings.busy_timeout, duration(STATEMENT_TIME_RANGE));
    keys.read("rows", &mut settings.rows, number(1..=1_000_000));
    keys.read("result", &mut settings.result, size(RESULT_RANGE));
}

fn compile(keys: &mut TableReader<'_>, settings: &mut CompileConfig) {
    keys.read("memory", &mut settings.limits.memory, size(COMPILE_MEMORY_RANGE));
    keys.read("cpu_time", &mut settings.limits.cpu_time, duration(TIME_RANGE));
    keys.read("wall_time", &mut settings.limits.wall_time, duration(TIME_RANGE));
    keys.read("jobs", &mut settings.jobs, number(1..=1024));
    keys.read("children", &mut settings.children, number(1..=4096));
    keys.read("load_deadline", &mut settings.load_deadline, duration(TIME_RANGE));
}

fn data(keys: &mut TableReader<'_>, settings: &mut DataConfig) {
    let durabilities = [("full", Durability::Full), ("normal", Durability::Normal)];
    keys.read("durability", &mut settings.durability, one_of(durabilities));
}
