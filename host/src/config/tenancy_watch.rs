//! Applies changes of tenants, keys and quotas while the server runs.
//!
//! One task polls the files every `poll_interval`, and at once after SIGHUP. A change counts once
//! the file has settled. A faulty file is rejected as a whole, and its previous content stays in
//! force. If valid files conflict, nothing changes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::files::ConfigFiles;
use super::watched_file::Observation;
use super::{Config, Tenancy, setting_conflicts};
use crate::blocking;
use crate::tenant::TenantConfigFaults;

/// Files of a resolved configuration, for a [`TenancyWatch`].
pub struct WatchedConfig {
    pub(super) files: ConfigFiles,
    pub(super) start: Config,
}

impl WatchedConfig {
    /// Returns the files and folders, each with a description.
    pub fn paths(&self) -> [(&'static str, PathBuf); 2] {
        self.files.paths()
    }
}

/// Watches the configuration files for changes of the tenancy.
pub struct TenancyWatch {
    updates: watch::Receiver<Tenancy>,
    faults: TenantConfigFaults,
    task: JoinHandle<()>,
}

impl TenancyWatch {
    /// Starts watching. SIGHUP then rereads the files and no longer ends the process. Must be
    /// called within a tokio runtime.
    pub fn start(watched: WatchedConfig) -> Self {
        let hangup = signal(SignalKind::hangup());
        let hangup =
            hangup.inspect_err(|error| tracing::error!(%error, "cannot listen for SIGHUP")).ok();
        let (sender, updates) = watch::channel(watched.start.tenancy.clone());
        let faults = TenantConfigFaults::default();
        let watcher = TenancyWatcher::new(watched, sender, faults.clone());

        TenancyWatch { updates, faults, task: tokio::spawn(run(watcher, hangup)) }
    }

    /// Waits for a change and returns the tenancy in force. Cancel-safe.
    pub async fn next(&mut self) -> Tenancy {
        if self.updates.changed().await.is_err() {
            return std::future::pending().await;
        }
        self.updates.borrow_and_update().clone()
    }

    /// Returns the current faults, for status reports.
    pub fn faults(&self) -> TenantConfigFaults {
        self.faults.clone()
    }
}

impl Drop for TenancyWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mut watcher: TenancyWatcher, mut hangup: Option<Signal>) {
    let mut again = Instant::now();
    loop {
        let at_once = tokio::select! {
            () = tokio::time::sleep_until(again.into()) => false,
            () = hangup_received(&mut hangup) => true,
        };
        // Files may be slow on a network.
        let polled = blocking::run(move || (watcher.poll(at_once), watcher)).await;
        let Ok((next, back)) = polled else {
            return tracing::error!(
                "the configuration is watched no more; restart to apply changes"
            );
        };

        (again, watcher) = (next, back);
    }
}

async fn hangup_received(hangup: &mut Option<Signal>) {
    match hangup {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }

    tracing::info!("SIGHUP: reading the configuration");
}

/// State of the watch task.
pub(super) struct TenancyWatcher {
    files: ConfigFiles,
    start: Config,
    sender: watch::Sender<Tenancy>,
    faults: TenantConfigFaults,
    conflicts: Vec<String>,
    folder_fault: Option<String>,
    /// Changed settings that need a restart, as logged last.
    pending_restart: Vec<&'static str>,
}

impl TenancyWatcher {
    pub(super) fn new(
        WatchedConfig { files, start }: WatchedConfig,
        sender: watch::Sender<Tenancy>,
        faults: TenantConfigFaults,
    ) -> Self {
        TenancyWatcher {
            files,
            start,
            sender,
            faults,
            conflicts: Vec::new(),
            folder_fault: None,
            pending_restart: Vec::new(),
        }
    }

    /// Polls the files and applies changes. Returns the time of the next poll.
    pub(super) fn poll(&mut self, at_once: bool) -> Instant {
        let now = Instant::now();
        let settle = self.start.repository.settle;

        if at_once {
            self.files.invalidate();
        }

        let changed = self
            .files
            .observe(Observation { now, settle: if at_once { Duration::ZERO } else { settle } });

        self.log_faults();

        if changed || at_once {
            self.apply();
        }

        self.faults.set([self.files.faults(), self.conflicts.clone()].concat());

        let poll = now + self.start.repository.poll_interval;
        self.files.due(settle).map_or(poll, |due| due.min(poll))
    }

    fn log_faults(&mut self) {
        for fault in self.files.take_unreported() {
            tracing::error!(fault, "refused, and what it said before stays in force");
        }

        let folder_fault = self.files.folder_fault().map(str::to_owned);
        if self.folder_fault != folder_fault {
            match &folder_fault {
                Some(folder_fault) => tracing::error!("{folder_fault}"),
                None => tracing::info!("the tenants' files are there again"),
            }

            self.folder_fault = folder_fault;
        }
    }

    fn apply(&mut self) {
        let (config, conflicts) = self.files.merge();
        self.conflicts = self.conflicts(&config, conflicts);

        for conflict in &self.conflicts {
            tracing::error!(conflict, "refused, and nothing changes");
        }

        if self.conflicts.is_empty() {
            self.files.accept();
            self.warn_of_restart(&config);
            self.announce(config.tenancy);
        }
    }

    /// The listen address only changes at a restart, so both the running and the new configuration
    /// must be safe.
    fn conflicts(&self, config: &Config, mut conflicts: Vec<String>) -> Vec<String> {
        let running = Config { tenancy: config.tenancy.clone(), ..self.start.clone() };
        conflicts.extend(
            setting_conflicts::exposed_without_keys(&running)
                .filter(|exposed| !conflicts.contains(exposed)),
        );

        if conflicts.is_empty() && self.sender.borrow().requires_keys() {
            conflicts.extend(setting_conflicts::lost_keys(config));
        }

        conflicts
    }

    fn warn_of_restart(&mut self, config: &Config) {
        let pending = changed_at_restart(&self.start, config);
        if !pending.is_empty() && pending != self.pending_restart {
            tracing::warn!("restart to apply what has changed in {}", pending.join(", "));
        }

        self.pending_restart = pending;
    }

    fn announce(&self, tenancy: Tenancy) {
        self.sender.send_if_modified(|in_force| {
            let changed = *in_force != tenancy;
            if changed {
                tracing::info!(tenants = tenancy.tenants.len(), "tenants and keys have changed");
                *in_force = tenancy;
            }

            changed
        });
    }
}

/// Returns the names of changed settings that need a restart.
fn changed_at_restart(one: &Config, other: &Config) -> Vec<&'static str> {
    // Destructured, so that no field is forgotten.
    let Config {
        listen,
        grpc_listen,
        insecure,
        state,
        drain_timeout,
        ready_timeout,
        default_model,
        repository,
        runtimes,
        log,
        http,
        cors,
        dashboard,
        egress,
        engine,
        database,
        compile,
        data,
        tenancy: _,
    } = one;
    // Repositories belong to the tenancy.
    let (models, refresh) = (repository.models.clone(), repository.refresh);
    let unchanged = super::RepositoryConfig { models, refresh, ..other.repository.clone() };

    [
        ("listen", *listen != other.listen),
        ("grpc_listen", *grpc_listen != other.grpc_listen),
        ("insecure", *insecure != other.insecure),
        ("state", *state != other.state),
        ("drain_timeout", *drain_timeout != other.drain_timeout),
        ("ready_timeout", *ready_timeout != other.ready_timeout),
        ("default_model", *default_model != other.default_model),
        (
            "watch, poll_interval, rescan_interval, settle, max_versions or prune",
            *repository != unchanged,
        ),
        ("runtimes", *runtimes != other.runtimes),
        ("log", *log != other.log),
        ("http", *http != other.http),
        ("cors", *cors != other.cors),
        ("dashboard", *dashboard != other.dashboard),
        ("egress", *egress != other.egress),
        ("engine", *engine != other.engine),
        ("database", *database != other.database),
        ("compile", *compile != other.compile),
        ("data", *data != other.data),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}
