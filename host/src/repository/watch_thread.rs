//! The thread that scans a directory whenever it may have changed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::aspired_versions::AspiredVersions;
use super::config::DirectoryConfig;
use super::directory_error::DirectoryError;
use super::folder_watcher::FolderWatcher;
use super::scan::{ScanOutcome, Scanner};
use super::scan_meter::ScanMeter;
use super::scan_rate_limiter::ScanRateLimiter;
use super::wakeup::Wakeup;

/// Minimum time between two scans, whatever the number of events: at most twenty scans a second.
const MIN_SCAN_INTERVAL: Duration = Duration::from_millis(50);

/// The thread's state.
pub(super) struct WatchThread {
    number: u64,
    config: DirectoryConfig,
    wakeup: Wakeup,
    wakeups: Receiver<()>,
    folders: FolderWatcher,
    scanner: Scanner,
    meter: ScanMeter,
    announce: watch::Sender<Arc<AspiredVersions>>,
    /// Time of the last announcement.
    announced_at: Option<Instant>,
}

impl WatchThread {
    /// Creates the thread's state. Fails if events are required but not available.
    pub(super) fn new(
        number: u64,
        config: DirectoryConfig,
        wakeup: Wakeup,
        wakeups: Receiver<()>,
        scanner: Scanner,
        meter: ScanMeter,
        announce: watch::Sender<Arc<AspiredVersions>>,
    ) -> Result<Self, DirectoryError> {
        let folders = FolderWatcher::new(config.watch, wakeup.clone())?;
        let announced_at = None;
        Ok(WatchThread {
            number,
            config,
            wakeup,
            wakeups,
            folders,
            scanner,
            meter,
            announce,
            announced_at,
        })
    }

    /// Scans and announces until the source is stopped.
    pub(super) fn run(mut self) {
        let mut rate_limiter = ScanRateLimiter::new(Instant::now());

        loop {
            let began = Instant::now();
            let rescans_requested = self.wakeup.rescans_requested();
            let ScanOutcome { aspired, folders, due } = self.meter.charge(|| self.scanner.scan());
            let degraded = aspired.degraded.is_some();

            // A change may have happened in a folder between its scan and the start of its watch.
            let unwatched = self.folders.watch_only(&folders);
            let source = self.number;
            self.publish_if_changed(AspiredVersions { source, rescans_requested, ..aspired });

            let ended = Instant::now();
            let allowed = rate_limiter.record(ended - began, ended);
            let due = due.into_iter().chain(unwatched.then_some(ended + MIN_SCAN_INTERVAL)).min();

            // A large repository is not polled more often than it can be scanned.
            let next = (ended + self.interval(degraded)).max(allowed);
            let next = due.map_or(next, |due| due.max(allowed).min(next));

            if !self.sleep(next, allowed, rescans_requested) {
                return;
            }
        }
    }

    /// Publishes an announcement if it has changed. An unchanged one is repeated every
    /// `rescan_interval`, because its effect may change with the tenant's settings.
    fn publish_if_changed(&mut self, aspired: AspiredVersions) {
        let interval = self.config.rescan_interval;
        let is_old = self.announced_at.is_none_or(|instant| instant.elapsed() >= interval);

        if is_old || !self.announce.borrow().has_same_content(&aspired) {
            self.announced_at = Some(Instant::now());
            self.announce.send_replace(Arc::new(aspired));
        }
    }

    fn interval(&self, degraded: bool) -> Duration {
        let DirectoryConfig { poll_interval, rescan_interval, .. } = self.config;
        if degraded || !self.folders.is_reliable() {
            poll_interval.min(rescan_interval)
        } else {
            rescan_interval
        }
    }

    /// Sleeps until the next scan is due. A wake-up shortens the wait: to the pause after a change,
    /// and to the earliest allowed instant after a rescan request. Returns false if the source has
    /// stopped.
    fn sleep(&self, mut next: Instant, allowed: Instant, rescans_covered: u64) -> bool {
        let changed = allowed.max(Instant::now() + MIN_SCAN_INTERVAL);
        loop {
            let left = next.saturating_duration_since(Instant::now());
            match self.wakeups.recv_timeout(left) {
                Ok(()) => next = next.min(changed),
                Err(RecvTimeoutError::Timeout) => return !self.wakeup.is_stopped(),
                Err(RecvTimeoutError::Disconnected) => return false,
            }

            if self.wakeup.is_stopped() {
                return false;
            }

            if self.wakeup.rescans_requested() > rescans_covered {
                next = next.min(allowed);
            }
        }
    }
}
