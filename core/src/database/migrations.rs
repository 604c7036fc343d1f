//! Migrations of a model's tables.
//!
//! Applied migrations are recorded in a table of the host, by model and name, with a digest of
//! their statements.

use std::collections::{BTreeMap, BTreeSet};

use super::own_tables::{HOST_PREFIX, create_table};
use super::{Database, SqlError, Statement, Transaction, Value};
use crate::model::Digest;

/// One migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Name, unique within the model.
    pub name: String,
    /// One or more statements.
    pub statements: String,
}

/// Limit of a model's migrations.
const MAX_MIGRATIONS: usize = 1000;

/// Limit of the names and statements together, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// Returns the number of migrations that have not run yet. Fails with `Invalid` if the statements
/// of an applied one have changed.
pub(super) async fn pending(
    database: &Database,
    model: &str,
    migrations: &[Migration],
) -> Result<usize, SqlError> {
    check(migrations)?;

    if migrations.is_empty() {
        return Ok(0);
    }

    let applied = applied(database.host_table_rows(select_applied(model)).await?);
    Ok(not_applied(&applied, migrations)?.len())
}

/// Runs the migrations that have not run yet, in order.
pub(super) async fn run(
    transaction: &Transaction,
    model: &str,
    migrations: &[Migration],
) -> Result<(), SqlError> {
    transaction.lock_migrations().await?;
    transaction
        .run_on_host_tables(Statement { text: create_table(), parameters: Vec::new() })
        .await?;

    let applied = applied(transaction.run_on_host_tables(select_applied(model)).await?.rows);
    for migration in not_applied(&applied, migrations)? {
        transaction
            .run_migration(&migration.statements)
            .await
            .map_err(|error| name_migration(&migration.name, error))?;
        transaction.run_on_host_tables(insert_applied(model, migration)).await?;
    }

    Ok(())
}

fn check(migrations: &[Migration]) -> Result<(), SqlError> {
    let bytes: usize =
        migrations.iter().map(|migration| migration.statements.len() + migration.name.len()).sum();

    if migrations.len() > MAX_MIGRATIONS || bytes > MAX_BYTES {
        return Err(SqlError::Limit(format!(
            "more than {MAX_MIGRATIONS} migrations or {MAX_BYTES} bytes of them"
        )));
    }

    let mut names = BTreeSet::new();
    match migrations.iter().find(|migration| !names.insert(&migration.name)) {
        Some(duplicate) => {
            Err(SqlError::Invalid(format!("two migrations are called '{}'", duplicate.name)))
        }
        None => Ok(()),
    }
}

/// Returns the migrations that have not run yet, in order.
fn not_applied<'m>(
    applied: &BTreeMap<String, String>,
    migrations: &'m [Migration],
) -> Result<Vec<&'m Migration>, SqlError> {
    let changed = |migration: &&Migration| {
        applied.get(&migration.name).is_some_and(|before| *before != digest(&migration.statements))
    };

    if let Some(Migration { name, .. }) = migrations.iter().find(changed) {
        return Err(SqlError::Invalid(format!(
            "migration '{name}' has run with other statements; leave it as it was and add another"
        )));
    }

    Ok(migrations.iter().filter(|migration| !applied.contains_key(&migration.name)).collect())
}

fn applied(rows: Vec<Vec<Value>>) -> BTreeMap<String, String> {
    let pair = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
        Ok([Value::Text(name), Value::Text(digest)]) => Some((name, digest)),
        _ => None,
    };
    rows.into_iter().filter_map(pair).collect()
}

fn select_applied(model: &str) -> Statement {
    let text = format!("SELECT name, digest FROM {HOST_PREFIX}migrations WHERE model = $1");
    Statement { text, parameters: vec![Value::Text(model.into())] }
}

fn insert_applied(model: &str, migration: &Migration) -> Statement {
    let text =
        format!("INSERT INTO {HOST_PREFIX}migrations (model, name, digest) VALUES ($1, $2, $3)");
    let values = [model.to_owned(), migration.name.clone(), digest(&migration.statements)];
    Statement { text, parameters: values.map(Value::Text).into() }
}

fn digest(statements: &str) -> String {
    Digest::sha256(statements.as_bytes()).to_string()
}

fn name_migration(name: &str, error: SqlError) -> SqlError {
    let with_name = |text: String| format!("migration '{name}': {text}");
    match error {
        SqlError::Invalid(text) => SqlError::Invalid(with_name(text)),
        SqlError::Constraint(text) => SqlError::Constraint(with_name(text)),
        SqlError::Limit(text) => SqlError::Limit(with_name(text)),
        SqlError::Denied(text) => SqlError::Denied(with_name(text)),
        other => other,
    }
}
