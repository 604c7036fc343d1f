//! A job of a store: its work, and the notification of its caller after the commit.

use rusqlite::Connection;

use super::file::used_pages;
use crate::store::StoreError;

/// A job of the queue.
pub(super) struct Job {
    pub(super) kind: JobKind,
    pub(super) work: Work,
}

/// Access that a job needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobKind {
    Read,
    Write,
    /// A write that is allowed even if the quota or the disk is full.
    WriteAlways,
}

/// Work of a job. If it receives an error in place of the connection, it fails with that error.
pub(super) type Work = Box<dyn FnOnce(Result<&Connection, StoreError>) -> FinishedJob + Send>;

impl Job {
    /// Fails the job without running it.
    pub(super) fn fail_unrun(self, error: StoreError) {
        ((self.work)(Err(error)).notify)(Ok(()));
    }
}

/// A finished job and its notification, which is sent after the commit.
pub(super) struct FinishedJob {
    pub(super) failed: bool,
    pub(super) notify: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

impl FinishedJob {
    /// Turns a success into a failure if the job used pages beyond the quota.
    pub(super) fn check_quota(
        self,
        connection: &Connection,
        before: u64,
        max_pages: u64,
    ) -> FinishedJob {
        match used_pages(connection) {
            Ok(after) if !self.failed && after > max_pages && after > before => {
                self.fail(StoreError::Full)
            }
            Err(error) if !self.failed => self.fail(error),
            _ => self,
        }
    }

    /// Turns the result into a failure.
    pub(super) fn fail(self, error: StoreError) -> FinishedJob {
        FinishedJob { failed: true, notify: Box::new(move |_| (self.notify)(Err(error))) }
    }
}
