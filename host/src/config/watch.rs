//! Applies changes of tenants, keys and quotas while the server runs.
//!
//! One task polls the files every `poll_interval`, and at once after SIGHUP. A change counts once
//! the file has settled. A faulty file is rejected as a whole, and its previous content stays in
//! force. If valid files conflict, nothing changes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::files::ConfigFiles;
use super::watched_file::Observation;
use super::{Config, Tenancy, consistency};
use crate::tenant::TenantConfigFaults;

/// Files of a resolved configuration, for a [`TenancyWatch`].
pub struct WatchedConfig {
    pub(super) sources: ConfigFiles,
    pub(super) start: Config,
}

impl WatchedConfig {
    /// Returns the files and folders, each with a description.
    pub fn paths(&self) -> [(&'static str, PathBuf); 2] {
        self.sources.paths()
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
        let (announce, news) = watch::channel(watched.start.tenancy.clone());
        let faults = TenantConfigFaults::default();
        let watching = TenancyWatcher::new(watched, announce, faults.clone());

        TenancyWatch { updates: news, faults, task: tokio::spawn(run(watching, hangup)) }
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

async fn run(mut watching: TenancyWatcher, mut hangup: Option<Signal>) {
    let mut again = Instant::now();
    loop {
        let at_once = tokio::select! {
            () = tokio::time::sleep_until(again.into()) => false,
            () = hangup_received(&mut hangup) => true,
        };
        // Files may be slow on a network.
        let looked = spawn_blocking(move || (watching.poll(at_once), watching)).await;
        let Ok((next, back)) = looked else {
            return tracing::error!(
                "the configuration is watched no more; restart to apply changes"
            );
        };

        (again, watching) = (next, back);
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
    sources: ConfigFiles,
    start: Config,
    announce: watch::Sender<Tenancy>,
    faults: TenantConfigFaults,
    conflicts: Vec<String>,
    trouble: Option<String>,
    /// Changed settings that need a restart, as logged last.
    pending_restart: Vec<&'static str>,
}

impl TenancyWatcher {
    pub(super) fn new(
        WatchedConfig { sources, start }: WatchedConfig,
        announce: watch::Sender<Tenancy>,
        faults: TenantConfigFaults,
    ) -> Self {
        TenancyWatcher {
            sources,
            start,
            announce,
            faults,
            conflicts: Vec::new(),
            trouble: None,
            pending_restart: Vec::new(),
        }
    }

    /// Polls the files and applies changes. Returns the time of the next poll.
    pub(super) fn poll(&mut self, at_once: bool) -> Instant {
        let now = Instant::now();
        let settle = self.start.repository.settle;

        if at_once {
            self.sources.invalidate();
        }

        let changed = self
            .sources
            .observe(Observation { now, settle: if at_once { Duration::ZERO } else { settle } });

        self.log_faults();

        if changed || at_once {
            self.apply();
        }

        self.faults.set([self.sources.faults(), self.conflicts.clone()].concat());

        let poll = now + self.start.repository.poll_interval;
        self.sources.due(settle).map_or(poll, |due| due.min(poll))
    }

    fn log_faults(&mut self) {
        for fault in self.sources.take_unreported() {
            tracing::error!(fault, "refused, and what it said before stays in force");
        }

        let trouble = self.sources.trouble().map(str::to_owned);
        if self.trouble != trouble {
            match &trouble {
                Some(trouble) => tracing::error!("{trouble}"),
                None => tracing::info!("the tenants' files are there again"),
            }

            self.trouble = trouble;
        }
    }

    fn apply(&mut self) {
        let (config, conflicts) = self.sources.merge();
        self.conflicts = self.conflicts(&config, conflicts);

        for conflict in &self.conflicts {
            tracing::error!(conflict, "refused, and nothing changes");
        }

        if self.conflicts.is_empty() {
            self.sources.accept();
            self.warn_of_restart(&config);
            self.announce(config.tenancy);
        }
    }

    /// The listen address only changes at a restart, so both the running and the new configuration
    /// must be safe.
    fn conflicts(&self, config: &Config, mut conflicts: Vec<String>) -> Vec<String> {
        let running = Config { tenancy: config.tenancy.clone(), ..self.start.clone() };
        conflicts.extend(
            consistency::exposed_without_keys(&running)
                .filter(|exposed| !conflicts.contains(exposed)),
        );

        if conflicts.is_empty() && self.announce.borrow().requires_keys() {
            conflicts.extend(consistency::lost_keys(config));
        }

        conflicts
    }

    fn warn_of_restart(&mut self, config: &Config) {
        let waiting = changed_at_restart(&self.start, config);
        if !waiting.is_empty() && waiting != self.pending_restart {
            tracing::warn!("restart to apply what has changed in {}", waiting.join(", "));
        }

        self.pending_restart = waiting;
    }

    fn announce(&self, tenancy: Tenancy) {
        self.announce.send_if_modified(|in_force| {
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
        insecure,
        state,
        drain_timeout,
        ready_timeout,
        default_model,
        repository,
        log,
        http,
        egress,
        engine,
        database,
        compile,
        data,
        tenancy: _,
    } = one;
    // Repositories belong to the tenancy.
    let (models, refresh) = (repository.models.clone(), repository.refresh);
    let watching = super::RepositoryConfig { models, refresh, ..other.repository.clone() };

    [
        ("listen", *listen != other.listen),
        ("insecure", *insecure != other.insecure),
        ("state", *state != other.state),
        ("drain_timeout", *drain_timeout != other.drain_timeout),
        ("ready_timeout", *ready_timeout != other.ready_timeout),
        ("default_model", *default_model != other.default_model),
        ("watch, poll_interval, rescan_interval, settle or max_versions", *repository != watching),
        ("log", *log != other.log),
        ("http", *http != other.http),
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
