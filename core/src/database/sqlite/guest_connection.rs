//! A connection to a tenant's file that runs the statements of guests: its settings, its limits,
//! and its checks.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::super::limits::{MAX_PARAMETERS, MAX_STATEMENT, MAX_VALUE};
use super::super::{DatabaseConfig, own_tables};
use super::authorizer::Authorizer;
use super::functions::{self, MAX_PATTERN};
use super::watchdog::{PROGRESS_STEPS, Watchdog};
use crate::journal::{Journal, checkpoint_on_close};
use crate::tenant::HostWorkMeter;

/// A connection with its authorizer and limits.
pub(super) struct GuestConnection {
    pub(super) sqlite: Connection,
    pub(super) authorizer: Authorizer,
    pub(super) watchdog: Watchdog,
    /// Journal of the file; `None` for a read-only connection.
    journal: Option<Journal>,
    /// Page limit last set in SQLite.
    pub(super) max_pages: u64,
}

/// The access of a connection to its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Read-only. Several run in parallel.
    Read,
    /// Reads and writes. One exists at a time.
    Write,
}

/// Page size, in bytes. Caches and quotas are counted in pages.
pub(super) const PAGE_SIZE: u64 = 4096;

/// Limit of cached prepared statements.
const MAX_CACHED_STATEMENTS: usize = 32;

/// Limit of the text of a cached statement, in bytes.
pub(super) const MAX_CACHED_LENGTH: usize = 4 << 10;

/// Limit of SQLite's memory in the whole process, in bytes. The limit of one statement is far
/// lower.
const HEAP_LIMIT: u64 = 2 << 30;

impl GuestConnection {
    /// Opens the file, and creates it if it does not exist.
    pub(super) fn open(
        path: &Path,
        access: Access,
        config: &DatabaseConfig,
        meter: HostWorkMeter,
    ) -> rusqlite::Result<GuestConnection> {
        if let Some(folder) = path.parent() {
            // If this fails, opening the file reports the reason.
            let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        }

        // No URI names. No mutex: only one thread uses the connection.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let connection = Connection::open_with_flags(path, flags)?;

        connection.busy_timeout(config.busy_timeout)?;

        let journal = configure_file(path, &connection, access, config)?;
        harden(&connection)?;
        set_limits(&connection)?;
        connection.set_prepared_statement_cache_capacity(MAX_CACHED_STATEMENTS);

        let mut opened = GuestConnection {
            sqlite: connection,
            authorizer: Authorizer::default(),
            watchdog: Watchdog::new(meter),
            journal,
            max_pages: 0,
        };
        opened.install_hooks()?;

        Ok(opened)
    }

    /// Installs the authorizer, the progress handler and the replaced functions. Every later
    /// statement is checked.
    fn install_hooks(&mut self) -> rusqlite::Result<()> {
        functions::register(&self.sqlite, &self.watchdog)?;

        let (authority, watch) = (self.authorizer.clone(), self.watchdog.clone());
        self.sqlite.authorizer(Some(move |request: rusqlite::hooks::AuthContext<'_>| {
            authority.authorize(request)
        }))?;
        self.sqlite.progress_handler(PROGRESS_STEPS, Some(move || watch.should_stop()))
    }

    /// Sets the page limit for a quota in bytes.
    pub(super) fn set_quota(&mut self, bytes: u64) -> rusqlite::Result<()> {
        // SQLite counts pages in 32 bits.
        let pages = (bytes / PAGE_SIZE).clamp(1, u64::from(u32::MAX) - 1);
        if pages != self.max_pages {
            self.execute_trusted(&format!("PRAGMA max_page_count = {pages}"))?;
            self.max_pages = pages;
        }

        Ok(())
    }

    /// Prepares the journal for a write.
    pub(super) fn begin_journal(&mut self) {
        let GuestConnection { sqlite: connection, authorizer: authority, journal, .. } = self;
        journal.iter_mut().for_each(|journal| authority.as_host(|| journal.begin(connection)));
    }

    /// Checkpoints the journal if it is long and there are no readers.
    pub(super) fn checkpoint_if_long(&mut self) {
        let GuestConnection { sqlite: connection, authorizer: authority, journal, .. } = self;
        journal
            .iter_mut()
            .for_each(|journal| authority.as_host(|| journal.checkpoint_if_long(connection)));
    }

    /// Checkpoints the journal if there are no readers. Returns true if the file is then complete.
    pub(super) fn checkpoint(&mut self) -> rusqlite::Result<bool> {
        let GuestConnection { sqlite: connection, authorizer: authority, journal, .. } = self;
        journal
            .as_mut()
            .map_or(Ok(true), |journal| authority.as_host(|| journal.checkpoint(connection)))
    }

    /// Returns the length of the journal, in bytes.
    pub(super) fn journal_length(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::length)
    }

    /// Closes the connection. Closing the last one removes the journal if it is
    /// checkpointed.
    pub(super) fn close(self, is_checkpointed: bool) -> rusqlite::Result<()> {
        checkpoint_on_close(&self.sqlite, is_checkpointed)?;
        self.sqlite.close().map_err(|(_, error)| error)
    }

    /// Runs statements of the host, without the authorizer's checks.
    pub(super) fn execute_trusted(&self, statements: &str) -> rusqlite::Result<()> {
        self.authorizer.as_host(|| self.sqlite.execute_batch(statements))
    }

    /// Runs a statement of the host that returns one number.
    pub(super) fn query_number(&self, statement: &str) -> rusqlite::Result<u64> {
        let found = self
            .authorizer
            .as_host(|| self.sqlite.query_row(statement, [], |row| row.get::<_, i64>(0)));
        found.map(|number| u64::try_from(number).unwrap_or(0))
    }
}

fn configure_file(
    path: &Path,
    connection: &Connection,
    access: Access,
    config: &DatabaseConfig,
) -> rusqlite::Result<Option<Journal>> {
    let synchronous = config.durability.synchronous();

    if connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))? == 0 {
        // Incremental vacuum must be enabled before the first table exists. The pragma writes.
        connection.execute_batch(&format!(
            "PRAGMA page_size = {PAGE_SIZE}; PRAGMA auto_vacuum = INCREMENTAL;"
        ))?;
    }

    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; \
         PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 0; \
         PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048; PRAGMA mmap_size = 0; \
         PRAGMA cell_size_check = ON; PRAGMA hard_heap_limit = {HEAP_LIMIT}; PRAGMA query_only = {}",
        access == Access::Read
    ))?;

    if access == Access::Read {
        checkpoint_on_close(connection, false)?;
        return Ok(None);
    }

    let mut journal = Journal::new(path, connection)?;
    journal.begin(connection);
    // The table must exist before a guest can rename one of its own to this name: the authorizer
    // only sees the old name.
    connection.execute_batch(&own_tables::create_table())?;

    Ok(Some(journal))
}

fn harden(connection: &Connection) -> rusqlite::Result<()> {
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        // Double quotes denote identifiers only, so that a misspelt column is an error.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(setting, on)?;
    }

    Ok(())
}

fn set_limits(connection: &Connection) -> rusqlite::Result<()> {
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE as i32),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_STATEMENT as i32),
        (Limit::SQLITE_LIMIT_COLUMN, 500),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
        (Limit::SQLITE_LIMIT_PARSER_DEPTH, 200),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
        (Limit::SQLITE_LIMIT_VDBE_OP, 50_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        // Matching takes time in the product of the lengths of pattern and text.
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN as i32),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, MAX_PARAMETERS as i32),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
        (Limit::SQLITE_LIMIT_TRIGGER_STEPS, 100),
        (Limit::SQLITE_LIMIT_SCHEMA, 1000),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, most)?;
    }

    Ok(())
}

/// Time limit of the incremental vacuum while a connection closes.
pub(super) const VACUUM_TIME: Duration = Duration::from_secs(2);
