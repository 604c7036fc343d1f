//! A watched configuration file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::files::read_regular;
use crate::repository::{Stamp, stamp, unreadable_error};

/// A file and its parsed content.
pub(super) struct Source<T> {
    path: PathBuf,
    sight: Sight,
    since: Instant,
    /// True once the current state has been read.
    counted: bool,
    /// Content or read error as of the last read; `None` if there was no file.
    content: Option<Result<String, String>>,
    /// Parsed content or fault; `None` before the first read.
    said: Option<Result<T, String>>,
    /// Parsed content in force since the last successful merge.
    in_force: Option<T>,
    /// True if the fault has not been logged yet.
    untold: bool,
}

/// State of a path.
#[derive(Clone, PartialEq, Eq)]
enum Sight {
    Nothing,
    File(Stamp),
    Odd(String),
}

/// Time and settle time of an observation.
#[derive(Clone, Copy)]
pub(super) struct Glance {
    pub(super) now: Instant,
    /// Time that a file must stay unchanged before it counts.
    pub(super) settle: Duration,
}

impl<T: Clone> Source<T> {
    /// Creates a file that has not been observed yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Source {
            path,
            sight: Sight::Nothing,
            since: Instant::now(),
            counted: false,
            content: None,
            said: None,
            in_force: None,
            untold: false,
        }
    }

    /// Creates a file that may be missing, with its content in that case.
    pub(super) fn optional(path: PathBuf, says: T) -> Self {
        Source { said: Some(Ok(says)), ..Source::new(path) }
    }

    /// Observes the file, and reads it once it has settled. Returns true if its content may have
    /// changed.
    pub(super) fn look(
        &mut self,
        glance: Glance,
        parse: impl FnOnce(&Path, &str) -> Result<T, String>,
    ) -> bool {
        let Glance { now, settle } = glance;
        let sight = see(&self.path);
        if self.sight != sight {
            (self.sight, self.since, self.counted) = (sight, now, false);
        }

        if self.counted || now < self.since + settle {
            return false;
        }

        self.counted = true;

        let content = self.read();
        let changed = self.content != content;
        if changed {
            self.said = Some(self.judge(&content, parse));
            self.content = content;
            self.untold = true;
        }

        changed
    }

    /// Makes the next observation read the file and report its fault again, even if it has not
    /// changed.
    pub(super) fn doubt(&mut self) {
        self.counted = false;
        self.untold = true;
    }

    /// True if the file has been missing for the settle time.
    pub(super) fn is_gone(&self) -> bool {
        self.counted && self.sight == Sight::Nothing
    }

    /// Returns the time of the next observation needed to settle a change.
    pub(super) fn due(&self, settle: Duration) -> Option<Instant> {
        (!self.counted).then(|| self.since + settle)
    }

    /// Returns the parsed content, or the content in force if the file is faulty.
    pub(super) fn candidate(&self) -> Option<&T> {
        self.said.as_ref().and_then(|said| said.as_ref().ok()).or(self.in_force.as_ref())
    }

    /// Records that the candidate is in force.
    pub(super) fn accept(&mut self) {
        self.in_force = self.candidate().cloned();
    }

    /// Returns the current fault.
    pub(super) fn fault(&self) -> Option<&str> {
        self.said.as_ref().and_then(|said| said.as_ref().err()).map(String::as_str)
    }

    /// Returns the current fault if it has not been logged yet.
    pub(super) fn take_news(&mut self) -> Option<&str> {
        std::mem::take(&mut self.untold).then(|| self.fault()).flatten()
    }

    fn read(&self) -> Option<Result<String, String>> {
        match &self.sight {
            Sight::Nothing => None,
            Sight::Odd(why) => Some(Err(why.clone())),
            Sight::File(_) => Some(read(&self.path)),
        }
    }

    fn judge(
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

fn see(path: &Path) -> Sight {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Sight::File(stamp(&metadata)),
        Ok(_) => Sight::Odd("it is not a regular file".into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Sight::Nothing,
        Err(error) => Sight::Odd(unreadable_error(&error)),
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
