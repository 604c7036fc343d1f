//! The sessions that are kept: each has a state, the version that wrote it, and a time after which
//! it is over.
//!
//! Times are milliseconds of the host's clock since 1970, so that they mean the same after a
//! restart.

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::totals::{self, Kind};
use super::{StoreError, count, since_1970};
use crate::model::{ModelName, Version};
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

/// What was kept of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What the model keeps.
    pub state: Option<Vec<u8>>,
    /// The number of the version that wrote it.
    pub version: u64,
}

/// What is to be kept of a session.
#[derive(Clone, Debug)]
pub struct Save {
    /// Whose session it is.
    pub model: ModelName,
    /// The caller's name for it.
    pub id: String,
    /// The version that asks.
    pub version: Version,
    /// The state, if it is another one than before.
    pub state: Option<Option<Vec<u8>>>,
    /// It begins with this.
    pub begins: bool,
    /// It is over once its tasks are done.
    pub ending: bool,
    /// When it is over if nobody uses it, in milliseconds from now.
    pub idle_timeout_ms: i64,
}

/// A session as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The caller's name for it.
    pub id: String,
    /// Bytes of its state.
    pub size: u64,
    /// The number of the version that wrote it.
    pub version: u64,
    /// When it began, when it was last used, and when it is over if it is not used again.
    pub times: [i64; 3],
}

/// Finds a session. One whose time is over is none, unless tasks of it still wait.
pub fn load(
    connection: &Connection,
    model: &ModelName,
    id: &str,
    now: i64,
) -> Result<Option<Kept>, StoreError> {
    let select =
        "SELECT state, version FROM sessions WHERE model = ?1 AND id = ?2 AND expires > ?3";
    let mut select = connection.prepare_cached(select)?;
    let kept = |row: &rusqlite::Row<'_>| Ok(Kept { state: row.get(0)?, version: count(row, 1)? });
    Ok(select.query_row(params![model.as_str(), id, now], kept).optional()?)
}

/// Keeps a session. Fails if the tenant may not keep one more.
pub fn save(connection: &Connection, tenant: &Tenant, save: &Save) -> Result<(), StoreError> {
    let now = since_1970();
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
        ON CONFLICT DO UPDATE SET version = :version, began = CASE WHEN :begins THEN :now ELSE began END,
            used = :now, expires = :expires, ending = :ending, state = :state";
    connection.prepare_cached(upsert)?.execute(named_params! {
        ":model": save.model.as_str(), ":id": save.id, ":version": save.version.number() as i64, ":now": now,
        ":expires": expires, ":begins": save.begins, ":ending": save.ending, ":state": state,
    })?;
    if save.begins { totals::check(connection, Kind::Sessions, tenant) } else { Ok(()) }
}

/// Keeps a session after one of its tasks. Whether it is to end stays as it was.
pub fn save_after_task(connection: &Connection, save: &Save) -> Result<(), StoreError> {
    let now = since_1970();
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

/// Forgets a session. Tells whether there was one.
pub fn remove(connection: &Connection, model: &ModelName, id: &str) -> Result<bool, StoreError> {
    let delete = "DELETE FROM sessions WHERE model = ?1 AND id = ?2";
    Ok(connection.prepare_cached(delete)?.execute([model.as_str(), id])? > 0)
}

/// Forgets a session that was to end with its last task.
pub(super) fn end(connection: &Connection, model: &str, id: &str) -> Result<(), StoreError> {
    let delete = "DELETE FROM sessions WHERE model = ?1 AND id = ?2 AND ending";
    connection.prepare_cached(delete)?.execute([model, id])?;
    Ok(())
}

/// Sessions of a model whose time was over at `now`, some of them if there are many. One with tasks
/// that wait is not over.
pub fn expired(
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

/// Forgets these, unless they were used since `now`.
pub fn expire(
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

/// The sessions of a model after that name, in order, at most `limit`.
pub fn list(
    connection: &Connection,
    model: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<Listed>, StoreError> {
    let select = "
        SELECT id, coalesce(length(state), 0), version, began, used, expires FROM sessions
        WHERE model = ?1 AND id > ?2 AND expires > ?4 ORDER BY id LIMIT ?3";
    let mut select = connection.prepare_cached(select)?;
    let listed = select.query_map(params![model, after, limit, since_1970()], |row| {
        let times = [row.get(3)?, row.get(4)?, row.get(5)?];
        Ok(Listed { id: row.get(0)?, size: count(row, 1)?, version: count(row, 2)?, times })
    })?;
    Ok(listed.collect::<Result<_, _>>()?)
}
