//! Numbers of sessions and waiting tasks. Triggers keep them up to date, so a quota check does not
//! count rows.

use rusqlite::Connection;

use super::{StoreError, count};
use crate::model::ModelName;
use crate::tenant::{Resource, Tenant};

/// Amounts by kind and model. The triggers are defined with the counted tables.
pub(super) const SCHEMA: &str = "
CREATE TABLE totals (
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (kind, model)
) WITHOUT ROWID;
";

/// Kind of counted row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stored sessions.
    Sessions,
    /// Waiting and running tasks.
    Tasks,
}

impl Kind {
    /// Name of the kind in the table and in the triggers.
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

/// Returns the amount over all models.
pub fn all(connection: &Connection, kind: Kind) -> Result<u64, StoreError> {
    let sum = "SELECT coalesce(sum(amount), 0) FROM totals WHERE kind = ?1";
    Ok(connection.prepare_cached(sum)?.query_row([kind.name()], |row| count(row, 0))?)
}

/// Returns the amount of one model.
pub fn of(connection: &Connection, kind: Kind, model: &ModelName) -> Result<u64, StoreError> {
    let sum = "SELECT coalesce(sum(amount), 0) FROM totals WHERE kind = ?1 AND model = ?2";
    Ok(connection
        .prepare_cached(sum)?
        .query_row([kind.name(), model.as_str()], |row| count(row, 0))?)
}

/// Checks the amount against the tenant's quota after an insertion.
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

/// Reports the current amounts to the tenant's quota.
pub fn note(connection: &Connection, tenant: &Tenant) -> Result<(), StoreError> {
    for kind in [Kind::Sessions, Kind::Tasks] {
        tenant.note_kept(kind.resource(), all(connection, kind)?);
    }
    Ok(())
}
