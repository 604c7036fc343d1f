//! Loading models without serving them: what `check` and `inspect` share.
//!
//! A trial looks at a directory with the repository's own eyes and loads with the server's own
//! loader, so that what it finds is what the server would find.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use tempfile::TempDir;

use super::key::tenant_name;
use super::logging;
use super::progress::Progress;
use crate::config::{Config, Overrides, Tenancy};
use crate::lifecycle::EngineLoader;
use crate::model::{LoadError, Stage, TenantName, nearest};
use crate::repository::{AspiredVersions, Candidate, Directory, WatchMode};
use crate::server::{build_loader, build_session_parts, build_stores, databases};
use crate::telemetry::Telemetry;
use crate::tenant::{Tenant, TenantSettings};

/// Whose limits apply, and where artifacts go.
#[derive(Args)]
pub(super) struct HostArgs {
    /// The configuration of the host whose limits apply [default: wardian.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose limits, grants and quotas apply [default: the only tenant that is configured]
    #[arg(long, value_name = "NAME", value_parser = tenant_name)]
    tenant: Option<TenantName>,
    /// Where to keep compiled models for the next time; the state of a server that is running is
    /// refused [default: a temporary directory]
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,
}

/// The means to load models without serving them.
pub(super) struct OfflineLoader {
    config: Config,
    loader: EngineLoader,
    tenant: Arc<Tenant>,
    /// Its database is one that is not for trying things out in.
    has_shared_database: bool,
    progress: Progress,
    /// Version numbers go here and nowhere else: a check must not count for the server. Artifacts
    /// too, unless they are to be kept.
    scratch: TempDir,
}

/// How long files may go on changing before a look at them is given up.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

impl OfflineLoader {
    /// Gets ready to load.
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
        // Without the database, nothing here can reach it.
        let tenant = Tenant::new(name, TenantSettings { database: None, ..settings });
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        // Not the server's own: what is tried must leave nothing in a tenant's database.
        let apart = Config { state: scratch.path().join("state"), ..config.clone() };
        let (telemetry, stores) = (Telemetry::default(), build_stores(&config));
        let databases = databases(&apart, &telemetry)?;
        // What is tried leaves no tasks, so nothing comes out.
        let (sequences, _chains) = build_session_parts(&stores, &telemetry);
        let loader = build_loader(&config, program, &telemetry, stores, databases, sequences)?;
        Ok(OfflineLoader {
            config,
            loader,
            tenant,
            has_shared_database: keeps_database,
            progress,
            scratch,
        })
    }

    /// Whether this candidate can show that it works. One that would show it in a database which
    /// others use cannot: what is undone there has held locks and used up numbers all the same.
    pub(super) fn can_validate(&self, candidate: &Candidate) -> bool {
        !(self.has_shared_database && candidate.settings.capabilities.sql)
    }

    /// An empty directory to lay a repository out in. It goes when the trial goes.
    pub(super) fn empty_repository(&self) -> Result<PathBuf> {
        let root = self.scratch.path().join("models");
        std::fs::create_dir(&root).with_context(|| format!("cannot create {}", root.display()))?;
        Ok(root)
    }

    /// Looks at a repository until nothing in it changes any more, or for as long as is reasonable.
    pub(super) async fn scan(&self, root: &Path) -> Result<Arc<AspiredVersions>> {
        self.progress.step("reading files");
        let mut config = self.config.directory_config(&self.tenant, root.to_owned());
        config.state = self.scratch.path().join("numbers");
        config.watch = WatchMode::Poll;
        let directory = Directory::spawn(config)?;
        let mut announced = directory.subscribe();
        let done = |aspired: &Arc<AspiredVersions>| {
            aspired.degraded.is_some() || aspired.first_settled && aspired.is_settled()
        };
        // In either case the newest announcement is the one to go by.
        let _ = tokio::time::timeout(SETTLE_TIMEOUT, announced.wait_for(done)).await;
        let aspired = announced.borrow().clone();
        match &aspired.degraded {
            Some(why) => bail!("{}", why.detail),
            None => Ok(aspired),
        }
    }

    /// Does everything to a candidate that comes before its proof, or that too.
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

    /// Takes the display of progress away.
    pub(super) fn finish_progress(&self) {
        self.progress.finish();
    }
}

/// The tenant that was named, or the only one there is, with what is in force for it.
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

/// Runs a command's asynchronous part.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}
