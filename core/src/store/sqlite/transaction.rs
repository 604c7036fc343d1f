//! Runs several jobs in one transaction. Each has a savepoint, so a failed job rolls back only its
//! own changes.

use rusqlite::Connection;

use super::file::{OpenFile, StoreFile, used_pages};
use super::job::{FinishedJob, Job, JobKind};
use crate::disk_errors;
use crate::store::StoreError;

/// Runs jobs in one transaction, or without one if all of them read. Fails if the connection
/// must not be used again.
pub(super) fn run_transaction(
    file: &StoreFile,
    opened: &mut OpenFile,
    jobs: Vec<Job>,
) -> Result<(), StoreError> {
    let (connection, journal) = (&opened.connection, &mut opened.journal);
    if jobs.iter().all(|job| job.kind == JobKind::Read) {
        jobs.into_iter().for_each(|job| ((job.work)(Ok(connection)).notify)(Ok(())));
        return Ok(());
    }

    journal.begin(connection);

    let begin = |limit| execute(connection, "BEGIN IMMEDIATE").map(|()| limit);
    let max_pages = match file.apply_quota(connection).and_then(begin) {
        Ok(limit) => limit,
        Err(error) => {
            jobs.into_iter().for_each(|job| job.fail_unrun(error.clone()));
            return Err(error);
        }
    };
    let limits = Limits { max_pages, has_room: disk_errors::has_free_space(file.path()) };

    let mut done = Vec::new();
    let mut jobs = jobs.into_iter();
    for job in jobs.by_ref() {
        done.push(run_in_savepoint(connection, job, &limits));

        if connection.is_autocommit() {
            fail_rolled_back(done, jobs);
            return Ok(());
        }
    }

    let end = execute(connection, "COMMIT");
    // The commit counts, even if the size cannot be read.
    let _ = file.record_size(connection);

    done.into_iter().for_each(|done| (done.notify)(end.clone()));
    if limits.has_room {
        journal.checkpoint_if_long(connection);
    } else {
        // Makes the reserved space available again for the next deletion.
        let _ = journal.checkpoint(connection);
    }

    // Some errors have already rolled back the transaction.
    if end.is_err() && !connection.is_autocommit() {
        execute(connection, "ROLLBACK")
    } else {
        Ok(())
    }
}

/// Space that is left for the writes of a transaction.
struct Limits {
    /// Pages that may be in use.
    max_pages: u64,
    /// False if the disk is full. Writes are then refused, so that deletions can use the reserved
    /// space.
    has_room: bool,
}

/// Runs one job within the transaction.
fn run_in_savepoint(connection: &Connection, job: Job, limits: &Limits) -> FinishedJob {
    let max_pages = match job.kind {
        JobKind::Read => return (job.work)(Ok(connection)),
        JobKind::Write if !limits.has_room => return (job.work)(Err(StoreError::DiskFull)),
        JobKind::Write => limits.max_pages,
        JobKind::WriteAlways => u64::MAX,
    };

    let begun = used_pages(connection)
        .and_then(|before| execute(connection, "SAVEPOINT job").map(|()| before));

    let before = match begun {
        Ok(before) => before,
        Err(error) => return (job.work)(Err(error)),
    };
    let done = (job.work)(Ok(connection)).check_quota(connection, before, max_pages);
    if connection.is_autocommit() {
        return done;
    }

    // The savepoint itself is removed in both cases.
    let end = if done.failed { "ROLLBACK TO job; RELEASE job" } else { "RELEASE job" };
    match execute(connection, end) {
        Ok(()) => done,
        Err(error) => done.fail(error),
    }
}

/// Handles an error, such as a full disk, that has rolled back the whole transaction. The last
/// finished job caused it.
fn fail_rolled_back(mut done: Vec<FinishedJob>, rest: impl Iterator<Item = Job>) {
    if let Some(failed) = done.pop() {
        // This job already has the error.
        (failed.notify)(Ok(()));
    }

    let reason = StoreError::Unavailable(
        "another write of the same transaction failed and rolled it back".into(),
    );
    done.into_iter().for_each(|done| (done.notify)(Err(reason.clone())));
    rest.for_each(|job| job.fail_unrun(reason.clone()));
}

fn execute(connection: &Connection, statements: &str) -> Result<(), StoreError> {
    Ok(connection.execute_batch(statements)?)
}
