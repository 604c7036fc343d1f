//! Parses the settings of a tenant: a table `[tenants.NAME]` of `wardian.toml`, or a file
//! `tenants/NAME.toml`.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use super::credentials::{KeyOwner, LocatedKey, SourceLine, read_keys};
use super::values::{REFRESH_RANGE, path, repository_location};
use crate::database::postgres;
use crate::model::{ModelName, TenantName, parse_size};
use crate::repository::{parse_limits, parse_streaming_ceilings};
use crate::tenant::{
    AllowedOrigins, AllowedRuntimes, PasswordSource, PostgresSettings, Quota, RepositoryLocation,
    TenantGrants, TenantSettings, UNLIMITED,
};
use crate::toml_reader::{
    self, TableReader, duration, expected, list, number, origins, text, whole_number,
};

/// Settings of a tenant as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TenantEntry {
    pub(super) name: TenantName,
    pub(super) place: SourceLine,
    /// `None` for the default.
    pub(super) repository: Option<RepositoryLocation>,
    /// `None` for the host's interval.
    pub(super) refresh: Option<Duration>,
    pub(super) keys: Vec<LocatedKey>,
    /// Other settings; repository and keys are not filled in yet.
    pub(super) settings: TenantSettings,
}

/// Parses a file of `tenants/`, whose name is the tenant's. Relative paths are relative to `base`.
pub(super) fn read(file: &Path, content: &str, base: &Path) -> Result<TenantEntry, String> {
    let shown: Arc<str> = file.display().to_string().into();
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut read = None;

    toml_reader::read(&shown, content, |keys| read = tenant(keys, &name, &shown, base))
        .map_err(|faults| faults.to_string())?;

    read.ok_or_else(|| format!("{shown}: '{name}' is not a tenant name"))
}

/// Parses the keys of a tenant; `None` if its name is not valid.
pub(super) fn tenant(
    keys: &mut TableReader<'_>,
    name: &str,
    file: &Arc<str>,
    base: &Path,
) -> Option<TenantEntry> {
    let place = SourceLine { file: file.clone(), line: keys.line() };
    let (mut repository, mut refresh, mut settings) = (None, None, TenantSettings::default());

    keys.read("repository", &mut repository, |value| repository_location(base)(value).map(Some));
    keys.read("refresh", &mut refresh, |value| duration(REFRESH_RANGE)(value).map(Some));
    keys.check(refresh.is_none() || !is_directory(&repository), REFRESH_NEEDS_URL);
    keys.read("weight", &mut settings.weight, number(WEIGHT_RANGE));

    let credentials = read_keys(keys, file, KeyOwner::Tenant);
    keys.table("quota", |keys| quota(keys, &mut settings.quota));
    keys.table("limits", |keys| parse_limits(keys, &mut settings.ceilings.limits));
    keys.table("streaming", |keys| {
        parse_streaming_ceilings(keys, &mut settings.ceilings.streaming)
    });
    keys.table("grants", |keys| grants(keys, &mut settings.grants));
    keys.read("runtimes", &mut settings.runtimes, |value| {
        list(runtime_name)(value).map(AllowedRuntimes::Listed)
    });
    keys.table("database", |keys| settings.database = database(keys, base));

    match TenantName::new(name) {
        Ok(name) => {
            Some(TenantEntry { name, place, repository, refresh, keys: credentials, settings })
        }
        Err(error) => {
            keys.report_table(&error.to_string());
            None
        }
    }
}

const REFRESH_NEEDS_URL: &str =
    "refresh: only a repository behind a URL is refreshed; a directory is watched";

fn is_directory(repository: &Option<RepositoryLocation>) -> bool {
    repository.as_ref().is_some_and(|site| site.directory().is_some())
}

/// Finer shares are lost in the length of one turn.
const WEIGHT_RANGE: RangeInclusive<u32> = 1..=1000;

fn quota(keys: &mut TableReader<'_>, quota: &mut Quota) {
    keys.read("requests_per_second", &mut quota.requests_per_second, count);
    keys.read("concurrency", &mut quota.concurrency, count);
    keys.read("queue", &mut quota.queue, count);
    keys.read("instances", &mut quota.instances, count);
    keys.read("memory", &mut quota.memory, bytes);
    keys.read("models", &mut quota.models, count);
    keys.read("storage", &mut quota.storage, bytes);
    keys.read("artifact_size", &mut quota.artifact_size, bytes);
    keys.read("data", &mut quota.data, bytes);
    keys.read("database", &mut quota.database, bytes);
    keys.read("sessions", &mut quota.sessions, count);
    keys.read("tasks", &mut quota.tasks, count);
}

fn grants(keys: &mut TableReader<'_>, grants: &mut TenantGrants) {
    keys.read("http", &mut grants.http, |value| {
        origins(MAX_ORIGINS)(value).map(AllowedOrigins::Listed)
    });
}

fn runtime_name(value: &DeValue<'_>) -> Result<String, String> {
    let name = text(value)?;
    ModelName::new(&name).map_err(|error| format!("not the name of a runtime: {error}"))?;
    Ok(name)
}

fn database(keys: &mut TableReader<'_>, base: &Path) -> Option<PostgresSettings> {
    let url = keys.read_required("url", |value| {
        let url = text(value)?;
        postgres::check_url(&url).map(|()| url)
    });
    let (mut file, mut variable) = (None, None);

    keys.read("password_file", &mut file, |value| {
        path(base)(value).map(|path| Some(PasswordSource::File(path)))
    });

    keys.read("password_env", &mut variable, |value| {
        text(value).map(|name| Some(PasswordSource::Variable(name)))
    });

    keys.check(
        file.is_none() || variable.is_none(),
        "a password is in one place: password_file or password_env",
    );

    Some(PostgresSettings { url: url?, password: file.or(variable) })
}

/// Limit of listed origins.
const MAX_ORIGINS: usize = 1000;

const UNLIMITED_WORD: &str = "unlimited";

fn count(value: &DeValue<'_>) -> Result<u64, String> {
    match value {
        DeValue::String(word) if word == UNLIMITED_WORD => Ok(UNLIMITED),
        DeValue::Integer(_) => whole_number(value),
        other => Err(expected("a whole number or \"unlimited\"", other)),
    }
}

fn bytes(value: &DeValue<'_>) -> Result<u64, String> {
    match value {
        DeValue::String(word) if word == UNLIMITED_WORD => Ok(UNLIMITED),
        DeValue::String(size) => parse_size(size),
        other => Err(expected("a size like \"256MiB\" or \"unlimited\"", other)),
    }
}
