//! The tables that the host keeps in a tenant's database, out of reach of guests.

/// Prefix of the host's tables.
pub(super) const HOST_PREFIX: &str = "wardian_";

/// Returns the statement that creates the table of applied migrations.
pub(super) fn create_table() -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {HOST_PREFIX}migrations (model TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, \
         applied_at TEXT NOT NULL DEFAULT (CAST(CURRENT_TIMESTAMP AS TEXT)), PRIMARY KEY (model, name))"
    )
}
