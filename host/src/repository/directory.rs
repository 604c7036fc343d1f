//! A directory as a source: one thread that sleeps until it is woken, scans, and announces the
//! result.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tokio::sync::watch;

use super::aspired_versions::AspiredVersions;
use super::config::DirectoryConfig;
use super::directory_error::DirectoryError;
use super::folder_claims::FolderClaims;
use super::root::RepositoryRoot;
use super::runtimes::Runtimes;
use super::scan::Scanner;
use super::scan_meter::ScanMeter;
use super::upload::Uploads;
use super::wakeup::Wakeup;
use super::watch_thread::WatchThread;
use crate::essential;
use crate::tenant::{Tenant, Workers};

/// The source has stopped and makes no more announcements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the repository's source has stopped")]
pub struct SourceStopped;

/// A directory source. Dropping it stops the thread.
#[derive(Debug)]
pub struct Directory {
    number: u64,
    wakeup: Wakeup,
    announced: watch::Receiver<Arc<AspiredVersions>>,
    uploads: Arc<Uploads>,
}

/// A requested rescan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RescanRequest(u64);

impl Directory {
    /// Starts a thread that scans at once, and again after each possible change. `runtimes` serve
    /// its model files. No tenant is charged for it.
    pub fn spawn(config: DirectoryConfig, runtimes: &Runtimes) -> Result<Self, DirectoryError> {
        Directory::start(config, runtimes, ScanMeter::unmetered(), None)
    }

    /// Like [`Directory::spawn`], but charges the tenant. `workers` hash large files. With
    /// `claims`, the root must not overlap another tenant's root.
    pub fn spawn_for_tenant(
        tenant: &Arc<Tenant>,
        config: DirectoryConfig,
        runtimes: &Runtimes,
        workers: &Workers,
        claims: Option<Arc<FolderClaims>>,
    ) -> Result<Self, DirectoryError> {
        Directory::start(config, runtimes, ScanMeter::for_tenant(workers, tenant), claims)
    }

    fn start(
        config: DirectoryConfig,
        runtimes: &Runtimes,
        meter: ScanMeter,
        claims: Option<Arc<FolderClaims>>,
    ) -> Result<Self, DirectoryError> {
        static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);

        let tenant = config.tenant.clone();
        let root = Arc::new(RepositoryRoot::new(tenant.clone(), &config.root, number, claims));
        let uploads = Uploads::new(root.clone(), runtimes.clone(), meter.clone());
        let scanner = Scanner::new(&config, root, runtimes.clone(), meter.clone());

        let (wakeup, wakeups) = Wakeup::new(meter.stopped());
        runtimes.subscribe(wakeup.clone());
        let empty = Arc::new(AspiredVersions::empty(tenant.clone()));
        let (announce, announced) = watch::channel(empty);
        let watch_thread =
            WatchThread::new(number, config, wakeup.clone(), wakeups, scanner, meter, announce)?;

        thread::Builder::new()
            .name(format!("repository {tenant}"))
            .spawn(|| essential::run("repository watch", || watch_thread.run()))
            .map_err(DirectoryError::Thread)?;

        Ok(Directory { number, wakeup, announced, uploads })
    }

    /// Number of the source, unique within the process. Its announcements carry it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The uploads into this directory.
    pub fn uploads(&self) -> &Arc<Uploads> {
        &self.uploads
    }

    /// Returns a receiver of the announcements. Only the newest one is kept, since each is
    /// complete.
    pub fn subscribe(&self) -> watch::Receiver<Arc<AspiredVersions>> {
        self.announced.clone()
    }

    /// Requests a scan without waiting for it.
    pub fn request_rescan(&self) -> RescanRequest {
        RescanRequest(self.wakeup.request_rescan())
    }

    /// Waits for the announcement of a scan that begins after this call.
    pub async fn rescan(&self) -> Result<Arc<AspiredVersions>, SourceStopped> {
        let rescan = self.request_rescan();
        let mut announced = self.subscribe();
        let covering = announced.wait_for(|aspired| aspired.covers(rescan)).await;
        covering.map(|aspired| aspired.clone()).map_err(|_| SourceStopped)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.wakeup.stop();
    }
}

impl AspiredVersions {
    /// Returns true if the scan began after that rescan was requested.
    pub fn covers(&self, RescanRequest(number): RescanRequest) -> bool {
        self.rescans_requested >= number
    }
}
