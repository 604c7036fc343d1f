//! Repositories that are no directories: a bucket, a container, a folder on a web server.
//!
//! A store is asked over the network: it is slow, it fails, it tells nobody when something has
//! changed, and what is read from it piece by piece may have changed in between. The directory
//! source expects none of that, and need not: what it looks at is a *mirror*, a directory in the
//! state directory that a task of its own keeps up to date. So there is one way in which files
//! become candidates, and a host starts with what it had although the store is down.
//!
//! A refresh is a straight line ([`task`]): `listing` says what there is, for which `answer` has
//! checked that the store answered with a listing at all, `hold` whether that is believed, `plan`
//! what to do about it (both pure), `fetch` gets what has changed, and `disk` puts it into its
//! place. What is fetched is told by its ETag, which `record` keeps, so nothing that has not
//! changed is fetched again, also after a restart. What belongs together ([`unit`]) appears
//! together: a version's folder is put together where nobody looks, and then changes places with
//! the one before.
//!
//! Whatever goes wrong, what is mirrored stays: a listing that fails changes nothing, an object
//! that cannot be fetched keeps its version as it was, a model's old versions are there until one
//! of the new ones is, and a listing that has lost most of what was there must be seen twice. The
//! tenant's repository is then degraded, with the reason, and the task tries again: soon at first,
//! then as often as it refreshes.

mod answer;
mod credentials;
mod disk;
mod fetch;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod hold;
mod listing;
mod location;
mod metrics;
mod plan;
mod record;
mod task;
mod unit;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use url::Url;

pub use self::metrics::RemoteMetrics;
use self::task::{Outcome, Refresher};
use super::{Directory, Stopped};
use crate::model::Digest;
use crate::tenant::Tenant;

/// What a mirror needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteConfig {
    /// Where the repository is.
    pub url: Url,
    /// How often to look whether it has changed.
    pub refresh: Duration,
    /// A folder of this mirror's own.
    pub folder: PathBuf,
}

impl RemoteConfig {
    /// The mirror of a URL, among those of one tenant in `folder`.
    pub fn new(url: Url, refresh: Duration, folder: &Path) -> Self {
        // Another place is another mirror: what one holds says nothing of the other.
        let name: String =
            Digest::of(url.as_str().as_bytes()).to_string().chars().take(16).collect();
        RemoteConfig { folder: folder.join(name), url, refresh }
    }

    /// What a directory source is to look at. It is missing until the first refresh is through.
    pub fn root(&self) -> PathBuf {
        disk::root(&self.folder)
    }
}

/// Finds out whether a URL and the environment name a store. Talks to nobody. Fails with what is
/// missing.
pub fn check(url: &Url) -> Result<(), String> {
    location::Location::open(url).map(drop)
}

/// A mirror that is kept up to date. Dropping it stops that; what is mirrored stays.
pub(super) struct Mirror {
    asked: Arc<Asked>,
    status: watch::Receiver<Status>,
    task: AbortHandle,
}

/// What there is to say of a mirror.
#[derive(Clone, Default)]
struct Status {
    /// How many refreshes had been asked for before the last one began.
    answered: u64,
    /// Why it does not hold what the repository does, if so.
    trouble: Option<String>,
}

/// Asks for refreshes.
#[derive(Default)]
struct Asked {
    count: AtomicU64,
    bell: Notify,
}

impl Mirror {
    /// Starts the task that keeps it up to date, which pokes `directory` when something has
    /// changed. Must be called within a tokio runtime.
    pub(super) fn start(
        tenant: Arc<Tenant>,
        config: RemoteConfig,
        directory: Arc<Directory>,
        metrics: &RemoteMetrics,
    ) -> Self {
        let asked = Arc::<Asked>::default();
        let trouble = Some(format!("the repository {} has not been read yet", config.url));
        let (announce, status) = watch::channel(Status { answered: 0, trouble });
        let metrics = metrics.of(tenant.name());
        let refresher = Refresher::new(tenant.clone(), config, metrics);
        let task =
            tokio::spawn(run(refresher, tenant, directory, asked.clone(), announce)).abort_handle();
        Mirror { asked, status, task }
    }

    /// Why it does not hold what the repository does, if so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.status.borrow().trouble.clone()
    }

    /// Waits for a refresh that began after this call. Gives why it did not go well, if so.
    pub(super) async fn refresh(&self) -> Result<Option<String>, Stopped> {
        let number = self.asked.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.asked.bell.notify_one();
        let mut status = self.status.clone();
        let answer = status.wait_for(|status| status.answered >= number).await;
        answer.map(|status| status.trouble.clone()).map_err(|_| Stopped)
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    mut refresher: Refresher,
    tenant: Arc<Tenant>,
    directory: Arc<Directory>,
    asked: Arc<Asked>,
    announce: watch::Sender<Status>,
) {
    loop {
        let answered = asked.count.load(Ordering::SeqCst);
        let Outcome { trouble, again } = refresher.refresh().await;
        directory.poke();
        tell(&tenant, announce.borrow().trouble.as_deref(), trouble.as_deref());
        announce.send_replace(Status { answered, trouble });
        // Also what was asked for while this refresh went on rings, once.
        let _ = tokio::time::timeout(again, asked.bell.notified()).await;
    }
}

fn tell(tenant: &Tenant, before: Option<&str>, now: Option<&str>) {
    match (before, now) {
        (before, Some(reason)) if before != now => {
            tracing::warn!(tenant = %tenant.name(), reason, "repository is degraded; what serves keeps serving");
        }
        (Some(_), None) => {
            tracing::info!(tenant = %tenant.name(), "repository is mirrored as it is")
        }
        _ => {}
    }
}
