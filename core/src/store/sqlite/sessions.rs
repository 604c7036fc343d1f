//! The table of sessions.

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::super::sessions::{SessionInfo, SessionUpdate, StoredSession};
use super::super::{StoreError, unix_millis};
use super::column_u64;
use super::row_counts::{self, CountedRows};
use crate::model::ModelName;
use crate::tenant::Tenant;

pub(super) const SCHEMA: &str = "
CREATE TABLE sessions (
    model TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    began INTEGER NOT NULL,
    used INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    ending INTEGER NOT NULL,
    state BLOB,
    PRIMARY KEY (model, id)
);
CREATE INDEX sessions_by_expiry ON sessions (model, expires);
CREATE TRIGGER session_added AFTER INSERT ON sessions BEGIN
    INSERT INTO totals VALUES ('sessions', new.model, 1) ON CONFLICT DO UPDATE SET amount = amount + 1;
END;
CREATE TRIGGER session_removed AFTER DELETE ON sessions BEGIN
    UPDATE totals SET amount = amount - 1 WHERE kind = 'sessions' AND model = old.model;
END;
";

/// Loads a session. An expired session counts as missing.
pub(super) fn load(
    connection: &Connection,
    model: &ModelName,
    id: &str,
    now: i64,
) -> Result<Option<StoredSession>, StoreError> {
    let select =
        "SELECT state, version FROM sessions WHERE model = ?1 AND id = ?2 AND expires > ?3";
    let mut select = connection.prepare_cached(select)?;
    let session = |row: &rusqlite::Row<'_>| {
        Ok(StoredSession { state: row.get(0)?, version: column_u64(row, 1)? })
    };

    Ok(select.query_row(params![model.as_str(), id, now], session).optional()?)
}

/// Stores a session. Fails with the quota if it is new and the tenant has too many.
pub(super) fn save(
    connection: &Connection,
    tenant: &Tenant,
    save: &SessionUpdate,
) -> Result<(), StoreError> {
    let now = unix_millis();
    let expires = now.saturating_add(save.idle_timeout_ms);
    let Some(state) = &save.state else {
        let update =
            "UPDATE sessions SET used = ?3, expires = ?4, ending = ?5 WHERE model = ?1 AND id = ?2";
        let values = params![save.model.as_str(), save.id, now, expires, save.ending];
        connection.prepare_cached(update)?.execute(values)?;
        return Ok(());
    };

    let upsert = "
        INSERT INTO sessions (model, id, version, began, used, expires, ending, state)
        VALUES (:model, :id, :version, :now, :now, :expires, :ending, :state)
        ON CONFLICT DO UPDATE SET version = :version, began = CASE WHEN :starts THEN :now ELSE began END,
            used = :now, expires = :expires, ending = :ending, state = :state";

    connection.prepare_cached(upsert)?.execute(named_params! {
        ":model": save.model.as_str(), ":id": save.id, ":version": save.version.number() as i64, ":now": now,
        ":expires": expires, ":starts": save.starts, ":ending": save.ending, ":state": state,
    })?;

    if save.starts {
        row_counts::check_quota(connection, CountedRows::Sessions, tenant)
    } else {
        Ok(())
    }
}

/// Stores a session after one of its tasks. The `ending` flag is unchanged.
pub(super) fn save_after_task(
    connection: &Connection,
    save: &SessionUpdate,
) -> Result<(), StoreError> {
    let now = unix_millis();
    let update = "
        UPDATE sessions SET used = :now, expires = :expires, version = CASE WHEN :changed THEN :version ELSE version END,
            state = CASE WHEN :changed THEN :state ELSE state END
        WHERE model = :model AND id = :id";

    connection.prepare_cached(update)?.execute(named_params! {
        ":model": save.model.as_str(), ":id": save.id, ":version": save.version.number() as i64, ":now": now,
        ":expires": now.saturating_add(save.idle_timeout_ms), ":changed": save.state.is_some(),
        ":state": save.state.as_ref().and_then(Option::as_ref),
    })?;
    Ok(())
}

/// Deletes a session. Returns false if there was none.
pub(super) fn delete(
    connection: &Connection,
    model: &ModelName,
    id: &str,
) -> Result<bool, StoreError> {
    let delete = "DELETE FROM sessions WHERE model = ?1 AND id = ?2";
    Ok(connection.prepare_cached(delete)?.execute([model.as_str(), id])? > 0)
}

/// Deletes a session that was marked to end after its last task.
pub(super) fn delete_if_ending(
    connection: &Connection,
    model: &str,
    id: &str,
) -> Result<(), StoreError> {
    let delete = "DELETE FROM sessions WHERE model = ?1 AND id = ?2 AND ending";
    connection.prepare_cached(delete)?.execute([model, id])?;
    Ok(())
}

/// Returns at most 1000 sessions of a model that had expired at `now`. Sessions with waiting tasks
/// are not returned.
pub(super) fn list_expired(
    connection: &Connection,
    model: &ModelName,
    now: i64,
) -> Result<Vec<String>, StoreError> {
    let select = "
        SELECT id FROM sessions AS s WHERE model = ?1 AND expires <= ?2 AND NOT EXISTS
            (SELECT 1 FROM tasks WHERE tasks.model = s.model AND tasks.session = s.id AND tasks.failed IS NULL)
        LIMIT 1000";
    let mut select = connection.prepare_cached(select)?;
    let ids = select.query_map(params![model.as_str(), now], |row| row.get(0))?;

    Ok(ids.collect::<Result<_, _>>()?)
}

/// Deletes these sessions, except those used since `now`.
pub(super) fn delete_expired(
    connection: &Connection,
    model: &ModelName,
    ids: &[String],
    now: i64,
) -> Result<(), StoreError> {
    let mut delete = connection
        .prepare_cached("DELETE FROM sessions WHERE model = ?1 AND id = ?2 AND expires <= ?3")?;

    for id in ids {
        delete.execute(params![model.as_str(), id, now])?;
    }

    Ok(())
}

/// Returns the sessions of a model after an id, in order, at most `limit`.
pub(super) fn list(
    connection: &Connection,
    model: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<SessionInfo>, StoreError> {
    let select = "
        SELECT id, coalesce(length(state), 0), version, began, used, expires FROM sessions
        WHERE model = ?1 AND id > ?2 AND expires > ?4 ORDER BY id LIMIT ?3";
    let mut select = connection.prepare_cached(select)?;
    let sessions = select.query_map(params![model, after, limit, unix_millis()], |row| {
        Ok(SessionInfo {
            id: row.get(0)?,
            size: column_u64(row, 1)?,
            version: column_u64(row, 2)?,
            began: row.get(3)?,
            used: row.get(4)?,
            expires: row.get(5)?,
        })
    })?;

    Ok(sessions.collect::<Result<_, _>>()?)
}
