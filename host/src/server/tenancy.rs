//! Tenants that come and go with the configuration, and the sources of their models.

use std::path::PathBuf;
use std::sync::Arc;

use crate::blocking;
use crate::config::{Config, KeyMarker, Tenancy, TenancyWatch, WatchedConfig};
use crate::deferred::TaskRunner;
use crate::lifecycle::Manager;
use crate::repository::remote::RemoteMetrics;
use crate::repository::{DirectoryError, FolderClaims, Runtimes, Source};
use crate::telemetry::Telemetry;
use crate::tenant::{Slots, Tenant, TenantChanges, Tenants, Workers};

/// The parts that every source of models is built from.
pub(super) struct SourceFactory {
    config: Config,
    runtimes: Runtimes,
    workers: Workers,
    metrics: RemoteMetrics,
    claims: Arc<FolderClaims>,
}

impl SourceFactory {
    /// Claims the folders of the host and of the tenants' present repositories.
    pub(super) fn new(
        config: &Config,
        watched: &WatchedConfig,
        tenants: &Tenants,
        runtimes: Runtimes,
        workers: Workers,
        telemetry: &Telemetry,
    ) -> Self {
        SourceFactory {
            config: config.clone(),
            runtimes,
            workers,
            metrics: telemetry.register(RemoteMetrics::register),
            claims: Arc::new(folder_claims(config, watched, tenants)),
        }
    }

    /// Starts a source for each tenant.
    pub(super) fn spawn_all(
        &self,
        tenants: &Tenants,
    ) -> Result<Vec<(Arc<Tenant>, Source)>, DirectoryError> {
        let start = |tenant: Arc<Tenant>| self.spawn(&tenant).map(|source| (tenant, source));
        tenants.all().into_iter().map(start).collect()
    }

    fn spawn(&self, tenant: &Arc<Tenant>) -> Result<Source, DirectoryError> {
        Source::spawn(
            tenant,
            self.config.source(tenant),
            &self.runtimes,
            &self.workers,
            &self.metrics,
            &self.claims,
        )
    }
}

/// The name of the state directory in messages.
pub(super) const STATE_DIRECTORY: &str = "state directory";

/// The folder of the operator's runtimes, with its name in messages. A tenant that could write
/// there would decide what serves the model files of all.
pub(super) fn runtimes_folder(config: &Config) -> (&'static str, PathBuf) {
    ("folder of runtimes", config.runtimes.dir.clone())
}

/// The directories that no repository may overlap, with the present repositories of all tenants.
fn folder_claims(config: &Config, watched: &WatchedConfig, tenants: &Tenants) -> FolderClaims {
    let own = [(STATE_DIRECTORY, config.state.clone()), runtimes_folder(config)];
    let own = own.into_iter().chain(watched.paths());
    let claims = FolderClaims::new(own.collect());

    for tenant in tenants.all() {
        if let Some(path) = tenant.settings().repository.directory() {
            claims.reserve(tenant.name(), path);
        }
    }
    claims
}

/// Applies the tenants' configuration whenever it changes.
pub(super) struct TenancyUpdater {
    pub(super) watch: TenancyWatch,
    pub(super) sources: SourceFactory,
    pub(super) tenants: Tenants,
    pub(super) slots: Arc<Slots>,
    pub(super) manager: Manager,
    pub(super) tasks: TaskRunner,
}

impl TenancyUpdater {
    /// Applies changes, without end.
    pub(super) async fn run(mut self) {
        loop {
            let tenancy = self.watch.next().await;
            record_keys_required(&self.sources.config, tenancy.requires_keys()).await;
            self.apply(tenancy).await;
        }
    }

    async fn apply(&self, tenancy: Tenancy) {
        let max_connections = self.sources.config.http.max_connections;
        let Tenancy { tenants: settings, keys } = tenancy.sharing(max_connections);
        let TenantChanges { added_or_moved, removed } = self.tenants.apply(settings, keys);
        self.slots.divide(&self.tenants.all());

        for tenant in removed {
            tracing::info!(tenant = %tenant.name(), "tenant removed");
            self.manager.remove_tenant(tenant.name().clone()).await;
            self.tasks.forget_tenant(tenant.name());
        }

        for tenant in added_or_moved {
            tracing::info!(tenant = %tenant.name(), "tenant added, or its repository changed");
            match self.sources.spawn(&tenant) {
                Ok(source) => self.manager.add_tenant(tenant, source).await,
                Err(error) => {
                    tracing::error!(tenant = %tenant.name(), %error, "cannot serve this tenant's models")
                }
            }
        }
    }
}

/// Records in the state directory whether keys are configured, for the next start.
async fn record_keys_required(config: &Config, keys_required: bool) {
    let marker = KeyMarker::new(&config.state);
    let recorded = blocking::run(move || marker.set(keys_required)).await;
    if let Ok(Err(error)) = recorded {
        tracing::error!(%error, "cannot record in the state directory whether keys are configured");
    }
}
