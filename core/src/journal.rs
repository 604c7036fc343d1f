//! The journal of a SQLite file, `FILE-wal`: content that was committed but is not in the file yet.
//!
//! While the host uses a file, its newest content is in the journal until a *checkpoint* copies it
//! into the file: when the journal has become long, and when the server stops. After that, a copy
//! of the file alone is a complete backup.
//!
//! A journal is valid only beside the file that it was begun for. SQLite itself replays any journal
//! that it finds, so a restored backup beside the journal of a killed server would be overwritten
//! silently. Therefore each journal records the state of the file for which it was begun. Both hold
//! a number, SQLite's `application_id`:
//!
//! | number | meaning |
//! |---|---|
//! | S, a multiple of 4 | random; written to the file before the first write to a new journal |
//! | S + 1 | the first entry of the new journal. From then on the file does not change |
//! | S + 2 | a checkpoint is in progress |
//!
//! A journal with S + 1 belongs only to a file with S. It belongs neither to an earlier copy, which
//! has another S, nor to a copy of both together, which has S + 1.

mod frames;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rustix::fs::{FallocateFlags, fallocate};

use frames::{APPLICATION_ID, Frames};

use crate::disk_errors;

/// Length in bytes beyond which a journal is checkpointed.
const MAX_LENGTH: u64 = 4 << 20;

/// Bytes of disk space that are kept ready behind the end of a journal. A deletion writes about
/// three pages of 4 KiB, so this is enough for twenty of them. If a checkpoint is possible, which
/// needs no new pages in the file, the space is used again and again.
const RESERVE: u64 = 256 << 10;

/// Durability of commits to a SQLite file against a power failure. A crash of the process loses no
/// acknowledged commit in either mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A commit is flushed to the disk before it is acknowledged. A power failure loses none.
    #[default]
    Full,
    /// Commits are flushed with the next checkpoint. A power failure may lose the most recent ones.
    /// The file stays consistent.
    Normal,
}

impl Durability {
    /// Returns the value of SQLite's pragma `synchronous`.
    pub(crate) fn synchronous(self) -> &'static str {
        match self {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        }
    }
}

/// The reason why a file must not be opened in its present state. The text names the journal and
/// the remedy.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The journal was begun for another file, or for another state of this one.
    #[error(
        "{journal} does not belong to the file beside it, which was restored or replaced: stop the server, and delete \
         the journal to use the file as it is, or put back the file that it belongs to"
    )]
    Foreign {
        /// Path of the journal.
        journal: PathBuf,
    },
    /// The journal cannot be read.
    #[error(
        "{journal} cannot be read: {source}; stop the server, and delete the journal, which loses what it holds, or \
         restore a backup"
    )]
    Unreadable {
        /// Path of the journal.
        journal: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// Returns the path of a file's journal.
pub fn journal_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Checks that the journal beside a file belongs to it, before the file is opened. Logs any damage.
/// Fails with [`JournalError`] if the file must not be opened.
pub fn check(file: &Path) -> Result<(), JournalError> {
    let journal = journal_path(file);
    let frames = match frames::read(&journal) {
        Ok(frames) => frames,
        Err(source) => return Err(JournalError::Unreadable { journal, source }),
    };

    log_damage(&journal, &frames);

    // Another program that closes the file may run a checkpoint between the two reads; the second
    // one then finds no journal.
    let foreign = is_foreign(&frames, file)
        && frames::read(&journal).is_ok_and(|frames| is_foreign(&frames, file));

    if foreign { Err(JournalError::Foreign { journal }) } else { Ok(()) }
}

fn is_foreign(frames: &Frames, file: &Path) -> bool {
    let in_journal = frames.application_id.filter(|_| frames.committed > 0);
    let both = in_journal.zip(application_id(file));
    both.is_some_and(|(in_journal, in_file)| !is_match(in_journal, in_file))
}

fn is_match(journal: u32, file: u32) -> bool {
    match journal % 4 {
        1 => file == journal - 1,
        // The checkpoint may or may not have written the first page.
        2 => file == journal || file == journal - 2,
        // The journal is being begun, or was begun by an earlier release.
        _ => true,
    }
}

/// The number in the file itself; `None` if the file has no first page yet.
fn application_id(file: &Path) -> Option<u32> {
    let mut bytes = [0; 4];
    File::open(file).ok()?.read_exact_at(&mut bytes, APPLICATION_ID as u64).ok()?;
    Some(u32::from_be_bytes(bytes))
}

fn log_damage(journal: &Path, frames: &Frames) {
    let (path, counting, lost) = (journal.display(), frames.committed, frames.lost);
    if frames.is_damaged {
        let copy = journal.with_extension("sqlite-wal.damaged");
        let kept = fs::copy(journal, &copy).map(|_| copy);
        let kept = kept.map_or_else(|error| error.to_string(), |copy| copy.display().to_string());
        tracing::error!(journal = %path, counting, lost, kept, "a journal is damaged: its last pages are lost");
    } else if lost > 0 {
        tracing::info!(journal = %path, counting, lost, "a journal ends in a write that was not finished");
    }
}

/// The journal of a file that this process writes through one connection.
pub struct Journal {
    path: PathBuf,
    /// True if the journal records the state of the file.
    is_begun: bool,
    /// Length in bytes beyond which the next checkpoint is tried.
    checkpoint_above: u64,
    /// Length in bytes up to which the journal has space on the disk.
    reserved: u64,
}

impl Journal {
    /// Creates the journal of a file that `connection` has just opened. From then on the connection
    /// runs checkpoints only on request.
    pub fn new(file: &Path, connection: &Connection) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        checkpoint_on_close(connection, false)?;
        let path = journal_path(file);
        let is_begun = length(&path) > 0 && file_number(connection)? % 4 == 1;
        Ok(Journal { path, is_begun, checkpoint_above: MAX_LENGTH, reserved: 0 })
    }

    /// Begins the journal if it does not record the state of the file yet. Must be called before
    /// each write, outside of transactions.
    pub fn begin(&mut self, connection: &Connection) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }

        // If this fails, for example on a full disk, the write that follows fails too and reports
        // the error.
        if let Err(error) = begin(connection) {
            tracing::debug!(%error, journal = %self.path.display(), "cannot begin a journal");
        }
        self.reserved = 0;
        self.reserve(self.length());
    }

    /// Runs a checkpoint if the journal is long. Must be called after each write.
    pub fn checkpoint_if_long(&mut self, connection: &Connection) {
        let mut length = self.length();
        if length > self.checkpoint_above {
            // A reader keeps a long journal from being truncated. The next checkpoint is tried
            // after it has grown further.
            let is_empty = self.checkpoint(connection).unwrap_or(false);
            self.checkpoint_above = if is_empty { MAX_LENGTH } else { length + MAX_LENGTH };
            length = self.length();
        }

        self.reserve(length);
    }

    /// Copies the content into the file. Returns false if another reader prevents it. Never blocks
    /// on one.
    pub fn checkpoint(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        if !self.is_begun {
            return Ok(true);
        }

        let number = file_number(connection)?;
        if number % 4 == 1 {
            connection.pragma_update(None, "application_id", number + 1)?;
        }

        let is_empty = truncate(connection)?;
        self.is_begun = !is_empty;
        self.reserved = 0;
        self.reserve(self.length());

        Ok(is_empty)
    }

    /// Allocates disk space beyond the journal's present length for the next writes, so that data
    /// can be deleted on a full disk. The length does not change.
    fn reserve(&mut self, length: u64) {
        if length + RESERVE <= self.reserved {
            return;
        }

        // Twice the space, so that not every write has to allocate.
        match allocate(&self.path, length, 2 * RESERVE) {
            Ok(()) => self.reserved = length + 2 * RESERVE,
            Err(error) if disk_errors::is_disk_full(&error) => {}
            // The file system cannot allocate in advance.
            Err(_) => self.reserved = u64::MAX - RESERVE,
        }
    }

    /// Runs the last checkpoint, and lets closing the connection remove the journal.
    pub fn end(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let is_empty = self.checkpoint(connection)?;
        if is_empty {
            checkpoint_on_close(connection, true)?;
        }
        Ok(is_empty)
    }

    /// Length in bytes.
    pub fn length(&self) -> u64 {
        length(&self.path)
    }
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    // Limited to 31 bits, because SQLite stores the number signed.
    let stamp = i64::from(random_number() & 0x7fff_fffc);
    connection.pragma_update(None, "application_id", stamp)?;

    if truncate(connection)? {
        connection.pragma_update(None, "application_id", stamp + 1)?;
    }

    Ok(())
}

fn file_number(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

fn random_number() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) as u32
}

/// Runs a checkpoint and truncates the journal. Returns true if the journal is empty now.
fn truncate(connection: &Connection) -> rusqlite::Result<bool> {
    let timeout = connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, u32>(0))?;

    connection.busy_timeout(Duration::ZERO)?;
    let busy =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(Duration::from_millis(timeout.into()))?;
    Ok(busy? == 0)
}

/// Sets if closing the last connection runs a checkpoint and removes the journal.
pub fn checkpoint_on_close(connection: &Connection, enabled: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !enabled).map(drop)
}

/// Allocates disk space beyond the end of a file.
fn allocate(path: &Path, offset: u64, length: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    Ok(fallocate(&file, FallocateFlags::KEEP_SIZE, offset, length)?)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Runs checkpoints of the journals beside the files called `name` in the subfolders of `root`. A
/// killed server leaves such journals, and a tenant that has not been used since has not opened its
/// file. Blocks until all are done or `until` is reached.
pub fn checkpoint_abandoned(root: &Path, name: &str, until: Instant) {
    let Ok(folders) = fs::read_dir(root) else { return };
    for folder in folders.flatten() {
        let file = folder.path().join(name);
        if length(&journal_path(&file)) == 0 {
            continue;
        }

        if Instant::now() >= until {
            return tracing::warn!(name, "not all journals were checkpointed in time");
        }

        if let Err(error) = checkpoint_file(&file) {
            tracing::warn!(file = %file.display(), error, "a journal was not checkpointed");
        }
    }
}

fn checkpoint_file(file: &Path) -> Result<(), String> {
    check(file).map_err(|error| error.to_string())?;
    let checkpoint = || -> rusqlite::Result<bool> {
        let connection = Connection::open(file)?;
        Journal::new(file, &connection)?.end(&connection)
    };

    match checkpoint() {
        Ok(true) => Ok(()),
        Ok(false) => Err("another program is reading it".into()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
