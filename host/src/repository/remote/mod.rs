//! Remote repositories: a bucket, a container, a folder on a web server.
//!
//! An object store is slow, fails, sends no events, and its objects may change between two reads.
//! The directory source expects none of that. It scans a *mirror*: a directory in the state
//! directory that a background task keeps up to date. So files become candidates in one way only,
//! and a host starts with the mirrored versions even if the store is down.
//!
//! A refresh ([`refresh`]) is a sequence of steps. `listing` lists the objects, and `listing_check`
//! has checked that the store's response is a listing at all. `shrink_guard` decides if the listing
//! is accepted and `plan` which objects to fetch or remove (both are pure). `fetch` downloads
//! changed objects and `mirror_dir` moves them into the mirror. `mirror_record` keeps the ETag of
//! each mirrored object, so an unchanged object is not fetched again, even after a restart.
//! `mirror_state` holds both during a refresh. `prune` deletes old versions, where a model's
//! settings ask for it. Files that belong together ([`sync_unit`]) appear together: a version's
//! folder is assembled in a staging directory and then exchanged with the present one.
//!
//! After any failure the mirror stays as it is: a failed listing changes nothing, a version with an
//! object that cannot be fetched is not updated, a model's old versions stay until one of its new
//! versions is mirrored, and a listing that has lost most versions must be confirmed by a second
//! one. The tenant's repository is then degraded, with the reason, and the task tries again: soon
//! at first, then at the refresh interval.

mod credentials;
mod fetch;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod listing;
mod listing_check;
mod location;
mod metrics;
mod mirror_dir;
mod mirror_record;
mod mirror_state;
mod plan;
mod prune;
mod refresh;
mod shrink_guard;
mod sync_unit;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::task::AbortHandle;
use url::Url;

pub use self::metrics::RemoteMetrics;
use self::prune::PruneRequest;
use self::refresh::{RefreshOutcome, Refresher};
use super::{Directory, SourceStopped};
use crate::model::{Digest, ModelName, Version};
use crate::mutex::lock;
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
            Digest::sha256(url.as_str().as_bytes()).to_string().chars().take(16).collect();
        RemoteConfig { folder: folder.join(name), url, refresh }
    }

    /// Returns the directory to scan. It does not exist until the first refresh has succeeded.
    pub fn root(&self) -> PathBuf {
        mirror_dir::root(&self.folder)
    }
}

/// Checks that a URL and the environment describe a store, without connecting. Fails with the
/// missing settings.
pub fn check(url: &Url) -> Result<(), String> {
    location::StoreLocation::open(url).map(drop)
}

/// A mirror and the task that refreshes it. Dropping it stops the task; the files stay.
pub(super) struct Mirror {
    requests: Arc<RefreshRequests>,
    status: watch::Receiver<Status>,
    task: AbortHandle,
}

/// State of a mirror.
#[derive(Clone, Default)]
struct Status {
    /// Number of refreshes requested before the last one began.
    answered: u64,
    /// The reason why the mirror differs from the repository; `None` if it does not.
    degraded_reason: Option<String>,
}

/// Requested refreshes.
#[derive(Default)]
struct RefreshRequests {
    count: AtomicU64,
    /// Versions to delete with the next refresh.
    prunes: Mutex<Vec<PruneRequest>>,
    wakeup: Notify,
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
        let requests = Arc::<RefreshRequests>::default();
        let degraded_reason = Some(format!("the repository {} has not been read yet", config.url));
        let (announce, status) = watch::channel(Status { answered: 0, degraded_reason });
        let metrics = metrics.for_tenant(tenant.name());
        let refresher = Refresher::new(tenant.clone(), config, metrics);
        let task = tokio::spawn(run(refresher, tenant, directory, requests.clone(), announce))
            .abort_handle();

        Mirror { requests, status, task }
    }

    /// The reason why the mirror differs from the repository, if it does.
    pub(super) fn degraded_reason(&self) -> Option<String> {
        self.status.borrow().degraded_reason.clone()
    }

    /// Deletes versions of a model from the store and the mirror, with the next refresh. Returns
    /// those that could not be deleted, each with the reason.
    pub(super) async fn prune(
        &self,
        name: &ModelName,
        versions: Vec<Version>,
    ) -> BTreeMap<Version, String> {
        let (reply, faults) = oneshot::channel();
        lock(&self.requests.prunes).push(PruneRequest { name: name.clone(), versions, reply });
        self.requests.wakeup.notify_one();
        // The mirror has stopped, and with it everything that would want the answer.
        faults.await.unwrap_or_default()
    }

    /// Waits for a refresh that begins after this call. Returns the reason if it failed.
    pub(super) async fn refresh(&self) -> Result<Option<String>, SourceStopped> {
        let number = self.requests.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.requests.wakeup.notify_one();
        let mut status = self.status.clone();
        let answer = status.wait_for(|status| status.answered >= number).await;
        answer.map(|status| status.degraded_reason.clone()).map_err(|_| SourceStopped)
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
    requests: Arc<RefreshRequests>,
    announce: watch::Sender<Status>,
) {
    loop {
        let answered = requests.count.load(Ordering::SeqCst);
        let prunes = std::mem::take(&mut *lock(&requests.prunes));
        let RefreshOutcome { degraded_reason, retry_after: again } =
            refresher.refresh(prunes).await;
        directory.request_rescan();
        log_status(
            &tenant,
            announce.borrow().degraded_reason.as_deref(),
            degraded_reason.as_deref(),
        );
        announce.send_replace(Status { answered, degraded_reason });
        // Requests that arrive during a refresh are served together by the next one.
        let _ = tokio::time::timeout(again, requests.wakeup.notified()).await;
    }
}

fn log_status(tenant: &Tenant, before: Option<&str>, now: Option<&str>) {
    match (before, now) {
        (before, Some(reason)) if before != now => {
            tracing::warn!(tenant = %tenant.name(), reason, "repository is degraded; serving versions stay");
        }
        (Some(_), None) => {
            tracing::info!(tenant = %tenant.name(), "repository is mirrored completely")
        }
        _ => {}
    }
}
