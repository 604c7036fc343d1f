//! How much there is of what is counted: kept beside the tables by the database itself, so that a
//! limit is checked without counting.

use rusqlite::Connection;

use super::{StoreError, count};
use crate::model::ModelName;
use crate::tenant::{Resource, Tenant};

/// By kind and model. The tables that are counted bring the triggers.
pub(super) const SCHEMA: &str = "
CREATE TABLE totals (
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (kind, model)
) WITHOUT ROWID;
";

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sessions that are kept.
    Sessions,
    /// Tasks that wait or run.
    Tasks,
}

impl Kind {
    /// Its name in the table, and in the triggers.
    fn name(self) -> &'static str {
        match self {
            Kind::Sessions => "sessions",
            Kind::Tasks => "tasks",
        }
    }

    fn resource(self) -> Resource {
        match self {
            Kind::Sessions => Resource::Sessions,
            Kind::Tasks => Resource::Tasks,
        }
    }
}

/// How many there are of all models together.
pub fn all(connection: &Connection, kind: Kind) -> Result<u64, StoreError> {
    let sum = "SELECT coalesce(sum(amount), 0) FROM totals WHERE kind = ?1";
    Ok(connection.prepare_cached(sum)?.query_row([kind.name()], |row| count(row, 0))?)
}

/// How many there are of one model.
pub fn of(connection: &Connection, kind: Kind, model: &ModelName) -> Result<u64, StoreError> {
    let sum = "SELECT coalesce(sum(amount), 0) FROM totals WHERE kind = ?1 AND model = ?2";
    Ok(connection
        .prepare_cached(sum)?
        .query_row([kind.name(), model.as_str()], |row| count(row, 0))?)
}

/// Holds what there is now against the tenant's quota, after something was added.
pub(super) fn check(
    connection: &Connection,
    kind: Kind,
    tenant: &Tenant,
) -> Result<(), StoreError> {
    let (amount, resource) = (all(connection, kind)?, kind.resource());
    if amount > tenant.settings().quota.of(resource) {
        return Err(StoreError::Refused(tenant.refuse(resource)));
    }
    tenant.note_kept(resource, amount);
    Ok(())
}

/// Tells the tenant how much it keeps now.
pub fn note(connection: &Connection, tenant: &Tenant) -> Result<(), StoreError> {
    for kind in [Kind::Sessions, Kind::Tasks] {
        tenant.note_kept(kind.resource(), all(connection, kind)?);
    }
    Ok(())
}
