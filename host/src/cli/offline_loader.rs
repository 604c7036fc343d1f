//! Loads models without serving them, for `check` and `inspect`.
//!
//! The repository is scanned and the models are loaded with the server's own code, so that the
//! result is the server's.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use tempfile::TempDir;

use super::logging;
use super::progress::Progress;
use super::value_parsers::parse_tenant_name;
use crate::config::{Config, Overrides, Tenancy};
use crate::lifecycle::EngineLoader;
use crate::model::{LoadError, Stage, TenantName, nearest};
use crate::repository::{
    AspiredVersions, Candidate, Directory, RuntimeCatalog, RuntimeFolder, Runtimes, WatchMode,
};
use crate::server::{Storage, build_loader};
use crate::telemetry::Telemetry;
use crate::tenant::{Tenant, TenantSettings, Tenants};

/// Arguments for the limits that apply and for the place of artifacts.
#[derive(Args)]
pub(super) struct HostArgs {
    /// Configuration of the host whose limits apply [default: wardian.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Tenant whose limits, grants and quotas apply [default: the only tenant that is configured]
    #[arg(long, value_name = "NAME", value_parser = parse_tenant_name)]
    tenant: Option<TenantName>,
    /// Directory for compiled models; the state of a running server is refused [default: a
    /// temporary directory]
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,
}

/// Loads models of one tenant without serving them.
pub(super) struct OfflineLoader {
    config: Config,
    runtimes: Runtimes,
    loader: EngineLoader,
    tenant: Arc<Tenant>,
    /// The tenant has a database, in which a check must not run statements.
    has_shared_database: bool,
    progress: Progress,
    /// Version numbers are always stored here, since a check must not count for the server.
    /// Artifacts are stored here unless `--state` names a directory.
    scratch: TempDir,
}

/// The longest wait for files to stop changing.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

impl OfflineLoader {
    /// Builds the loader from the configuration.
    pub(super) fn new(args: HostArgs, progress: Progress) -> Result<Self> {
        logging::install_interactive();
        let scratch = tempfile::Builder::new()
            .prefix("wardian-")
            .tempdir()
            .context("cannot make a temporary directory")?;

        let state = args.state.unwrap_or_else(|| scratch.path().join("state"));
        let overrides =
            Overrides { config: args.config, state: Some(state), ..Overrides::default() };

        let config = Config::resolve(overrides).context("the configuration is not usable")?;

        let (name, settings) = select_tenant(&config.tenancy, args.tenant)?;
        let keeps_database = settings.database.is_some();
        // Without the setting, no model can reach the database.
        let tenant = Tenant::new(name, TenantSettings { database: None, ..settings });

        let program = std::env::current_exe().context("cannot find this program's own file")?;

        // The databases lie apart from the server's, so that nothing is left in them. Validation
        // leaves no deferred tasks, so no task chain is run.
        let telemetry = Telemetry::default();
        let storage = Storage::build(&config, &scratch.path().join("state"), &telemetry)?;
        // Artifacts are not collected here, so no tenant needs to be listed.
        let tenants = Tenants::default();
        let loader = build_loader(&config, program, &storage, &tenants, &telemetry)?;
        Ok(OfflineLoader {
            runtimes: RuntimeFolder::read(&config.runtimes.dir).runtimes().clone(),
            config,
            loader,
            tenant,
            has_shared_database: keeps_database,
            progress,
            scratch,
        })
    }

    /// True if this candidate can be validated. One with SQL cannot if its tenant has a database:
    /// statements hold locks and use up sequence numbers there even if they are rolled back.
    pub(super) fn can_validate(&self, candidate: &Candidate) -> bool {
        !(self.has_shared_database && candidate.settings.capabilities.sql)
    }

    /// The runtimes of model files: the embedded ones and the operator's.
    pub(super) fn runtimes(&self) -> Arc<RuntimeCatalog> {
        self.runtimes.catalog()
    }

    /// Creates an empty directory for a repository, which is removed on drop.
    pub(super) fn empty_repository(&self) -> Result<PathBuf> {
        let root = self.scratch.path().join("models");
        std::fs::create_dir(&root).with_context(|| format!("cannot create {}", root.display()))?;
        Ok(root)
    }

    /// Scans a repository until its files have stopped changing, for a minute at most.
    pub(super) async fn scan(&self, root: &Path) -> Result<Arc<AspiredVersions>> {
        self.progress.step("reading files");
        let mut config = self.config.directory_config(&self.tenant, root.to_owned());
        config.state = self.scratch.path().join("numbers");
        config.watch = WatchMode::Poll;

        let directory = Directory::spawn(config, &self.runtimes)?;
        let mut announced = directory.subscribe();

        let done = |aspired: &Arc<AspiredVersions>| {
            aspired.degraded.is_some() || aspired.first_settled && aspired.is_settled()
        };
        // The newest announcement counts, after a timeout too.
        let _ = tokio::time::timeout(SETTLE_TIMEOUT, announced.wait_for(done)).await;
        let aspired = announced.borrow().clone();

        match &aspired.degraded {
            Some(why) => bail!("{}", why.detail),
            None => Ok(aspired),
        }
    }

    /// Loads a candidate with `how`, which may validate it too, and shows the stages as progress.
    pub(super) async fn load<T>(
        &self,
        candidate: &Candidate,
        how: impl AsyncFnOnce(
            &EngineLoader,
            &Arc<Tenant>,
            &(dyn Fn(Stage) + Send + Sync),
        ) -> Result<T, LoadError>,
    ) -> Result<T, LoadError> {
        let progress = |stage: Stage| {
            self.progress
                .step(&format!("{} version {}: {stage}", candidate.name, candidate.version))
        };
        how(&self.loader, &self.tenant, &progress).await
    }

    /// Removes the display of progress.
    pub(super) fn finish_progress(&self) {
        self.progress.finish();
    }
}

/// Returns the named tenant, or the only one, with its settings.
fn select_tenant(
    tenancy: &Tenancy,
    named: Option<TenantName>,
) -> Result<(TenantName, TenantSettings)> {
    let names: Vec<_> = tenancy.tenants.keys().map(|name| format!("'{name}'")).collect();

    let names = names.join(", ");
    let mut tenants = tenancy.tenants.iter();
    let found = match (&named, tenants.len()) {
        (Some(name), _) => {
            let found = tenants.find(|(known, _)| *known == name);
            found.ok_or_else(|| {
                let near = nearest(name.as_str(), tenancy.tenants.keys().map(TenantName::as_str));
                let meant = near
                    .first()
                    .map(|near| format!("; did you mean '{near}'?"))
                    .unwrap_or_default();
                anyhow!(
                    "there is no tenant '{name}' in the configuration, which has {names}{meant}"
                )
            })
        }
        (None, 1) => tenants.next().context("there is no tenant"),
        (None, _) => Err(anyhow!(
            "the configuration has the tenants {names}; say with --tenant whose models these are"
        )),
    };

    found.map(|(name, settings)| (name.clone(), settings.clone()))
}

/// Runs the asynchronous part of a command.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;

    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}
