//! Runs statements on a connection.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio_postgres::{Client, RowStream};

use super::super::limits::{RowCollector, statement_timeout};
use super::super::{DatabaseConfig, Fetch, SqlError, Statement, StatementResult};
use super::error::to_sql_error;
use super::types::{Cell, Parameter, check_columns};

/// Time beyond the server's own limit before the host gives up on a statement.
const GRACE: Duration = Duration::from_secs(1);

/// Runs one statement.
pub(super) async fn run(
    client: Option<&Client>,
    statement: &Statement,
    fetch: Fetch,
    config: &DatabaseConfig,
) -> Result<StatementResult, SqlError> {
    let client = client.ok_or_else(connection_closed)?;
    let work = async {
        let prepared =
            client.prepare(&statement.text).await.map_err(|error| to_sql_error(&error))?;
        let (takes, given) = (prepared.params().len(), statement.parameters.len());
        if takes != given {
            return Err(SqlError::Invalid(format!(
                "the statement has {takes} parameters, and {given} are given"
            )));
        }

        if fetch == Fetch::Rows {
            check_columns(prepared.columns())?;
        }

        let columns = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
        let rows = client.query_raw(&prepared, statement.parameters.iter().map(Parameter)).await;

        collect(
            rows.map_err(|error| to_sql_error(&error))?,
            RowCollector::new(config, columns),
            fetch,
        )
        .await
    };
    // The server enforces the limit itself. This timeout covers an unresponsive server.
    let allowed = config.statement_time + GRACE;

    tokio::time::timeout(allowed, work)
        .await
        .unwrap_or_else(|_| Err(statement_timeout(config.statement_time)))
}

async fn collect(
    rows: RowStream,
    mut collected: RowCollector<'_>,
    fetch: Fetch,
) -> Result<StatementResult, SqlError> {
    let mut rows = pin!(rows);
    while let Some(row) = rows.next().await {
        let row = row.map_err(|error| to_sql_error(&error))?;
        if fetch == Fetch::Rows {
            let cells =
                (0..row.len()).map(|index| row.try_get::<_, Cell>(index).map(|cell| cell.0));
            collected
                .push(cells.collect::<Result<_, _>>().map_err(|error| to_sql_error(&error))?)?;
        }
    }

    let changed = rows.rows_affected().unwrap_or(0);
    Ok(StatementResult { changed, ..collected.finish() })
}

/// Runs one statement that leaves no changes if it fails.
pub(super) async fn run_in_transaction(
    client: Option<&Client>,
    statement: &Statement,
    fetch: Fetch,
    config: &DatabaseConfig,
) -> Result<StatementResult, SqlError> {
    execute_trusted(client, "BEGIN").await?;

    let outcome = run(client, statement, fetch, config).await;
    // After these errors the connection is closed, which rolls back.
    match &outcome {
        Ok(_) => execute_trusted(client, "COMMIT").await?,
        Err(SqlError::Limit(_) | SqlError::Unavailable(_)) => {}
        Err(_) => execute_trusted(client, "ROLLBACK").await?,
    }

    outcome
}

/// Runs statements without the allowlist.
pub(super) async fn execute_trusted(
    client: Option<&Client>,
    statements: &str,
) -> Result<(), SqlError> {
    client
        .ok_or_else(connection_closed)?
        .batch_execute(statements)
        .await
        .map_err(|error| to_sql_error(&error))
}

fn connection_closed() -> SqlError {
    SqlError::Unavailable("the connection has ended".into())
}
