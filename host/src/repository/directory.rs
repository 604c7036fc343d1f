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

use super::aspired::Aspired;
use super::effort::Effort;
use super::grounds::Grounds;
use super::layout::is_temporary;
use super::pace::Pace;
use super::root::Root;
use super::scanner::{Look, Scanner};
use super::tree::Place;
use super::upload::Uploads;
use crate::essential;
use crate::model::TenantName;
use crate::tenant::{Tenant, Workers};

/// The way changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
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
    pub watch: Watch,
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
pub struct Stopped;

/// A directory source. Dropping it stops the thread.
#[derive(Debug)]
pub struct Directory {
    number: u64,
    bell: Bell,
    announced: watch::Receiver<Arc<Aspired>>,
    uploads: Arc<Uploads>,
}

/// A requested rescan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rescan(u64);

impl Directory {
    /// Starts a thread that scans at once, and again after each possible change. No tenant is
    /// charged for it.
    pub fn spawn(config: DirectoryConfig) -> Result<Self, DirectoryError> {
        Directory::start(config, Effort::of_nobody(), None)
    }

    /// Like [`Directory::spawn`], but charges the tenant. `workers` hash large files. With
    /// `grounds`, the root must not overlap another tenant's root.
    pub fn spawn_for(
        tenant: &Arc<Tenant>,
        config: DirectoryConfig,
        workers: &Workers,
        grounds: Option<Arc<Grounds>>,
    ) -> Result<Self, DirectoryError> {
        Directory::start(config, Effort::of(workers, tenant), grounds)
    }

    fn start(
        config: DirectoryConfig,
        effort: Effort,
        grounds: Option<Arc<Grounds>>,
    ) -> Result<Self, DirectoryError> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (ring, rung) = sync_channel(1);
        let bell = Bell { ring, asked: Arc::default(), stopped: effort.stopped() };
        let folders = Folders::new(config.watch, bell.clone())?;
        let root = Arc::new(Root::new(config.tenant.clone(), &config.root, number, grounds));
        let scanner = Scanner::new(&config, root.clone(), effort.clone());
        let (announce, announced) =
            watch::channel(Arc::new(Aspired::nothing_yet(config.tenant.clone())));
        let name = format!("repository {}", config.tenant);
        let uploads = Uploads::new(root, effort.clone());
        let bell_of_thread = bell.clone();
        let watching = Watching {
            number,
            config,
            bell: bell_of_thread,
            rung,
            folders,
            scanner,
            effort,
            announce,
            told: None,
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
    pub fn subscribe(&self) -> watch::Receiver<Arc<Aspired>> {
        self.announced.clone()
    }

    /// Requests a scan without waiting for it.
    pub fn poke(&self) -> Rescan {
        let rescan = Rescan(self.bell.asked.fetch_add(1, Ordering::SeqCst) + 1);
        self.bell.ring();
        rescan
    }

    /// Waits for the announcement of a scan that begins after this call.
    pub async fn rescan(&self) -> Result<Arc<Aspired>, Stopped> {
        let rescan = self.poke();
        let mut announced = self.subscribe();
        let answer = announced.wait_for(|aspired| aspired.answers(rescan)).await;
        answer.map(|aspired| aspired.clone()).map_err(|_| Stopped)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.bell.stopped.store(true, Ordering::SeqCst);
        self.bell.ring();
    }
}

impl Aspired {
    /// Returns true if the scan began after that rescan was requested.
    pub fn answers(&self, Rescan(number): Rescan) -> bool {
        self.asked >= number
    }
}

// === The thread ===

/// Minimum time between two scans, whatever the number of events: at most twenty scans a second.
const PAUSE: Duration = Duration::from_millis(50);

/// Wakes the thread. Several wake-ups before it runs count as one.
#[derive(Clone, Debug)]
struct Bell {
    ring: SyncSender<()>,
    asked: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Bell {
    fn ring(&self) {
        // If the channel is full, the thread has yet to receive an earlier wake-up; the scan that
        // follows covers this one too.
        let _ = self.ring.try_send(());
    }
}

struct Watching {
    number: u64,
    config: DirectoryConfig,
    bell: Bell,
    rung: Receiver<()>,
    folders: Folders,
    scanner: Scanner,
    effort: Effort,
    announce: watch::Sender<Arc<Aspired>>,
    /// Time of the last announcement.
    told: Option<Instant>,
}

impl Watching {
    fn run(mut self) {
        let mut pace = Pace::new(Instant::now());
        loop {
            let began = Instant::now();
            let asked = self.bell.asked.load(Ordering::SeqCst);
            let Look { aspired, folders, due } = self.effort.charged(|| self.scanner.look());
            let degraded = aspired.degraded.is_some();
            // A change may have happened in a folder between its scan and the start of its watch.
            let unwatched = self.folders.follow(&folders);
            self.tell(Aspired { source: self.number, asked, ..aspired });
            let ended = Instant::now();
            let allowed = pace.spend(ended - began, ended);
            let due = due.into_iter().chain(unwatched.then_some(ended + PAUSE)).min();
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
    fn tell(&mut self, aspired: Aspired) {
        let is_old = self.told.is_none_or(|told| told.elapsed() >= self.config.rescan_interval);
        if is_old || !self.announce.borrow().says_the_same(&aspired) {
            self.told = Some(Instant::now());
            self.announce.send_replace(Arc::new(aspired));
        }
    }

    fn interval(&self, degraded: bool) -> Duration {
        let DirectoryConfig { poll_interval, rescan_interval, .. } = self.config;
        if degraded || !self.folders.working() {
            poll_interval.min(rescan_interval)
        } else {
            rescan_interval
        }
    }

    /// Sleeps until the next scan is due. A wake-up shortens the wait: to the pause after a change,
    /// and to the earliest allowed instant after a rescan request. Returns false if the source has
    /// stopped.
    fn sleep(&self, mut next: Instant, allowed: Instant, answered: u64) -> bool {
        let changed = allowed.max(Instant::now() + PAUSE);
        loop {
            let left = next.saturating_duration_since(Instant::now());
            match self.rung.recv_timeout(left) {
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
const MAX_WATCHED: usize = 4096;

/// The folders whose events wake the thread.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    auto: bool,
    /// Device and inode of each watched folder. Another folder at the same path needs a new watch.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    /// Set when a folder was removed or moved. The system has then dropped watches, and a new
    /// folder may have received the old one's inode.
    stale: Arc<AtomicBool>,
    /// The reason why events are unreliable; `None` if they are reliable.
    trouble: Option<String>,
}

impl Folders {
    fn new(mode: Watch, bell: Bell) -> Result<Self, DirectoryError> {
        let stale = Arc::new(AtomicBool::new(false));
        let auto = mode == Watch::Auto;
        let nothing = Folders {
            watcher: None,
            auto,
            watched: BTreeMap::new(),
            stale: stale.clone(),
            trouble: None,
        };
        if mode == Watch::Poll {
            return Ok(nothing);
        }
        match notify::recommended_watcher(move |event| hear(event, &stale, &bell)) {
            Ok(watcher) => Ok(Folders { watcher: Some(watcher), ..nothing }),
            Err(error) if auto => {
                tracing::warn!(%error, "cannot watch for file events; polling instead");
                Ok(nothing)
            }
            Err(error) => Err(DirectoryError::Events(error.to_string())),
        }
    }

    /// Returns true if every change wakes the thread.
    fn working(&self) -> bool {
        self.watcher.is_some() && self.trouble.is_none()
    }

    /// Watches exactly these folders, of which the first is the root. Returns true if one of them
    /// was not watched before.
    fn follow(&mut self, folders: &[Place]) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let all = self.stale.swap(false, Ordering::SeqCst);
        let remote = folders.first().filter(|_| self.auto).and_then(remote_kind);
        let wanted: BTreeMap<_, _> = match remote {
            Some(_) => BTreeMap::new(),
            None => folders
                .iter()
                .take(MAX_WATCHED)
                .map(|place| (place.path.clone(), (place.stamp.device, place.stamp.inode)))
                .collect(),
        };
        let mut trouble =
            remote.map(|kind| format!("changes made elsewhere on {kind} raise no events"));
        if folders.len() > MAX_WATCHED && remote.is_none() {
            trouble = Some(format!("the repository has more than {MAX_WATCHED} folders"));
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
                Some(Err(error)) if is_absent(&error) => {}
                Some(Err(error)) => trouble = Some(error.to_string()),
                None => {
                    lost = true;
                    break;
                }
            }
        }
        if lost {
            return self.give_up_events();
        }
        self.watched.retain(|path, id| !all && wanted.get(path) == Some(id));
        let any = !new.is_empty();
        self.watched.extend(new);
        self.report(trouble);
        any
    }

    /// Switches to polling for good.
    fn give_up_events(&mut self) -> bool {
        // Dropping it would send a message to its thread, which fails like every other call.
        std::mem::forget(self.watcher.take());
        self.report(Some(
            "the thread that hears of events has ended, or could not be started".into(),
        ));
        false
    }

    fn report(&mut self, trouble: Option<String>) {
        if let (Some(reason), true) = (&trouble, self.trouble != trouble) {
            tracing::warn!(reason, "file events cannot be relied on; polling as well");
        }
        self.trouble = trouble;
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

fn hear(event: notify::Result<notify::Event>, stale: &AtomicBool, bell: &Bell) {
    let of_ignored = event.as_ref().is_ok_and(is_of_ignored);
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
fn is_of_ignored(event: &notify::Event) -> bool {
    let is_ignored = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // In a Kubernetes volume, the targets of links lie in `..data`.
        is_temporary(&name) && !name.starts_with("..")
    };
    !event.need_rescan() && !event.paths.is_empty() && event.paths.iter().all(is_ignored)
}

fn is_absent(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Returns the kind of network file system a folder is on. Other machines can change such a folder
/// without an event on this one.
#[cfg(target_os = "linux")]
fn remote_kind(place: &Place) -> Option<&'static str> {
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
fn remote_kind(_: &Place) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::event::{CreateKind, DataChange, Flag, RenameMode};

    use super::*;

    /// Returns true if an event with these names wakes the thread.
    fn wakes(kind: EventKind, names: &[&str]) -> bool {
        let (ring, rung) = sync_channel(1);
        let bell = Bell { ring, asked: Arc::default(), stopped: Arc::default() };
        let event = names.iter().fold(Event::new(kind), |event, name| {
            event.add_path(PathBuf::from("/models").join(name))
        });
        hear(Ok(event), &AtomicBool::new(false), &bell);
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
                assert!(!wakes(kind, &[name]), "{name} {kind:?}");
            }
            assert!(wakes(renamed, &[name, "iris.wasm"]), "{name} was renamed to one that counts");
        }
        for name in ["iris.wasm", "iris", "README.md", "..data", "..2026_02_01"] {
            assert!(wakes(written, &[name]), "{name}");
        }
        assert!(wakes(written, &[]), "who knows what was written");
    }

    #[test]
    fn events_that_were_lost_wake_everybody() {
        let (ring, rung) = sync_channel(1);
        let bell = Bell { ring, asked: Arc::default(), stopped: Arc::default() };
        let event =
            Event::new(EventKind::Other).add_path("/models/.x".into()).set_flag(Flag::Rescan);
        hear(Ok(event), &AtomicBool::new(false), &bell);
        assert!(rung.try_recv().is_ok());
        hear(Err(notify::Error::generic("trouble")), &AtomicBool::new(false), &bell);
        assert!(rung.try_recv().is_ok());
    }
}
