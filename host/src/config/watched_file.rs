//! A watched configuration file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::files::read_regular;
use crate::repository::{Stamp, stamp, unreadable_error};

/// A file and its parsed content.
pub(super) struct WatchedFile<T> {
    path: PathBuf,
    state: FileState,
    changed_at: Instant,
    /// True once the current state has been read.
    settled: bool,
    /// Content or read error as of the last read; `None` if there was no file.
    last_read: Option<Result<String, String>>,
    /// Parsed content or fault; `None` before the first read.
    parsed: Option<Result<T, String>>,
    /// Parsed content in force since the last successful merge.
    in_force: Option<T>,
    /// True if the fault has not been logged yet.
    unreported: bool,
}

/// State of a path.
#[derive(Clone, PartialEq, Eq)]
enum FileState {
    Missing,
    File(Stamp),
    Unreadable(String),
}

/// Time and settle time of an observation.
#[derive(Clone, Copy)]
pub(super) struct Observation {
    pub(super) now: Instant,
    /// Time that a file must stay unchanged before it counts.
    pub(super) settle: Duration,
}

impl<T: Clone> WatchedFile<T> {
    /// Creates a file that has not been observed yet.
    pub(super) fn new(path: PathBuf) -> Self {
        WatchedFile {
            path,
            state: FileState::Missing,
            changed_at: Instant::now(),
            settled: false,
            last_read: None,
            parsed: None,
            in_force: None,
            unreported: false,
        }
    }

    /// Creates a file that may be missing, with its content in that case.
    pub(super) fn optional(path: PathBuf, says: T) -> Self {
        WatchedFile { parsed: Some(Ok(says)), ..WatchedFile::new(path) }
    }

    /// Observes the file, and reads it once it has settled. Returns true if its content may have
    /// changed.
    pub(super) fn observe(
        &mut self,
        observation: Observation,
        parse: impl FnOnce(&Path, &str) -> Result<T, String>,
    ) -> bool {
        let Observation { now, settle } = observation;
        let state = file_state(&self.path);
        if self.state != state {
            self.state = state;
            self.changed_at = now;
            self.settled = false;
        }

        if self.settled || now < self.changed_at + settle {
            return false;
        }

        self.settled = true;

        let content = self.read();
        let changed = self.last_read != content;
        if changed {
            self.parsed = Some(self.parse_content(&content, parse));
            self.last_read = content;
            self.unreported = true;
        }

        changed
    }

    /// Makes the next observation read the file and report its fault again, even if it has not
    /// changed.
    pub(super) fn invalidate(&mut self) {
        self.settled = false;
        self.unreported = true;
    }

    /// True if the file has been missing for the settle time.
    pub(super) fn is_gone(&self) -> bool {
        self.settled && self.state == FileState::Missing
    }

    /// Returns the time of the next observation needed to settle a change.
    pub(super) fn due(&self, settle: Duration) -> Option<Instant> {
        (!self.settled).then(|| self.changed_at + settle)
    }

    /// Returns the parsed content, or the content in force if the file is faulty.
    pub(super) fn candidate(&self) -> Option<&T> {
        self.parsed.as_ref().and_then(|parsed| parsed.as_ref().ok()).or(self.in_force.as_ref())
    }

    /// Records that the candidate is in force.
    pub(super) fn accept(&mut self) {
        self.in_force = self.candidate().cloned();
    }

    /// Returns the current fault.
    pub(super) fn fault(&self) -> Option<&str> {
        self.parsed.as_ref().and_then(|parsed| parsed.as_ref().err()).map(String::as_str)
    }

    /// Returns the current fault if it has not been logged yet.
    pub(super) fn take_unreported(&mut self) -> Option<&str> {
        std::mem::take(&mut self.unreported).then(|| self.fault()).flatten()
    }

    fn read(&self) -> Option<Result<String, String>> {
        match &self.state {
            FileState::Missing => None,
            FileState::Unreadable(why) => Some(Err(why.clone())),
            FileState::File(_) => Some(read(&self.path)),
        }
    }

    fn parse_content(
        &self,
        content: &Option<Result<String, String>>,
        parse: impl FnOnce(&Path, &str) -> Result<T, String>,
    ) -> Result<T, String> {
        let unreadable = |why: &str| format!("cannot read {}: {why}", self.path.display());
        match content {
            None => Err(unreadable("it is gone")),
            Some(Err(why)) => Err(unreadable(why)),
            Some(Ok(text)) => parse(&self.path, text),
        }
    }
}

/// Limit of a file, in bytes. Larger ones were not written by hand.
const MAX_BYTES: u64 = 1 << 20;

fn file_state(path: &Path) -> FileState {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => FileState::File(stamp(&metadata)),
        Ok(_) => FileState::Unreadable("it is not a regular file".into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileState::Missing,
        Err(error) => FileState::Unreadable(unreadable_error(&error)),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let read = fs::canonicalize(path).and_then(|path| read_regular(&path, MAX_BYTES + 1));
    let bytes = read.map_err(|error| unreadable_error(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it has more than {} MiB", MAX_BYTES >> 20));
    }

    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into())
}
