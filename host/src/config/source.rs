//! One file of the configuration, looked at again and again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::files::read_regular;
use crate::repository::{Stamp, stamp, unreadable_error};

/// A file, and what it says.
pub(super) struct Source<T> {
    path: PathBuf,
    sight: Sight,
    since: Instant,
    /// It has been read as it is seen.
    counted: bool,
    /// What was read last, or why it could not be; `None` while there is nothing.
    content: Option<Result<String, String>>,
    /// What it says, or what is wrong with it; `None` until it was read.
    said: Option<Result<T, String>>,
    /// What it said when all files went together last.
    in_force: Option<T>,
    /// There is something to be told of it.
    untold: bool,
}

/// What a look at a path shows.
#[derive(Clone, PartialEq, Eq)]
enum Sight {
    Nothing,
    File(Stamp),
    Odd(String),
}

/// How a source is looked at.
#[derive(Clone, Copy)]
pub(super) struct Glance {
    pub(super) now: Instant,
    /// How long a file must be unchanged before it counts.
    pub(super) settle: Duration,
}

impl<T: Clone> Source<T> {
    /// A file that was not looked at yet.
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

    /// A file that may well be missing, and says this then.
    pub(super) fn optional(path: PathBuf, says: T) -> Self {
        Source { said: Some(Ok(says)), ..Source::new(path) }
    }

    /// Looks at the file, and reads it if it has settled since it changed. Tells whether what it
    /// says may be something else now.
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

    /// Has the next look read the file even if it did not change, and what is wrong with it be told
    /// again.
    pub(super) fn doubt(&mut self) {
        self.counted = false;
        self.untold = true;
    }

    /// Whether it has been gone for long enough.
    pub(super) fn is_gone(&self) -> bool {
        self.counted && self.sight == Sight::Nothing
    }

    /// When to look again although nothing is known to have changed.
    pub(super) fn due(&self, settle: Duration) -> Option<Instant> {
        (!self.counted).then(|| self.since + settle)
    }

    /// What counts: what it says, or what it said before it became faulty.
    pub(super) fn candidate(&self) -> Option<&T> {
        self.said.as_ref().and_then(|said| said.as_ref().ok()).or(self.in_force.as_ref())
    }

    /// Notes that what it says is in force.
    pub(super) fn accept(&mut self) {
        self.in_force = self.candidate().cloned();
    }

    /// What is wrong with it.
    pub(super) fn fault(&self) -> Option<&str> {
        self.said.as_ref().and_then(|said| said.as_ref().err()).map(String::as_str)
    }

    /// What is wrong with it, if that was not told yet.
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

/// Larger ones were not written by hand.
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
