//! What was written to a SQLite file and is not in it yet: its journal, `FILE-wal`.
//!
//! A file that is used by the host has its newest content in the journal, until that is *folded*
//! into the file: when it has become long, and when the server stops. A copy of the file alone is a
//! whole backup then.
//!
//! A journal is only of use beside the file that it was begun for. SQLite itself takes over
//! whatever lies there, so a backup that is put back beside the journal of a killed server would be
//! overruled without a word. Therefore each journal says for which state of the file it was begun.
//! Both carry a number, SQLite's `application_id`:
//!
//! | number | meaning |
//! |---|---|
//! | S, a multiple of 4 | chosen at random and put into the file itself before anything is written to a new journal |
//! | S + 1 | the first thing in the new journal. From here on the file stays as it is |
//! | S + 2 | the journal is being folded into the file |
//!
//! A journal that says S + 1 belongs to a file that says S, and to no other: not to an earlier
//! copy, which has another S, and not to a copy of both together, which says S + 1.

mod frames;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use frames::{APPLICATION_ID, Frames};

/// Bytes of a journal beyond which it is folded.
const LONG: u64 = 4 << 20;

/// Why a file must not be opened as it lies there. The text names the journal, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It was begun for another file, or for an earlier or later state of this one.
    #[error(
        "{journal} does not belong to the file beside it, which was restored or replaced: stop the server, and delete \
         the journal to use the file as it is, or put back the file that it belongs to"
    )]
    Foreign {
        /// The journal.
        journal: PathBuf,
    },
    /// It cannot be read.
    #[error(
        "{journal} cannot be read: {source}; stop the server, and delete the journal, which loses what it holds, or \
         restore a backup"
    )]
    Unreadable {
        /// The journal.
        journal: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Where the journal of a file is.
pub fn journal_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Makes sure that the journal beside a file belongs to it, before the file is opened. What is
/// damaged in it is told.
pub fn check(file: &Path) -> Result<(), JournalError> {
    let journal = journal_of(file);
    let frames = match frames::read(&journal) {
        Ok(frames) => frames,
        Err(source) => return Err(JournalError::Unreadable { journal, source }),
    };
    tell(&journal, &frames);
    // Another program that closes the file may fold the journal between the two looks; then it is
    // gone at the next.
    let foreign = is_foreign(&frames, file)
        && frames::read(&journal).is_ok_and(|frames| is_foreign(&frames, file));
    if foreign { Err(JournalError::Foreign { journal }) } else { Ok(()) }
}

fn is_foreign(frames: &Frames, file: &Path) -> bool {
    let noted = frames.application_id.filter(|_| frames.counting > 0);
    noted.zip(application_id(file)).is_some_and(|(noted, in_file)| !belongs(noted, in_file))
}

fn belongs(journal: u32, file: u32) -> bool {
    match journal % 4 {
        1 => file == journal - 1,
        // Folding may have come as far as to the first page, or not.
        2 => file == journal || file == journal - 2,
        // It is being begun, or an earlier release has begun it.
        _ => true,
    }
}

/// The number in the file itself; `None` while there is no first page.
fn application_id(file: &Path) -> Option<u32> {
    let mut bytes = [0; 4];
    File::open(file).ok()?.read_exact_at(&mut bytes, APPLICATION_ID as u64).ok()?;
    Some(u32::from_be_bytes(bytes))
}

fn tell(journal: &Path, frames: &Frames) {
    let (path, counting, lost) = (journal.display(), frames.counting, frames.lost);
    if frames.is_damaged {
        let copy = journal.with_extension("sqlite-wal.damaged");
        let kept = fs::copy(journal, &copy).map(|_| copy);
        let kept = kept.map_or_else(|error| error.to_string(), |copy| copy.display().to_string());
        tracing::error!(journal = %path, counting, lost, kept, "a journal is damaged: its last pages are lost");
    } else if lost > 0 {
        tracing::info!(journal = %path, counting, lost, "a journal ends in a write that was not finished");
    }
}

/// The journal of a file that this process writes to, through one connection.
pub struct Journal {
    path: PathBuf,
    /// It says for which state of the file it was begun.
    begun: bool,
    /// The length beyond which folding is tried next.
    fold_beyond: u64,
}

impl Journal {
    /// The journal of a file that was just opened by that connection, which from here on folds only
    /// when told to.
    pub fn of(file: &Path, connection: &Connection) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        fold_on_close(connection, false)?;
        let path = journal_of(file);
        let begun = length(&path) > 0 && number(connection)? % 4 == 1;
        Ok(Journal { path, begun, fold_beyond: LONG })
    }

    /// Begins the journal if it does not say yet for which state of the file. To be called before
    /// anything is written, outside of transactions.
    pub fn begin(&mut self, connection: &Connection) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        // Where this fails, such as on a full disk, what is to be written fails too and tells why.
        if let Err(error) = begin(connection) {
            tracing::debug!(%error, journal = %self.path.display(), "cannot begin a journal");
        }
    }

    /// Folds the journal if it has become long. To be called after something was written.
    pub fn shorten(&mut self, connection: &Connection) {
        let length = self.length();
        if length > self.fold_beyond {
            // While somebody reads, a long journal cannot be cut short. It grows a while before the
            // next try.
            let folded = self.fold(connection).unwrap_or(false);
            self.fold_beyond = if folded { LONG } else { length + LONG };
        }
    }

    /// Puts what it holds into the file. Tells whether that was possible; it is not while somebody
    /// else reads. Waits for nobody.
    pub fn fold(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        if !self.begun {
            return Ok(true);
        }
        let number = number(connection)?;
        if number % 4 == 1 {
            connection.pragma_update(None, "application_id", number + 1)?;
        }
        let folded = empty(connection)?;
        self.begun = !folded;
        Ok(folded)
    }

    /// Folds it for the last time, and lets closing the connection remove it.
    pub fn end(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let folded = self.fold(connection)?;
        if folded {
            fold_on_close(connection, true)?;
        }
        Ok(folded)
    }

    /// How long it is, in bytes.
    pub fn length(&self) -> u64 {
        length(&self.path)
    }
}

fn begin(connection: &Connection) -> rusqlite::Result<()> {
    // Within 31 bits: SQLite knows the number with a sign.
    let stamp = i64::from(random() & 0x7fff_fffc);
    connection.pragma_update(None, "application_id", stamp)?;
    if empty(connection)? {
        connection.pragma_update(None, "application_id", stamp + 1)?;
    }
    Ok(())
}

fn number(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

fn random() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) as u32
}

/// Folds whatever is in the journal, and empties it. Tells whether it is empty now.
fn empty(connection: &Connection) -> rusqlite::Result<bool> {
    let patience = connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, u32>(0))?;
    connection.busy_timeout(Duration::ZERO)?;
    let busy =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(Duration::from_millis(patience.into()))?;
    Ok(busy? == 0)
}

/// True if closing the last connection folds and removes the journal by itself.
pub fn fold_on_close(connection: &Connection, folds: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !folds).map(drop)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Folds the journals that lie beside files of that name in the folders of `root`: those that a
/// killed server has left, of tenants that have not been used since. Blocks, until then at the
/// latest.
pub fn fold_leftovers(root: &Path, name: &str, until: Instant) {
    let Ok(folders) = fs::read_dir(root) else { return };
    for folder in folders.flatten() {
        let file = folder.path().join(name);
        if length(&journal_of(&file)) == 0 {
            continue;
        }
        if Instant::now() >= until {
            return tracing::warn!(name, "not all journals were folded in time");
        }
        if let Err(error) = fold_file(&file) {
            tracing::warn!(file = %file.display(), error, "a journal was not folded");
        }
    }
}

fn fold_file(file: &Path) -> Result<(), String> {
    check(file).map_err(|error| error.to_string())?;
    let fold = || -> rusqlite::Result<bool> {
        let connection = Connection::open(file)?;
        Journal::of(file, &connection)?.end(&connection)
    };
    match fold() {
        Ok(true) => Ok(()),
        Ok(false) => Err("somebody reads it".into()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
