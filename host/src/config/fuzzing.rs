//! Invariants of any text parsed as a `wardian.toml` or as a tenant's file.

use std::path::Path;
use std::time::Duration;

use super::credentials::LocatedKey;
use super::host_file::HostFile;
use super::tenant_file::{self, TenantEntry};
use super::{Config, Overrides, setting_conflicts};
use crate::fuzzing::check_text;
use crate::tenant::{KeyScopes, RepositoryLocation};

/// Parses the text as settings of a host and as those of a tenant. Checks that accepted values are
/// within their ranges, paths are absolute, keys have no forbidden scopes, and conflicts can be
/// formatted.
pub fn wardian_toml(text: &str) {
    match HostFile::read(Path::new("/etc/wardian/wardian.toml"), text, &Overrides::default()) {
        Ok(host) => check_host(&host),
        Err(faults) => check_text(&faults.to_string(), 8000),
    }

    match tenant_file::read(
        Path::new("/etc/wardian/tenants/acme.toml"),
        text,
        Path::new("/etc/wardian"),
    ) {
        Ok(tenant) => check_tenant(&tenant),
        Err(faults) => check_text(&faults, 8000),
    }
}

fn check_host(HostFile { config, models, tenants, keys }: &HostFile) {
    check_config(config);
    assert!(models.as_ref().is_none_or(|models| models.directory().is_none_or(Path::is_absolute)
        && *models == config.repository.models));
    assert!(config.state.is_absolute() || config.state == Config::default().state);
    assert!(
        keys.iter().all(|located| located.key.scopes == KeyScopes::ADMIN),
        "a key of the host's own asks for models"
    );
    check_ids(keys);
    tenants.iter().for_each(check_tenant);
}

fn check_config(config: &Config) {
    assert!((64 << 10..=4 << 30).contains(&config.engine.max_memory));
    assert!(
        config.engine.instances > 0 && config.http.max_connections > 0 && config.compile.jobs > 0
    );

    let repository = &config.repository;
    for interval in [repository.poll_interval, repository.rescan_interval, repository.settle] {
        assert!(interval >= Duration::from_millis(10), "{interval:?} keeps a core busy");
    }

    // Keys are merged later, so no tenant requires one here.
    let exposed = !config.listen.ip().to_canonical().is_loopback() && !config.insecure;
    let conflicts = setting_conflicts::find(config);

    assert!(!exposed || !conflicts.is_empty(), "the server can be reached without keys");
    conflicts.iter().for_each(|conflict| check_text(conflict, 800));
}

fn check_tenant(tenant: &TenantEntry) {
    assert!(
        tenant
            .repository
            .as_ref()
            .and_then(RepositoryLocation::directory)
            .is_none_or(Path::is_absolute)
    );
    assert!((1..=1000).contains(&tenant.settings.weight));
    assert!(
        tenant.keys.iter().all(|located| located.key.scopes != KeyScopes::default()),
        "a key without scopes"
    );
    check_ids(&tenant.keys);
}

/// Ids appear in logs and must be unique.
fn check_ids(keys: &[LocatedKey]) {
    for (index, LocatedKey { key, .. }) in keys.iter().enumerate() {
        assert!(
            key.id.len() <= 64 && key.id.chars().all(|char| char.is_ascii_graphic()),
            "{:?}",
            key.id
        );

        assert!(
            keys[..index].iter().all(|earlier| earlier.key.id != key.id),
            "two keys are called {}",
            key.id
        );
    }
}
