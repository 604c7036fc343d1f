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

use super::source::Glance;
use super::sources::Sources;
use super::{Config, Tenancy, check};
use crate::tenant::TenancyFaults;

/// Files of a resolved configuration, for a [`TenancyWatch`].
pub struct Watched {
    pub(super) sources: Sources,
    pub(super) start: Config,
}

impl Watched {
    /// Returns the files and folders, each with a description.
    pub fn places(&self) -> [(&'static str, PathBuf); 2] {
        self.sources.places()
    }
}

/// Watches the configuration files for changes of the tenancy.
pub struct TenancyWatch {
    news: watch::Receiver<Tenancy>,
    faults: TenancyFaults,
    task: JoinHandle<()>,
}

impl TenancyWatch {
    /// Starts watching. SIGHUP then rereads the files and no longer ends the process. Must be
    /// called within a tokio runtime.
    pub fn start(watched: Watched) -> Self {
        let hangup = signal(SignalKind::hangup());
        let hangup =
            hangup.inspect_err(|error| tracing::error!(%error, "cannot listen for SIGHUP")).ok();
        let (announce, news) = watch::channel(watched.start.tenancy.clone());
        let faults = TenancyFaults::default();
        let watching = Watching::new(watched, announce, faults.clone());

        TenancyWatch { news, faults, task: tokio::spawn(run(watching, hangup)) }
    }

    /// Waits for a change and returns the tenancy in force. Cancel-safe.
    pub async fn next(&mut self) -> Tenancy {
        if self.news.changed().await.is_err() {
            return std::future::pending().await;
        }
        self.news.borrow_and_update().clone()
    }

    /// Returns the current faults, for status reports.
    pub fn faults(&self) -> TenancyFaults {
        self.faults.clone()
    }
}

impl Drop for TenancyWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mut watching: Watching, mut hangup: Option<Signal>) {
    let mut again = Instant::now();
    loop {
        let at_once = tokio::select! {
            () = tokio::time::sleep_until(again.into()) => false,
            () = heard(&mut hangup) => true,
        };
        // Files may be slow on a network.
        let looked = spawn_blocking(move || (watching.step(at_once), watching)).await;
        let Ok((next, back)) = looked else {
            return tracing::error!(
                "the configuration is watched no more; restart to apply changes"
            );
        };

        (again, watching) = (next, back);
    }
}

async fn heard(hangup: &mut Option<Signal>) {
    match hangup {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }

    tracing::info!("SIGHUP: reading the configuration");
}

/// State of the watch task.
pub(super) struct Watching {
    sources: Sources,
    start: Config,
    announce: watch::Sender<Tenancy>,
    faults: TenancyFaults,
    conflicts: Vec<String>,
    trouble: Option<String>,
    /// Changed settings that need a restart, as logged last.
    waiting: Vec<&'static str>,
}

impl Watching {
    pub(super) fn new(
        Watched { sources, start }: Watched,
        announce: watch::Sender<Tenancy>,
        faults: TenancyFaults,
    ) -> Self {
        Watching {
            sources,
            start,
            announce,
            faults,
            conflicts: Vec::new(),
            trouble: None,
            waiting: Vec::new(),
        }
    }

    /// Polls the files and applies changes. Returns the time of the next poll.
    pub(super) fn step(&mut self, at_once: bool) -> Instant {
        let now = Instant::now();
        let settle = self.start.repository.settle;

        if at_once {
            self.sources.doubt();
        }

        let changed = self
            .sources
            .look(Glance { now, settle: if at_once { Duration::ZERO } else { settle } });

        self.tell();

        if changed || at_once {
            self.apply();
        }

        self.faults.set([self.sources.faults(), self.conflicts.clone()].concat());

        let poll = now + self.start.repository.poll_interval;
        self.sources.due(settle).map_or(poll, |due| due.min(poll))
    }

    fn tell(&mut self) {
        for fault in self.sources.take_news() {
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
        conflicts.extend(check::exposed(&running).filter(|exposed| !conflicts.contains(exposed)));

        if conflicts.is_empty() && self.announce.borrow().asks_for_keys() {
            conflicts.extend(check::unlocked(config));
        }

        conflicts
    }

    fn warn_of_restart(&mut self, config: &Config) {
        let waiting = differences(&self.start, config);
        if !waiting.is_empty() && waiting != self.waiting {
            tracing::warn!("restart to apply what has changed in {}", waiting.join(", "));
        }

        self.waiting = waiting;
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
fn differences(one: &Config, other: &Config) -> Vec<&'static str> {
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
