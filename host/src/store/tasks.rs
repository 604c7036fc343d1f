//! Deferred tasks.
//!
//! The tasks of one request form a chain and run one after another. Tasks deferred by a task are
//! appended to its chain. A try is counted before it starts, so a task that kills the process is
//! not retried for ever. Failed tasks are kept for inspection, up to a limit.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::usage::{self, UsageKind};
use super::{StoreError, column_u64, sessions, unix_millis};
use crate::model::{ModelName, Version};
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

/// A task to defer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// Name chosen by the model.
    pub name: String,
    /// Payload for the model.
    pub payload: Vec<u8>,
}

/// Request that defers tasks.
#[derive(Clone, Debug)]
pub struct TaskOrigin {
    /// Model that was called.
    pub model: ModelName,
    /// Version that was called.
    pub version: Version,
    /// Session of the request, if any.
    pub session: Option<String>,
    /// Request id.
    pub request: String,
}

/// An unfinished chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingChain {
    /// Id of the first task of the chain.
    pub chain: i64,
    /// Session of its tasks, if any.
    pub session: Option<String>,
}

/// The next task of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextTask {
    /// Id, unique within the tenant.
    pub id: i64,
    /// Time of the next try.
    pub due: i64,
}

/// A task whose try starts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueTask {
    /// Name chosen by the model.
    pub name: String,
    /// Payload for the model.
    pub payload: Vec<u8>,
    /// Id of the request that started the chain.
    pub request: String,
    /// Number of tries, including this one.
    pub tries: u32,
    /// Number of tasks that the chain has had so far.
    pub chain_length: u32,
    /// State of the session, if the task belongs to one.
    pub session: Option<sessions::StoredSession>,
}

/// Result of starting a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryStart {
    /// The try is counted and may start.
    Started(Box<DueTask>),
    /// The process ended during the last allowed try. The task is now marked as failed.
    Failed,
    /// The task was deleted.
    Cancelled,
}

/// One entry of a task list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As in the table.
pub struct TaskInfo {
    pub id: i64,
    pub chain: i64,
    pub model: String,
    pub session: Option<String>,
    pub request: String,
    pub version: u64,
    pub name: String,
    pub deferred: i64,
    pub due: i64,
    pub tries: u32,
    /// Time of the failure; `None` while the task waits.
    pub failed: Option<i64>,
    pub error: Option<String>,
    /// Size of the payload, in bytes.
    pub size: u64,
}

/// Appends tasks to a chain, given by its number and length, or starts a chain. Returns the number
/// of the chain. Fails if the tenant has too many waiting tasks.
pub fn append(
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
    let (now, mut number, length) =
        (unix_millis(), chain.map(|(chain, _)| chain), chain.map_or(0, |(_, length)| length));

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
        usage::check_quota(connection, UsageKind::Tasks, tenant)?;
    }

    Ok(number)
}

/// Returns the unfinished chains of a model, oldest first.
pub fn pending_chains(
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
pub fn next_task(connection: &Connection, chain: i64) -> Result<Option<NextTask>, StoreError> {
    let select =
        "SELECT id, due FROM tasks WHERE chain = ?1 AND failed IS NULL ORDER BY ordinal LIMIT 1";
    let next = |row: &Row<'_>| Ok(NextTask { id: row.get(0)?, due: row.get(1)? });
    Ok(connection.prepare_cached(select)?.query_row([chain], next).optional()?)
}

/// Counts a try before it starts.
pub fn begin_try(connection: &Connection, id: i64, limit: u32) -> Result<TryStart, StoreError> {
    let select = "
        SELECT t.name, t.payload, t.request, t.tries + 1, s.state, s.version, t.session IS NOT NULL,
            (SELECT max(ordinal) FROM tasks WHERE chain = t.chain)
        FROM tasks AS t LEFT JOIN sessions AS s ON s.model = t.model AND s.id = t.session
        WHERE t.id = ?1 AND t.failed IS NULL";

    let due = |row: &Row<'_>| {
        let of_session: bool = row.get(6)?;
        let kept = sessions::StoredSession {
            state: row.get(4)?,
            version: row.get::<_, Option<i64>>(5)?.unwrap_or(0) as u64,
        };
        let session = of_session.then_some(kept);
        let (name, payload, request, tries) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);

        Ok(DueTask { name, payload, request, tries, chain_length: row.get(7)?, session })
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
pub fn undo_try(connection: &Connection, id: i64, due: i64) -> Result<(), StoreError> {
    let update = "UPDATE tasks SET tries = max(tries - 1, 0), due = ?2 WHERE id = ?1";
    connection.prepare_cached(update)?.execute([id, due])?;
    Ok(())
}

/// Records a failed try and the time of the next one.
pub fn schedule_retry(
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
pub fn mark_failed(connection: &Connection, id: i64, error: &str) -> Result<(), StoreError> {
    let update = "UPDATE tasks SET failed = ?2, error = ?3 WHERE id = ?1 AND failed IS NULL";
    connection.prepare_cached(update)?.execute(params![id, unix_millis(), error])?;

    let prune = "
        DELETE FROM tasks WHERE failed IS NOT NULL AND id <=
            (SELECT id FROM tasks WHERE failed IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?1)";
    connection.prepare_cached(prune)?.execute([MAX_FAILED])?;

    Ok(())
}

/// Deletes the session of a finished chain if it was marked to end.
pub fn delete_ended_session(
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
pub fn delete(connection: &Connection, id: i64) -> Result<Option<TaskInfo>, StoreError> {
    let found = get(connection, id)?;
    connection.prepare_cached("DELETE FROM tasks WHERE id = ?1")?.execute([id])?;
    Ok(found)
}

const SELECT_INFO: &str = "
    SELECT id, chain, model, session, request, version, name, deferred, due, tries, failed, error, length(payload)
    FROM tasks";

/// Returns one task.
pub fn get(connection: &Connection, id: i64) -> Result<Option<TaskInfo>, StoreError> {
    Ok(connection
        .prepare_cached(&format!("{SELECT_INFO} WHERE id = ?1"))?
        .query_row([id], task_info)
        .optional()?)
}

/// Returns the tasks after an id, in order, at most `limit`.
pub fn list(connection: &Connection, after: i64, limit: u32) -> Result<Vec<TaskInfo>, StoreError> {
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
