//! Remote repositories: a bucket, a container, a folder on a web server.
//!
//! An object store is slow, fails, sends no events, and its objects may change between two reads. The
//! directory source expects none of that. It scans a *mirror*: a directory in the state directory that
//! a background task keeps up to date. So files become candidates in one way only, and a host starts
//! with the mirrored versions even if the store is down.
//!
//! A refresh ([`task`]) is a sequence of steps. `listing` lists the objects, and `answer` has checked
//! that the store's response is a listing at all. `hold` decides if the listing is accepted and `plan`
//! which objects to fetch or remove (both are pure). `fetch` downloads changed objects and `disk`
//! moves them into the mirror. `record` keeps the ETag of each mirrored object, so an unchanged object
//! is not fetched again, even after a restart. Files that belong together ([`unit`]) appear together:
//! a version's folder is assembled in a staging directory and then exchanged with the present one.
//!
//! After any failure the mirror stays as it is: a failed listing changes nothing, a version with an
//! object that cannot be fetched is not updated, a model's old versions stay until one of its new
//! versions is mirrored, and a listing that has lost most versions must be confirmed by a second one.
//! The tenant's repository is then degraded, with the reason, and the task tries again: soon at first,
//! then at the refresh interval.

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

/// Settings of a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteConfig {
    /// URL of the repository.
    pub url: Url,
    /// Time between two refreshes.
    pub refresh: Duration,
    /// Private folder of this mirror.
    pub folder: PathBuf,
}

impl RemoteConfig {
    /// Settings of the mirror of `url`, in a subfolder of the tenant's `folder`.
    pub fn new(url: Url, refresh: Duration, folder: &Path) -> Self {
        // Each URL has its own mirror: the content of one says nothing about another.
        let name: String =
            Digest::of(url.as_str().as_bytes()).to_string().chars().take(16).collect();
        RemoteConfig { folder: folder.join(name), url, refresh }
    }

    /// Returns the directory to scan. It does not exist until the first refresh has succeeded.
    pub fn root(&self) -> PathBuf {
        disk::root(&self.folder)
    }
}

/// Checks that a URL and the environment describe a store, without connecting. Fails with the
/// missing settings.
pub fn check(url: &Url) -> Result<(), String> {
    location::Location::open(url).map(drop)
}

/// A mirror and the task that refreshes it. Dropping it stops the task; the files stay.
pub(super) struct Mirror {
    asked: Arc<Asked>,
    status: watch::Receiver<Status>,
    task: AbortHandle,
}

/// State of a mirror.
#[derive(Clone, Default)]
struct Status {
    /// Number of refreshes requested before the last one began.
    answered: u64,
    /// The reason why the mirror differs from the repository; `None` if it does not.
    trouble: Option<String>,
}

/// Requested refreshes.
#[derive(Default)]
struct Asked {
    count: AtomicU64,
    bell: Notify,
}

impl Mirror {
    /// Starts the refresh task, which requests a rescan of `directory` after each refresh. Must be
    /// called within a tokio runtime.
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

    /// The reason why the mirror differs from the repository, if it does.
    pub(super) fn trouble(&self) -> Option<String> {
        self.status.borrow().trouble.clone()
    }

    /// Waits for a refresh that begins after this call. Returns the reason if it failed.
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
        // Requests that arrive during a refresh are served together by the next one.
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
