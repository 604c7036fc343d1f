//! The numbers of sessions and of waiting tasks. Triggers keep them up to date, so a quota check
//! does not count rows.

use rusqlite::Connection;

use super::super::StoreError;
use super::column_u64;
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

/// The rows that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountedRows {
    /// Stored sessions.
    Sessions,
    /// Waiting and running tasks.
    Tasks,
}

impl CountedRows {
    /// Name of the kind in the table and in the triggers.
    fn name(self) -> &'static str {
        match self {
            CountedRows::Sessions => "sessions",
            CountedRows::Tasks => "tasks",
        }
    }

    fn resource(self) -> Resource {
        match self {
            CountedRows::Sessions => Resource::Sessions,
            CountedRows::Tasks => Resource::Tasks,
        }
    }
}

/// Returns the amount over all models.
fn total(connection: &Connection, kind: CountedRows) -> Result<u64, StoreError> {
    let sum = "SELECT coalesce(sum(amount), 0) FROM totals WHERE kind = ?1";
    Ok(connection.prepare_cached(sum)?.query_row([kind.name()], |row| column_u64(row, 0))?)
}

/// Returns the amount of one model.
pub(super) fn for_model(
    connection: &Connection,
    kind: CountedRows,
    model: &ModelName,
) -> Result<u64, StoreError> {
    let sum = "SELECT coalesce(sum(amount), 0) FROM totals WHERE kind = ?1 AND model = ?2";
    Ok(connection
        .prepare_cached(sum)?
        .query_row([kind.name(), model.as_str()], |row| column_u64(row, 0))?)
}

/// Checks the amount against the tenant's quota after an insertion.
pub(super) fn check_quota(
    connection: &Connection,
    kind: CountedRows,
    tenant: &Tenant,
) -> Result<(), StoreError> {
    let (amount, resource) = (total(connection, kind)?, kind.resource());
    if amount > tenant.settings().quota.limit(resource) {
        return Err(StoreError::QuotaExceeded(tenant.refuse(resource)));
    }

    tenant.set_kept(resource, amount);
    Ok(())
}

/// Reports the current amounts to the tenant's quota.
pub(super) fn record(connection: &Connection, tenant: &Tenant) -> Result<(), StoreError> {
    for kind in [CountedRows::Sessions, CountedRows::Tasks] {
        tenant.set_kept(kind.resource(), total(connection, kind)?);
    }
    Ok(())
}
