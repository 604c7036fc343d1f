//! The table of deferred tasks.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::super::sessions::{SessionUpdate, StoredSession};
use super::super::tasks::{
    DueTask, NewTask, NextTask, PendingChain, TaskInfo, TaskOrigin, TryEnd, TryRecord, TryStart,
};
use super::super::{StoreError, unix_millis};
use super::row_counts::{self, CountedRows};
use super::{column_u64, sessions};
use crate::model::ModelName;
use crate::tenant::Tenant;

pub(super) const SCHEMA: &str = "
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    chain INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    model TEXT NOT NULL,
    session TEXT,
    request TEXT NOT NULL,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    deferred INTEGER NOT NULL,
    due INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    failed INTEGER,
    error TEXT,
    payload BLOB NOT NULL
);
CREATE INDEX tasks_by_chain ON tasks (chain, ordinal);
CREATE INDEX tasks_by_model ON tasks (model, session) WHERE failed IS NULL;
CREATE INDEX tasks_failed ON tasks (id) WHERE failed IS NOT NULL;
CREATE TRIGGER task_added AFTER INSERT ON tasks BEGIN
    INSERT INTO totals VALUES ('tasks', new.model, 1) ON CONFLICT DO UPDATE SET amount = amount + 1;
END;
CREATE TRIGGER task_failed AFTER UPDATE OF failed ON tasks WHEN old.failed IS NULL AND new.failed IS NOT NULL BEGIN
    UPDATE totals SET amount = amount - 1 WHERE kind = 'tasks' AND model = old.model;
END;
CREATE TRIGGER task_removed AFTER DELETE ON tasks WHEN old.failed IS NULL BEGIN
    UPDATE totals SET amount = amount - 1 WHERE kind = 'tasks' AND model = old.model;
END;
";

/// Limit of failed tasks kept per tenant. The oldest are deleted first.
const MAX_FAILED: u32 = 1000;

/// Appends tasks to a chain, given by its number and length, or starts a chain. Returns the number
/// of the chain. Fails if the tenant has too many waiting tasks.
pub(super) fn append(
    connection: &Connection,
    tenant: &Tenant,
    origin: &TaskOrigin,
    chain: Option<(i64, u32)>,
    tasks: &[NewTask],
) -> Result<Option<i64>, StoreError> {
    let insert = "
        INSERT INTO tasks (chain, ordinal, model, session, request, version, name, deferred, due, tries, payload)
        VALUES (:chain, :ordinal, :model, :session, :request, :version, :name, :now, :now, 0, :payload)";
    let mut insert = connection.prepare_cached(insert)?;
    let now = unix_millis();
    let (mut number, length) = chain.map_or((None, 0), |(chain, length)| (Some(chain), length));

    for (ordinal, task) in (length + 1..).zip(tasks) {
        insert.execute(named_params! {
            ":chain": number.unwrap_or(0), ":ordinal": ordinal, ":model": origin.model.as_str(),
            ":session": origin.session, ":request": origin.request, ":version": origin.version.number() as i64,
            ":name": task.name, ":now": now, ":payload": task.payload,
        })?;

        if number.is_none() {
            // The number of a chain is the id of its first task.
            let first = connection.last_insert_rowid();
            connection
                .prepare_cached("UPDATE tasks SET chain = id WHERE id = ?1")?
                .execute([first])?;
            number = Some(first);
        }
    }

    if !tasks.is_empty() {
        row_counts::check_quota(connection, CountedRows::Tasks, tenant)?;
    }

    Ok(number)
}

/// Returns the unfinished chains of a model, oldest first.
pub(super) fn pending_chains(
    connection: &Connection,
    model: &ModelName,
) -> Result<Vec<PendingChain>, StoreError> {
    let select = "SELECT DISTINCT chain, session FROM tasks WHERE model = ?1 AND failed IS NULL ORDER BY chain";
    let mut select = connection.prepare_cached(select)?;
    let pending = |row: &Row<'_>| Ok(PendingChain { chain: row.get(0)?, session: row.get(1)? });
    let chains = select.query_map([model.as_str()], pending)?;

    Ok(chains.collect::<Result<_, _>>()?)
}

/// Returns the next task of a chain; `None` if the chain is finished.
pub(super) fn next_task(
    connection: &Connection,
    chain: i64,
) -> Result<Option<NextTask>, StoreError> {
    let select =
        "SELECT id, due FROM tasks WHERE chain = ?1 AND failed IS NULL ORDER BY ordinal LIMIT 1";
    let next = |row: &Row<'_>| Ok(NextTask { id: row.get(0)?, due: row.get(1)? });
    Ok(connection.prepare_cached(select)?.query_row([chain], next).optional()?)
}

/// Counts a try before it starts.
pub(super) fn begin_try(
    connection: &Connection,
    id: i64,
    limit: u32,
) -> Result<TryStart, StoreError> {
    let select = "
        SELECT t.name, t.payload, t.request, t.tries + 1, s.state, s.version, t.session IS NOT NULL,
            (SELECT max(ordinal) FROM tasks WHERE chain = t.chain)
        FROM tasks AS t LEFT JOIN sessions AS s ON s.model = t.model AND s.id = t.session
        WHERE t.id = ?1 AND t.failed IS NULL";

    let due = |row: &Row<'_>| {
        let has_session: bool = row.get(6)?;
        let session = StoredSession {
            state: row.get(4)?,
            version: row.get::<_, Option<i64>>(5)?.unwrap_or(0) as u64,
        };

        Ok(DueTask {
            name: row.get(0)?,
            payload: row.get(1)?,
            request: row.get(2)?,
            tries: row.get(3)?,
            chain_length: row.get(7)?,
            session: has_session.then_some(session),
        })
    };

    let Some(due) = connection.prepare_cached(select)?.query_row([id], due).optional()? else {
        return Ok(TryStart::Cancelled);
    };

    if due.tries > limit {
        mark_failed(connection, id, "the server ended during the last try")?;
        return Ok(TryStart::Failed);
    }

    connection
        .prepare_cached("UPDATE tasks SET tries = ?2 WHERE id = ?1")?
        .execute(params![id, due.tries])?;

    Ok(TryStart::Started(Box::new(due)))
}

/// Reverts a counted try that did not start.
fn undo_try(connection: &Connection, id: i64, due: i64) -> Result<(), StoreError> {
    let update = "UPDATE tasks SET tries = max(tries - 1, 0), due = ?2 WHERE id = ?1";
    connection.prepare_cached(update)?.execute([id, due])?;
    Ok(())
}

/// Records a failed try and the time of the next one.
fn schedule_retry(
    connection: &Connection,
    id: i64,
    due: i64,
    error: &str,
) -> Result<(), StoreError> {
    let update = "UPDATE tasks SET due = ?2, error = ?3 WHERE id = ?1 AND failed IS NULL";
    connection.prepare_cached(update)?.execute(params![id, due, error])?;
    Ok(())
}

/// Marks a task as failed. Deletes the oldest failed tasks beyond the limit.
fn mark_failed(connection: &Connection, id: i64, error: &str) -> Result<(), StoreError> {
    let update = "UPDATE tasks SET failed = ?2, error = ?3 WHERE id = ?1 AND failed IS NULL";
    connection.prepare_cached(update)?.execute(params![id, unix_millis(), error])?;

    let prune = "
        DELETE FROM tasks WHERE failed IS NOT NULL AND id <=
            (SELECT id FROM tasks WHERE failed IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?1)";
    connection.prepare_cached(prune)?.execute([MAX_FAILED])?;

    Ok(())
}

/// Commits the outcome of a try. Returns false if its task was deleted.
pub(super) fn record_try(
    connection: &Connection,
    tenant: &Tenant,
    record: &TryRecord,
) -> Result<bool, StoreError> {
    if get(connection, record.task)?.is_none() {
        return Ok(false);
    }

    match &record.end {
        TryEnd::Done { update, deferred } => {
            save_session(connection, update.as_ref())?;
            // Deleted first, so that it makes room for the new tasks.
            delete(connection, record.task)?;
            let chain = Some((record.chain, record.chain_length));
            append(connection, tenant, &record.origin, chain, deferred)?;
        }
        TryEnd::Retry { due, error } => schedule_retry(connection, record.task, *due, error)?,
        TryEnd::Failed { update, error } => {
            save_session(connection, update.as_ref())?;
            mark_failed(connection, record.task, error)?;
        }
        TryEnd::NotTried { due } => {
            undo_try(connection, record.task, *due)?;
            return Ok(true);
        }
    }

    if let Some(session) = &record.origin.session {
        delete_ended_session(connection, record.chain, record.origin.model.as_str(), session)?;
    }
    row_counts::record(connection, tenant)?;

    Ok(true)
}

fn save_session(connection: &Connection, update: Option<&SessionUpdate>) -> Result<(), StoreError> {
    update.map_or(Ok(()), |update| sessions::save_after_task(connection, update))
}

/// Deletes the session of a finished chain if it was marked to end.
pub(super) fn delete_ended_session(
    connection: &Connection,
    chain: i64,
    model: &str,
    session: &str,
) -> Result<(), StoreError> {
    if next_task(connection, chain)?.is_none() {
        sessions::delete_if_ending(connection, model, session)?;
    }
    Ok(())
}

/// Deletes a task, waiting or failed, and returns it.
pub(super) fn delete(connection: &Connection, id: i64) -> Result<Option<TaskInfo>, StoreError> {
    let found = get(connection, id)?;
    connection.prepare_cached("DELETE FROM tasks WHERE id = ?1")?.execute([id])?;
    Ok(found)
}

const SELECT_INFO: &str = "
    SELECT id, chain, model, session, request, version, name, deferred, due, tries, failed, error, length(payload)
    FROM tasks";

/// Returns one task.
pub(super) fn get(connection: &Connection, id: i64) -> Result<Option<TaskInfo>, StoreError> {
    Ok(connection
        .prepare_cached(&format!("{SELECT_INFO} WHERE id = ?1"))?
        .query_row([id], task_info)
        .optional()?)
}

/// Returns the tasks after an id, in order, at most `limit`.
pub(super) fn list(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> Result<Vec<TaskInfo>, StoreError> {
    let mut select =
        connection.prepare_cached(&format!("{SELECT_INFO} WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
    let tasks = select.query_map(params![after, limit], task_info)?;
    Ok(tasks.collect::<Result<_, _>>()?)
}

fn task_info(row: &Row<'_>) -> rusqlite::Result<TaskInfo> {
    Ok(TaskInfo {
        id: row.get(0)?,
        chain: row.get(1)?,
        model: row.get(2)?,
        session: row.get(3)?,
        request: row.get(4)?,
        version: column_u64(row, 5)?,
        name: row.get(6)?,
        deferred: row.get(7)?,
        due: row.get(8)?,
        tries: row.get(9)?,
        failed: row.get(10)?,
        error: row.get(11)?,
        size: column_u64(row, 12)?,
    })
}
