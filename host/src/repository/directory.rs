//! A directory as a source: one thread that sleeps until it is woken, scans, and announces the
//! result.
//!
//! This is the only code that names `notify`. An event only wakes the thread; its content decides
//! nothing about the repository.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RemoveKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

use super::aspired_versions::AspiredVersions;
use super::confined_dir::FileRef;
use super::folder_claims::FolderClaims;
use super::layout::is_temporary;
use super::root::RepositoryRoot;
use super::scan_meter::ScanMeter;
use super::scan_rate_limiter::ScanRateLimiter;
use super::scanner::{ScanOutcome, Scanner};
use super::upload::Uploads;
use crate::essential;
use crate::model::TenantName;
use crate::tenant::{Tenant, Workers};

/// The way changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchMode {
    /// By events where the file system supports them, otherwise by polling.
    Auto,
    /// By events. Starting fails if they are not available.
    Events,
    /// By a scan every `poll_interval`.
    Poll,
}

/// Settings of a directory source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryConfig {
    /// The tenant that owns the repository.
    pub tenant: TenantName,
    /// Path of the repository. The folder may not exist yet.
    pub root: PathBuf,
    /// Private folder of this source, where version numbers are stored.
    pub state: PathBuf,
    /// The way changes are noticed.
    pub watch: WatchMode,
    /// Time between scans while polling, or while the root is missing.
    pub poll_interval: Duration,
    /// Time between scans without an event.
    pub rescan_interval: Duration,
    /// Time for which a file must be unchanged before it is read.
    pub settle: Duration,
    /// Maximum number of versions per scan.
    pub max_versions: u32,
}

/// The reason why a directory source cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Events were requested but are not available.
    #[error("cannot watch for file events: {0}; use `watch = \"poll\"`")]
    Events(String),
    /// The thread cannot be started.
    #[error("cannot start the thread that watches the repository: {0}")]
    Thread(std::io::Error),
}

/// The source has stopped and makes no more announcements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the repository is not being watched any more")]
pub struct SourceStopped;

/// A directory source. Dropping it stops the thread.
#[derive(Debug)]
pub struct Directory {
    number: u64,
    bell: Wakeup,
    announced: watch::Receiver<Arc<AspiredVersions>>,
    uploads: Arc<Uploads>,
}

/// A requested rescan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RescanRequest(u64);

impl Directory {
    /// Starts a thread that scans at once, and again after each possible change. No tenant is
    /// charged for it.
    pub fn spawn(config: DirectoryConfig) -> Result<Self, DirectoryError> {
        Directory::start(config, ScanMeter::unmetered(), None)
    }

    /// Like [`Directory::spawn`], but charges the tenant. `workers` hash large files. With
    /// `grounds`, the root must not overlap another tenant's root.
    pub fn spawn_for_tenant(
        tenant: &Arc<Tenant>,
        config: DirectoryConfig,
        workers: &Workers,
        grounds: Option<Arc<FolderClaims>>,
    ) -> Result<Self, DirectoryError> {
        Directory::start(config, ScanMeter::for_tenant(workers, tenant), grounds)
    }

    fn start(
        config: DirectoryConfig,
        effort: ScanMeter,
        grounds: Option<Arc<FolderClaims>>,
    ) -> Result<Self, DirectoryError> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (ring, rung) = sync_channel(1);
        let bell = Wakeup { ring, asked: Arc::default(), stopped: effort.stopped() };
        let folders = FolderWatcher::new(config.watch, bell.clone())?;
        let root =
            Arc::new(RepositoryRoot::new(config.tenant.clone(), &config.root, number, grounds));
        let scanner = Scanner::new(&config, root.clone(), effort.clone());
        let (announce, announced) =
            watch::channel(Arc::new(AspiredVersions::empty(config.tenant.clone())));
        let name = format!("repository {}", config.tenant);
        let uploads = Uploads::new(root, effort.clone());
        let bell_of_thread = bell.clone();
        let watching = WatchThread {
            number,
            config,
            bell: bell_of_thread,
            wakeups: rung,
            folders,
            scanner,
            effort,
            announce,
            announced_at: None,
        };

        thread::Builder::new()
            .name(name)
            .spawn(|| essential::run("repository watch", || watching.run()))
            .map_err(DirectoryError::Thread)?;

        Ok(Directory { number, bell, announced, uploads })
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
        let rescan = RescanRequest(self.bell.asked.fetch_add(1, Ordering::SeqCst) + 1);
        self.bell.ring();
        rescan
    }

    /// Waits for the announcement of a scan that begins after this call.
    pub async fn rescan(&self) -> Result<Arc<AspiredVersions>, SourceStopped> {
        let rescan = self.request_rescan();
        let mut announced = self.subscribe();
        let answer = announced.wait_for(|aspired| aspired.covers(rescan)).await;
        answer.map(|aspired| aspired.clone()).map_err(|_| SourceStopped)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.bell.stopped.store(true, Ordering::SeqCst);
        self.bell.ring();
    }
}

impl AspiredVersions {
    /// Returns true if the scan began after that rescan was requested.
    pub fn covers(&self, RescanRequest(number): RescanRequest) -> bool {
        self.rescans_requested >= number
    }
}

// === The thread ===

/// Minimum time between two scans, whatever the number of events: at most twenty scans a second.
const MIN_SCAN_INTERVAL: Duration = Duration::from_millis(50);

/// Wakes the thread. Several wake-ups before it runs count as one.
#[derive(Clone, Debug)]
struct Wakeup {
    ring: SyncSender<()>,
    asked: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Wakeup {
    fn ring(&self) {
        // If the channel is full, the thread has yet to receive an earlier wake-up; the scan that
        // follows covers this one too.
        let _ = self.ring.try_send(());
    }
}

struct WatchThread {
    number: u64,
    config: DirectoryConfig,
    bell: Wakeup,
    wakeups: Receiver<()>,
    folders: FolderWatcher,
    scanner: Scanner,
    effort: ScanMeter,
    announce: watch::Sender<Arc<AspiredVersions>>,
    /// Time of the last announcement.
    announced_at: Option<Instant>,
}

impl WatchThread {
    fn run(mut self) {
        let mut pace = ScanRateLimiter::new(Instant::now());
        loop {
            let began = Instant::now();
            let asked = self.bell.asked.load(Ordering::SeqCst);
            let ScanOutcome { aspired, folders, due } = self.effort.charge(|| self.scanner.scan());
            let degraded = aspired.degraded.is_some();
            // A change may have happened in a folder between its scan and the start of its watch.
            let unwatched = self.folders.watch_only(&folders);
            self.publish_if_changed(AspiredVersions {
                source: self.number,
                rescans_requested: asked,
                ..aspired
            });

            let ended = Instant::now();
            let allowed = pace.record(ended - began, ended);
            let due = due.into_iter().chain(unwatched.then_some(ended + MIN_SCAN_INTERVAL)).min();
            // A large repository is not polled more often than it can be scanned.
            let next = (ended + self.interval(degraded)).max(allowed);
            let next = due.map_or(next, |due| due.max(allowed).min(next));

            if !self.sleep(next, allowed, asked) {
                return;
            }
        }
    }

    /// Publishes an announcement if it has changed. An unchanged one is repeated every
    /// `rescan_interval`, because its effect may change with the tenant's settings.
    fn publish_if_changed(&mut self, aspired: AspiredVersions) {
        let is_old =
            self.announced_at.is_none_or(|told| told.elapsed() >= self.config.rescan_interval);
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
    fn sleep(&self, mut next: Instant, allowed: Instant, answered: u64) -> bool {
        let changed = allowed.max(Instant::now() + MIN_SCAN_INTERVAL);
        loop {
            let left = next.saturating_duration_since(Instant::now());
            match self.wakeups.recv_timeout(left) {
                Ok(()) => next = next.min(changed),
                Err(RecvTimeoutError::Timeout) => return !self.bell.stopped.load(Ordering::SeqCst),
                Err(RecvTimeoutError::Disconnected) => return false,
            }

            if self.bell.stopped.load(Ordering::SeqCst) {
                return false;
            }

            if self.bell.asked.load(Ordering::SeqCst) > answered {
                next = next.min(allowed);
            }
        }
    }
}

// === Events ===

/// Maximum number of watched folders of one repository. All tenants share the system's limit.
const MAX_WATCHED_FOLDERS: usize = 4096;

/// The folders whose events wake the thread.
struct FolderWatcher {
    watcher: Option<RecommendedWatcher>,
    auto: bool,
    /// Device and inode of each watched folder. Another folder at the same path needs a new watch.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    /// Set when a folder was removed or moved. The system has then dropped watches, and a new
    /// folder may have received the old one's inode.
    stale: Arc<AtomicBool>,
    /// The reason why events are unreliable; `None` if they are reliable.
    unreliable_reason: Option<String>,
}

impl FolderWatcher {
    fn new(mode: WatchMode, bell: Wakeup) -> Result<Self, DirectoryError> {
        let stale = Arc::new(AtomicBool::new(false));
        let auto = mode == WatchMode::Auto;
        let nothing = FolderWatcher {
            watcher: None,
            auto,
            watched: BTreeMap::new(),
            stale: stale.clone(),
            unreliable_reason: None,
        };

        if mode == WatchMode::Poll {
            return Ok(nothing);
        }

        match notify::recommended_watcher(move |event| handle_event(event, &stale, &bell)) {
            Ok(watcher) => Ok(FolderWatcher { watcher: Some(watcher), ..nothing }),
            Err(error) if auto => {
                tracing::warn!(%error, "cannot watch for file events; polling instead");
                Ok(nothing)
            }
            Err(error) => Err(DirectoryError::Events(error.to_string())),
        }
    }

    /// Returns true if every change wakes the thread.
    fn is_reliable(&self) -> bool {
        self.watcher.is_some() && self.unreliable_reason.is_none()
    }

    /// Watches exactly these folders, of which the first is the root. Returns true if one of them
    /// was not watched before.
    fn watch_only(&mut self, folders: &[FileRef]) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let all = self.stale.swap(false, Ordering::SeqCst);
        let remote = folders.first().filter(|_| self.auto).and_then(network_file_system);
        let wanted: BTreeMap<_, _> = match remote {
            Some(_) => BTreeMap::new(),
            None => folders
                .iter()
                .take(MAX_WATCHED_FOLDERS)
                .map(|place| (place.path.clone(), (place.stamp.device, place.stamp.inode)))
                .collect(),
        };

        let mut trouble =
            remote.map(|kind| format!("changes made elsewhere on {kind} raise no events"));
        if folders.len() > MAX_WATCHED_FOLDERS && remote.is_none() {
            trouble = Some(format!("the repository has more than {MAX_WATCHED_FOLDERS} folders"));
        }

        // Removed before new watches are added: a renamed folder has one watch under both names.
        for path in self.watched.keys().filter(|path| !wanted.contains_key(*path)) {
            // The system has often dropped this watch already.
            let _ = watcher.unwatch(path);
        }

        let (mut new, mut lost) = (Vec::new(), false);
        for (path, id) in
            wanted.iter().filter(|(path, id)| all || self.watched.get(*path) != Some(id))
        {
            match watch(watcher, path) {
                Some(Ok(())) => new.push((path.clone(), *id)),
                // Removed meanwhile; the next scan finds out.
                Some(Err(error)) if is_not_found(&error) => {}
                Some(Err(error)) => trouble = Some(error.to_string()),
                None => {
                    lost = true;
                    break;
                }
            }
        }

        if lost {
            return self.switch_to_polling();
        }

        self.watched.retain(|path, id| !all && wanted.get(path) == Some(id));
        let any = !new.is_empty();
        self.watched.extend(new);
        self.set_unreliable_reason(trouble);

        any
    }

    /// Switches to polling for good.
    fn switch_to_polling(&mut self) -> bool {
        // Dropping it would send a message to its thread, which fails like every other call.
        std::mem::forget(self.watcher.take());
        self.set_unreliable_reason(Some(
            "the thread that hears of events has ended, or could not be started".into(),
        ));
        false
    }

    fn set_unreliable_reason(&mut self, trouble: Option<String>) {
        if let (Some(reason), true) = (&trouble, self.unreliable_reason != trouble) {
            tracing::warn!(reason, "file events cannot be relied on; polling as well");
        }
        self.unreliable_reason = trouble;
    }
}

/// Watches a folder. Returns `None` if the watcher is unusable: it panics if its thread is missing,
/// which happens if the system could not start one.
fn watch(watcher: &mut RecommendedWatcher, path: &Path) -> Option<notify::Result<()>> {
    catch_unwind(AssertUnwindSafe(|| watcher.watch(path, RecursiveMode::NonRecursive))).ok()
}

/// Checks that the system supports file events.
pub fn check_events() -> Result<(), DirectoryError> {
    let watcher = notify::recommended_watcher(|_: notify::Result<notify::Event>| {});
    watcher.map(drop).map_err(|error| DirectoryError::Events(error.to_string()))
}

fn handle_event(event: notify::Result<notify::Event>, stale: &AtomicBool, bell: &Wakeup) {
    let of_ignored = event.as_ref().is_ok_and(concerns_ignored_files);
    let kind = event.map_or(EventKind::Any, |event| event.kind);

    match kind {
        // Reading files during a scan raises these events itself.
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        EventKind::Access(_) => return,
        EventKind::Remove(RemoveKind::File) => {}
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
            stale.store(true, Ordering::SeqCst)
        }
        _ => {}
    }

    if !of_ignored {
        bell.ring();
    }
}

/// Returns true if an event concerns only files with ignored names, such as temporary files.
fn concerns_ignored_files(event: &notify::Event) -> bool {
    let is_ignored = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // In a Kubernetes volume, the targets of links lie in `..data`.
        is_temporary(&name) && !name.starts_with("..")
    };
    !event.need_rescan() && !event.paths.is_empty() && event.paths.iter().all(is_ignored)
}

fn is_not_found(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Returns the kind of network file system a folder is on. Other machines can change such a folder
/// without an event on this one.
#[cfg(target_os = "linux")]
fn network_file_system(place: &FileRef) -> Option<&'static str> {
    // Values from linux/magic.h and the file systems' own sources.
    let kind = match rustix::fs::statfs(&place.path).ok()?.f_type as u32 {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x0102_1997 => "9P",
        0x6573_5546 => "FUSE",
        0x00c3_6400 => "Ceph",
        0x5346_414f => "AFS",
        0x0bd0_0bd0 => "Lustre",
        _ => return None,
    };

    Some(kind)
}

#[cfg(not(target_os = "linux"))]
fn remote_kind(_: &FileRef) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::event::{CreateKind, DataChange, Flag, RenameMode};

    use super::*;

    /// Returns true if an event with these names wakes the thread.
    fn wakes_the_thread(kind: EventKind, names: &[&str]) -> bool {
        let (ring, rung) = sync_channel(1);
        let bell = Wakeup { ring, asked: Arc::default(), stopped: Arc::default() };
        let event = names.iter().fold(Event::new(kind), |event, name| {
            event.add_path(PathBuf::from("/models").join(name))
        });

        handle_event(Ok(event), &AtomicBool::new(false), &bell);

        rung.try_recv().is_ok()
    }

    #[test]
    fn what_happens_to_ignored_names_wakes_nobody() {
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Both));

        for name in [
            ".put-1",
            ".wardian-upload",
            "iris.wasm.tmp",
            "iris.wasm.part",
            "x.swp",
            "x~",
            "a/1/.model.wasm.1",
        ] {
            for kind in
                [written, EventKind::Create(CreateKind::File), EventKind::Remove(RemoveKind::File)]
            {
                assert!(!wakes_the_thread(kind, &[name]), "{name} {kind:?}");
            }
            assert!(
                wakes_the_thread(renamed, &[name, "iris.wasm"]),
                "{name} was renamed to one that counts"
            );
        }

        for name in ["iris.wasm", "iris", "README.md", "..data", "..2026_02_01"] {
            assert!(wakes_the_thread(written, &[name]), "{name}");
        }

        assert!(wakes_the_thread(written, &[]), "who knows what was written");
    }

    #[test]
    fn events_that_were_lost_wake_everybody() {
        let (ring, rung) = sync_channel(1);
        let bell = Wakeup { ring, asked: Arc::default(), stopped: Arc::default() };
        let event =
            Event::new(EventKind::Other).add_path("/models/.x".into()).set_flag(Flag::Rescan);
        handle_event(Ok(event), &AtomicBool::new(false), &bell);
        assert!(rung.try_recv().is_ok());
        handle_event(Err(notify::Error::generic("trouble")), &AtomicBool::new(false), &bell);

        assert!(rung.try_recv().is_ok());
    }
}
