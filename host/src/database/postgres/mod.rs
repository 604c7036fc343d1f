//! PostgreSQL backend: a database that the operator provides for a tenant.
//!
//! PostgreSQL isolates the tenants: each has its own role, which owns one database and may connect
//! to no other. The host opens a few connections with that role ([`connect`]) and lends each to one
//! statement or transaction at a time ([`pool`]). A connection in an unknown state is not reused.
//! The first word of a statement decides whether it is sent at all ([`words`]).

mod connect;
mod explain;
mod idle;
mod pool;
mod run;
mod transaction;
mod types;
mod words;

use std::sync::Arc;
use std::time::Duration;

pub(super) use transaction::Transaction;

use self::connect::Connector;
use self::pool::{Lease, Pool};
use super::{DatabaseConfig, Outcome, SqlError, Statement, Value, Wanted};
use crate::tenant::{PostgresSettings, Tenant};

pub use self::connect::{check, check_password};

/// A tenant's PostgreSQL database.
pub(super) struct Postgres {
    pool: Pool,
    config: DatabaseConfig,
}

impl Postgres {
    pub(super) fn new(
        settings: PostgresSettings,
        config: DatabaseConfig,
        tls: Arc<rustls::ClientConfig>,
        tenant: Arc<Tenant>,
    ) -> Self {
        Postgres { pool: Pool::new(Connector::new(settings, &config, tls, tenant)), config }
    }

    /// Runs one statement in its own transaction.
    pub(super) async fn run(
        &self,
        statement: Statement,
        wanted: Wanted,
    ) -> Result<Outcome, SqlError> {
        words::check(&statement.text)?;

        let lease = self.lease(self.config.busy_timeout).await?;
        let outcome = if words::may_return_changes(&statement.text) {
            // The changes are complete before the last row arrives, so exceeding the limit of rows
            // must roll them back.
            run::or_nothing(lease.client(), &statement, wanted, &self.config).await
        } else {
            run::run(lease.client(), &statement, wanted, &self.config).await
        };

        lease.settle(&outcome);

        outcome
    }

    /// Queries a table of the host. Returns no rows if the table does not exist.
    pub(super) async fn own_rows(&self, statement: Statement) -> Result<Vec<Vec<Value>>, SqlError> {
        let lease = self.lease(self.config.busy_timeout).await?;
        let outcome = run::run(lease.client(), &statement, Wanted::Rows, &self.config).await;
        lease.settle(&outcome);

        match outcome {
            Ok(outcome) => Ok(outcome.rows),
            Err(SqlError::Invalid(said)) if said.contains("does not exist") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Opens a transaction that ends after `lifetime` at the latest.
    pub(super) async fn begin(
        &self,
        lifetime: Duration,
        patience: Duration,
    ) -> Result<Transaction, SqlError> {
        Transaction::begin(self.lease(patience).await?, lifetime, self.config.clone()).await
    }

    async fn lease(&self, patience: Duration) -> Result<Lease, SqlError> {
        tokio::time::timeout(patience, self.pool.lease()).await.unwrap_or(Err(SqlError::Busy))
    }

    /// Lends no more connections.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}
