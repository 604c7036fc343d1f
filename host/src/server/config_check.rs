//! Checks of a configuration, for `serve` and for `serve --check-config`.
//!
//! Nothing is created or changed. A check that passes now may fail a moment later; then the step of
//! the start that needs it fails.

use std::path::Path;
use std::sync::Arc;

use super::descriptors::{self, DescriptorShortage};
use super::error::ServerError;
use super::tenancy::{STATE_DIRECTORY, runtimes_folder};
use crate::config::Config;
use crate::database::check_password;
use crate::disk_errors::check_writable;
use crate::engine::{ArtifactStore, Engine};
use crate::repository::{FolderClaims, WatchMode, check_events, refused_roots, remote};
use crate::tenant::{FairScheduler, RepositoryLocation, TenantSettings};

/// Checks everything that a server with this configuration needs to start, apart from its address.
///
/// # Errors
/// The error that keeps the server from starting.
pub fn check_config(config: &Config) -> Result<(), ServerError> {
    config.egress.tls_roots()?;

    check_default_models(config)?;
    let artifacts = config.artifacts_dir();
    ArtifactStore::check_access(&artifacts)
        .map_err(|error| ServerError::State { path: artifacts, error })?;

    if config.repository.watch == WatchMode::Events {
        check_events()?;
    }

    Engine::new(&config.engine, FairScheduler::for_this_machine()).map_err(ServerError::Engine)?;
    Ok(())
}

/// Checks that the default models directory exists, or can be created at the start.
fn check_default_models(config: &Config) -> Result<(), ServerError> {
    match config.default_models() {
        Some(path) if !path.is_dir() => {
            check_writable(&path).map_err(|error| ServerError::Models { path, error })
        }
        _ => Ok(()),
    }
}

/// Returns a sentence for each fault that does not keep a server with this configuration from
/// starting.
pub fn config_warnings(config: &Config) -> Vec<String> {
    let artifacts = config.artifacts_dir();
    let busy = ArtifactStore::is_in_use(&artifacts).then(|| {
        format!(
            "the state directory is in use: a server that is started before the one that uses {} has stopped will \
             refuse to start",
            artifacts.display()
        )
    });

    let shortage = DescriptorShortage::check(config, descriptors::hard_limit())
        .map(|shortage| shortage.to_string());
    let tenants = config.tenancy.tenants.iter();
    let of_tenants = tenants.flat_map(|(name, settings)| {
        tenant_warnings(settings)
            .into_iter()
            .map(move |warning| format!("tenant {name}: {warning}"))
    });

    busy.into_iter().chain(shortage).chain(of_tenants).chain(overlap_warnings(config)).collect()
}

/// Returns a sentence for each repository that would be refused because it overlaps another folder.
fn overlap_warnings(config: &Config) -> Vec<String> {
    let tenants = config.tenancy.tenants.iter();
    let repositories = tenants.filter_map(|(name, settings)| {
        Some((name.clone(), settings.repository.directory()?.to_owned()))
    });
    let repositories: Vec<_> = repositories.collect();

    let claims = Arc::new(FolderClaims::new(vec![
        (STATE_DIRECTORY, config.state.clone()),
        runtimes_folder(config),
    ]));
    let refused = refused_roots(&claims, &repositories).into_iter();
    refused.map(|(tenant, reason)| format!("tenant {tenant}: {reason}")).collect()
}

fn tenant_warnings(settings: &TenantSettings) -> Vec<String> {
    let password = settings.database.as_ref().and_then(|database| check_password(database).err());
    let repository = match &settings.repository {
        RepositoryLocation::Directory(path) => directory_warning(path),
        RepositoryLocation::Remote(url) => {
            remote::check(url).err().map(|reason| format!("{url} cannot be opened: {reason}"))
        }
    };
    password.into_iter().chain(repository).collect()
}

fn directory_warning(path: &Path) -> Option<String> {
    match std::fs::read_dir(path) {
        Ok(_) => None,
        Err(error) => Some(format!("the repository {} cannot be read: {error}", path.display())),
    }
}
