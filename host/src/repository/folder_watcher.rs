//! File system events of a repository's folders.
//!
//! This is the only code that names `notify`. An event only wakes the watch thread; its content
//! decides nothing about the repository.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, ModifyKind, RemoveKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::config::WatchMode;
use super::confined_dir::FileRef;
use super::directory_error::DirectoryError;
use super::layout::is_temporary;
use super::wakeup::Wakeup;

/// Maximum number of watched folders of one repository. All tenants share the system's limit.
const MAX_WATCHED_FOLDERS: usize = 4096;

/// Device and inode of each folder, by its path.
type WatchedFolders = BTreeMap<PathBuf, (u64, u64)>;

/// Watches folders and wakes the thread at their events.
pub(super) struct FolderWatcher {
    watcher: Option<RecommendedWatcher>,
    auto: bool,
    /// The watched folders. Another folder at the same path needs a new watch.
    watched: WatchedFolders,
    /// Set when a folder was removed or moved. The system has then dropped watches, and a new
    /// folder may have received the old one's inode.
    stale: Arc<AtomicBool>,
    /// The reason why events are unreliable; `None` if they are reliable.
    unreliable_reason: Option<String>,
}

impl FolderWatcher {
    /// Starts watching no folder yet. Fails if `mode` requires events and there are none.
    pub(super) fn new(mode: WatchMode, wakeup: Wakeup) -> Result<Self, DirectoryError> {
        let stale = Arc::new(AtomicBool::new(false));
        let auto = mode == WatchMode::Auto;
        let without_events = FolderWatcher {
            watcher: None,
            auto,
            watched: BTreeMap::new(),
            stale: stale.clone(),
            unreliable_reason: None,
        };

        if mode == WatchMode::Poll {
            return Ok(without_events);
        }

        match notify::recommended_watcher(move |event| handle_event(event, &stale, &wakeup)) {
            Ok(watcher) => Ok(FolderWatcher { watcher: Some(watcher), ..without_events }),
            Err(error) if auto => {
                tracing::warn!(%error, "cannot watch for file events; polling instead");
                Ok(without_events)
            }
            Err(error) => Err(DirectoryError::Events(error.to_string())),
        }
    }

    /// Returns true if every change wakes the thread.
    pub(super) fn is_reliable(&self) -> bool {
        self.watcher.is_some() && self.unreliable_reason.is_none()
    }

    /// Watches exactly these folders, of which the first is the root. Returns true if one of them
    /// was not watched before.
    pub(super) fn watch_only(&mut self, folders: &[FileRef]) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let rewatch_all = self.stale.swap(false, Ordering::SeqCst);
        let (wanted, mut reason) = wanted_folders(folders, self.auto);

        // Removed before new watches are added: a renamed folder has one watch under both names.
        for path in self.watched.keys().filter(|path| !wanted.contains_key(*path)) {
            // The system has often dropped this watch already.
            let _ = watcher.unwatch(path);
        }

        let to_watch =
            wanted.iter().filter(|(path, id)| rewatch_all || self.watched.get(*path) != Some(id));
        let mut new = Vec::new();
        let mut is_lost = false;

        for (path, id) in to_watch {
            match watch(watcher, path) {
                Some(Ok(())) => new.push((path.clone(), *id)),
                // Removed meanwhile; the next scan finds out.
                Some(Err(error)) if is_not_found(&error) => {}
                Some(Err(error)) => reason = Some(error.to_string()),
                None => {
                    is_lost = true;
                    break;
                }
            }
        }

        if is_lost {
            return self.switch_to_polling();
        }

        self.watched.retain(|path, id| !rewatch_all && wanted.get(path) == Some(id));
        let any = !new.is_empty();
        self.watched.extend(new);
        self.set_unreliable_reason(reason);
        any
    }

    /// Switches to polling for good.
    fn switch_to_polling(&mut self) -> bool {
        // Dropping it would send a message to its thread, which fails like every other call.
        std::mem::forget(self.watcher.take());
        self.set_unreliable_reason(Some(
            "the thread that receives events has ended, or could not be started".into(),
        ));
        false
    }

    fn set_unreliable_reason(&mut self, reason: Option<String>) {
        if let (Some(text), true) = (&reason, self.unreliable_reason != reason) {
            tracing::warn!(reason = text, "file events are unreliable; polling as well");
        }
        self.unreliable_reason = reason;
    }
}

/// Returns the folders to watch, and the reason why events are unreliable if they are. The first
/// folder is the root. With `auto`, nothing is watched on a network file system.
fn wanted_folders(folders: &[FileRef], auto: bool) -> (WatchedFolders, Option<String>) {
    if let Some(kind) = folders.first().filter(|_| auto).and_then(network_file_system) {
        let reason = format!("changes made elsewhere on {kind} raise no events");
        return (WatchedFolders::new(), Some(reason));
    }

    let wanted = folders
        .iter()
        .take(MAX_WATCHED_FOLDERS)
        .map(|folder| (folder.path.clone(), (folder.stamp.device, folder.stamp.inode)));
    let reason = (folders.len() > MAX_WATCHED_FOLDERS)
        .then(|| format!("the repository has more than {MAX_WATCHED_FOLDERS} folders"));

    (wanted.collect(), reason)
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

fn handle_event(event: notify::Result<notify::Event>, stale: &AtomicBool, wakeup: &Wakeup) {
    let is_ignored = event.as_ref().is_ok_and(concerns_ignored_files);
    let kind = event.map_or(EventKind::Any, |event| event.kind);

    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        // A scan raises these events itself by reading.
        EventKind::Access(_) => return,
        EventKind::Remove(RemoveKind::File) => {}
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
            stale.store(true, Ordering::SeqCst)
        }
        _ => {}
    }

    if !is_ignored {
        wakeup.wake();
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
fn network_file_system(folder: &FileRef) -> Option<&'static str> {
    // Values from linux/magic.h and the file systems' own sources.
    let kind = match rustix::fs::statfs(&folder.path).ok()?.f_type as u32 {
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
fn network_file_system(_: &FileRef) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::event::{CreateKind, DataChange, Flag, RenameMode};

    use super::*;

    /// Returns true if an event with these names wakes the thread.
    fn wakes_the_thread(kind: EventKind, names: &[&str]) -> bool {
        let (wakeup, wakeups) = Wakeup::new(Arc::default());
        let event = names.iter().fold(Event::new(kind), |event, name| {
            event.add_path(PathBuf::from("/models").join(name))
        });

        handle_event(Ok(event), &AtomicBool::new(false), &wakeup);
        wakeups.try_recv().is_ok()
    }

    #[test]
    fn events_of_ignored_files_do_not_wake_the_thread() {
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

        assert!(wakes_the_thread(written, &[]), "an event without names");
    }

    #[test]
    fn lost_events_wake_the_thread() {
        let (wakeup, wakeups) = Wakeup::new(Arc::default());
        let event =
            Event::new(EventKind::Other).add_path("/models/.x".into()).set_flag(Flag::Rescan);
        handle_event(Ok(event), &AtomicBool::new(false), &wakeup);
        assert!(wakeups.try_recv().is_ok());

        handle_event(Err(notify::Error::generic("an error")), &AtomicBool::new(false), &wakeup);
        assert!(wakeups.try_recv().is_ok());
    }
}
