//! Runs statements on a connection.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio_postgres::{Client, RowStream};

use super::super::limits::{Collected, too_long};
use super::super::{DatabaseConfig, Outcome, SqlError, Statement, Wanted};
use super::explain::explain;
use super::types::{Cell, Parameter, check_columns};

/// Time beyond the server's own limit before the host gives up on a statement.
const GRACE: Duration = Duration::from_secs(1);

/// Runs one statement.
pub(super) async fn run(
    client: Option<&Client>,
    statement: &Statement,
    wanted: Wanted,
    config: &DatabaseConfig,
) -> Result<Outcome, SqlError> {
    let client = client.ok_or_else(gone)?;
    let work = async {
        let prepared = client.prepare(&statement.text).await.map_err(|error| explain(&error))?;
        let (takes, given) = (prepared.params().len(), statement.parameters.len());
        if takes != given {
            return Err(SqlError::Invalid(format!(
                "the statement has {takes} parameters, and {given} are given"
            )));
        }

        if wanted == Wanted::Rows {
            check_columns(prepared.columns())?;
        }

        let columns = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
        let rows = client.query_raw(&prepared, statement.parameters.iter().map(Parameter)).await;

        collect(rows.map_err(|error| explain(&error))?, Collected::new(config, columns), wanted)
            .await
    };
    // The server enforces the limit itself. This timeout covers an unresponsive server.
    let allowed = config.statement_time + GRACE;

    tokio::time::timeout(allowed, work)
        .await
        .unwrap_or_else(|_| Err(too_long(config.statement_time)))
}

async fn collect(
    rows: RowStream,
    mut collected: Collected<'_>,
    wanted: Wanted,
) -> Result<Outcome, SqlError> {
    let mut rows = pin!(rows);
    while let Some(row) = rows.next().await {
        let row = row.map_err(|error| explain(&error))?;
        if wanted == Wanted::Rows {
            let cells =
                (0..row.len()).map(|index| row.try_get::<_, Cell>(index).map(|cell| cell.0));
            collected.push(cells.collect::<Result<_, _>>().map_err(|error| explain(&error))?)?;
        }
    }

    let changed = rows.rows_affected().unwrap_or(0);
    Ok(Outcome { changed, ..collected.finish() })
}

/// Runs one statement that leaves no changes if it fails.
pub(super) async fn or_nothing(
    client: Option<&Client>,
    statement: &Statement,
    wanted: Wanted,
    config: &DatabaseConfig,
) -> Result<Outcome, SqlError> {
    own(client, "BEGIN").await?;

    let outcome = run(client, statement, wanted, config).await;
    // After these errors the connection is closed, which rolls back.
    match &outcome {
        Ok(_) => own(client, "COMMIT").await?,
        Err(SqlError::Limit(_) | SqlError::Unavailable(_)) => {}
        Err(_) => own(client, "ROLLBACK").await?,
    }

    outcome
}

/// Runs statements of the host.
pub(super) async fn own(client: Option<&Client>, statements: &str) -> Result<(), SqlError> {
    client.ok_or_else(gone)?.batch_execute(statements).await.map_err(|error| explain(&error))
}

fn gone() -> SqlError {
    SqlError::Unavailable("the connection has ended".into())
}
