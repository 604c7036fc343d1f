//! PostgreSQL backend: a database that the operator provides for a tenant.
//!
//! PostgreSQL isolates the tenants: each has its own role, which owns one database and may connect
//! to no other. The host opens a few connections with that role ([`connect`]) and lends each to one
//! statement or transaction at a time ([`pool`]). A connection in an unknown state is not reused.
//! The first word of a statement decides whether it is sent at all ([`statement_allowlist`]).

mod connect;
mod error;
mod idle_list;
mod pool;
mod run;
mod statement_allowlist;
mod transaction;
mod types;

use std::sync::Arc;
use std::time::Duration;

pub(super) use transaction::Transaction;

use self::connect::Connector;
use self::pool::{Lease, Pool};
use super::{DatabaseConfig, Fetch, SqlError, Statement, StatementResult, Value};
use crate::tenant::{PostgresSettings, Tenant};

pub use self::connect::{check_password, check_url};

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
        fetch: Fetch,
    ) -> Result<StatementResult, SqlError> {
        statement_allowlist::check(&statement.text)?;

        let lease = self.lease(self.config.busy_timeout).await?;
        let outcome = if statement_allowlist::may_return_changes(&statement.text) {
            // The changes are complete before the last row arrives, so exceeding the limit of rows
            // must roll them back.
            run::run_in_transaction(lease.client(), &statement, fetch, &self.config).await
        } else {
            run::run(lease.client(), &statement, fetch, &self.config).await
        };

        lease.release(&outcome);

        outcome
    }

    /// Queries a table of the host. Returns no rows if the table does not exist.
    pub(super) async fn host_table_rows(
        &self,
        statement: Statement,
    ) -> Result<Vec<Vec<Value>>, SqlError> {
        let lease = self.lease(self.config.busy_timeout).await?;
        let outcome = run::run(lease.client(), &statement, Fetch::Rows, &self.config).await;
        lease.release(&outcome);

        match outcome {
            Ok(outcome) => Ok(outcome.rows),
            Err(SqlError::Invalid(text)) if text.contains("does not exist") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Opens a transaction that ends after `lifetime` at the latest.
    pub(super) async fn begin(
        &self,
        lifetime: Duration,
        timeout: Duration,
    ) -> Result<Transaction, SqlError> {
        Transaction::begin(self.lease(timeout).await?, lifetime, self.config.clone()).await
    }

    async fn lease(&self, timeout: Duration) -> Result<Lease, SqlError> {
        tokio::time::timeout(timeout, self.pool.lease()).await.unwrap_or(Err(SqlError::Busy))
    }

    /// Lends no more connections.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}
