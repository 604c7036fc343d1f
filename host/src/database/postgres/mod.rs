//! The same interface over a PostgreSQL database that the operator keeps for a tenant.
//!
//! The tenants are kept apart by PostgreSQL: each has a role of its own, which owns a database of
//! its own and may connect to no other. The host opens a few connections in that role's name
//! ([`connect`]), lends each to one statement or transaction at a time ([`pool`]), and gives back
//! none that it cannot vouch for. What a statement begins with decides whether it is sent at all
//! ([`words`]).

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

/// A tenant's database in PostgreSQL.
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

    /// Carries out one statement by itself.
    pub(super) async fn run(
        &self,
        statement: Statement,
        wanted: Wanted,
    ) -> Result<Outcome, SqlError> {
        words::check(&statement.text)?;
        let lease = self.lease(self.config.busy_timeout).await?;
        let outcome = if words::may_return_changes(&statement.text) {
            // What it changes is there before its last row is; a row too many must take it back.
            run::or_nothing(lease.client(), &statement, wanted, &self.config).await
        } else {
            run::run(lease.client(), &statement, wanted, &self.config).await
        };
        lease.settle(&outcome);
        outcome
    }

    /// What is found in a table of the host's own; nothing if it is not there yet.
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

    /// Begins a transaction that ends after `lifetime` at the latest.
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
