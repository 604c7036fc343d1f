//! The tenants' SQL databases.
//!
//! Each tenant has one: a SQLite file, or a PostgreSQL database if the operator has configured one.
//! [`Databases`] returns the [`Database`] of a tenant. A [`Database`] runs single statements and
//! opens [`Transaction`]s. Limits that do not depend on the backend are in [`limits`]; each backend
//! ([`sqlite`], [`postgres`]) adds its own. Callers do not need to know the backend. Statements
//! come from guests and are treated as hostile.
//!
//! Before a version is published, its [`migrations`] and its validation run in one transaction, a
//! [`ValidationTransaction`]. The migrations are committed if the version is published; the writes
//! of the validation never are.

mod config;
mod limits;
mod metrics;
mod migrations;
mod own_tables;
pub mod postgres;
mod sqlite;
mod transaction;
mod validation;
mod value;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

pub use config::DatabaseConfig;
pub use metrics::DatabaseMetrics;
pub use migrations::Migration;
pub use postgres::check_password;
pub use transaction::Transaction;
pub use validation::{NestedTransaction, ValidationTransaction};
pub use value::{Fetch, SqlError, Statement, StatementResult, Value};

use crate::journal;
use crate::model::TenantName;
use crate::mutex::lock;
pub use crate::tenant::CpuMeter;
use crate::tenant::{FairScheduler, PostgresSettings, Tenant};
use metrics::StatementMetrics;
use postgres::Postgres;
use sqlite::Sqlite;
#[cfg(fuzzing)]
pub use sqlite::fuzzing;

const FILE_NAME: &str = "database.sqlite";

/// The databases of all tenants. A clone is shallow.
#[derive(Clone)]
pub struct Databases {
    inner: Arc<DatabasesInner>,
}

struct DatabasesInner {
    /// Parent of the tenants' folders.
    root: PathBuf,
    config: DatabaseConfig,
    /// TLS settings of connections to PostgreSQL.
    tls: Arc<rustls::ClientConfig>,
    /// Scheduler of all work done for tenants.
    turns: Arc<FairScheduler>,
    /// Runtime whose threads have normal priority. Guest threads have idle priority.
    runtime: Option<Handle>,
    metrics: DatabaseMetrics,
    open: Mutex<HashMap<TenantName, Arc<Database>>>,
}

/// The database of one tenant.
pub struct Database {
    backend: Backend,
    /// Location in PostgreSQL; `None` for a SQLite file.
    settings: Option<PostgresSettings>,
    owner: Weak<Tenant>,
    config: DatabaseConfig,
    tenant_metrics: StatementMetrics,
}

enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Databases {
    /// Creates the databases below `root`. None is opened yet.
    pub fn new(
        root: PathBuf,
        config: DatabaseConfig,
        tls: Arc<rustls::ClientConfig>,
        turns: Arc<FairScheduler>,
        metrics: DatabaseMetrics,
    ) -> Self {
        let (runtime, open) = (Handle::try_current().ok(), Mutex::default());
        Databases {
            inner: Arc::new(DatabasesInner { root, config, tls, turns, runtime, metrics, open }),
        }
    }

    /// Returns the scheduler of the statements.
    pub fn turns(&self) -> &Arc<FairScheduler> {
        &self.inner.turns
    }

    /// Returns the database of a tenant. It is opened by the first statement.
    pub fn for_tenant(&self, tenant: &Arc<Tenant>) -> Arc<Database> {
        let mut open = self.lock();
        match open.get(tenant.name()) {
            Some(database) if database.is_current_for(tenant) => database.clone(),
            // There is none yet, or the tenant or its settings have changed.
            _ => {
                let database = Arc::new(self.create(tenant));
                // A late call of a removed tenant must not register a database in the name of its
                // successor.
                if !tenant.is_removed() {
                    open.insert(tenant.name().clone(), database.clone());
                }

                database
            }
        }
    }

    fn create(&self, tenant: &Arc<Tenant>) -> Database {
        let DatabasesInner { root, config, tls, turns, runtime, metrics, .. } = &*self.inner;
        let (settings, owner) = (tenant.settings().database.clone(), Arc::downgrade(tenant));
        let backend = match settings.clone() {
            Some(settings) => Backend::Postgres(Postgres::new(
                settings,
                config.clone(),
                tls.clone(),
                tenant.clone(),
            )),
            None => {
                let path = root.join(tenant.name().as_str()).join(FILE_NAME);
                Backend::Sqlite(Sqlite::new(
                    path,
                    config.clone(),
                    tenant.clone(),
                    turns.clone(),
                    runtime.clone(),
                ))
            }
        };

        Database {
            backend,
            settings,
            owner,
            config: config.clone(),
            tenant_metrics: metrics.for_tenant(tenant),
        }
    }

    /// Removes the database of a removed tenant. Its connections close with the last instance that
    /// uses it.
    pub fn remove(&self, tenant: &TenantName) {
        self.lock().remove(tenant);
        self.inner.metrics.remove(tenant);
    }

    /// Closes every database after its running work. Blocks until `until` at the latest. A database
    /// that is not closed by then loses nothing and takes longer to open.
    pub fn close(&self, until: Instant) {
        let open: Vec<_> = self.lock().drain().map(|(_, database)| database).collect();
        open.iter().for_each(|database| database.close());
        open.iter().for_each(|database| database.wait_closed(until));
        journal::checkpoint_abandoned(&self.inner.root, FILE_NAME, until);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantName, Arc<Database>>> {
        lock(&self.inner.open)
    }
}

impl Database {
    /// Runs one statement in its own transaction. Dropping the future cancels it. The statement
    /// runs completely or not at all.
    pub async fn run(
        &self,
        statement: Statement,
        fetch: Fetch,
        cpu_meter: &CpuMeter,
    ) -> Result<StatementResult, SqlError> {
        let work = async {
            statement.check()?;

            match &self.backend {
                Backend::Sqlite(sqlite) => sqlite.run(statement, fetch, cpu_meter).await,
                Backend::Postgres(postgres) => postgres.run(statement, fetch).await,
            }
        };
        self.tenant_metrics.observe(work).await
    }

    /// Opens a transaction with a limited lifetime. Waits a limited time for other writers.
    pub async fn begin(self: &Arc<Self>, cpu_meter: &CpuMeter) -> Result<Transaction, SqlError> {
        let (lifetime, timeout) = (self.config.transaction_time, self.config.busy_timeout);
        self.tenant_metrics.observe(self.open(lifetime, timeout, cpu_meter)).await
    }

    /// True if the database belongs to this tenant object and its current settings.
    fn is_current_for(&self, tenant: &Arc<Tenant>) -> bool {
        std::ptr::eq(self.owner.as_ptr(), Arc::as_ptr(tenant))
            && self.settings == tenant.settings().database
    }

    async fn open(
        self: &Arc<Self>,
        lifetime: Duration,
        timeout: Duration,
        cpu_meter: &CpuMeter,
    ) -> Result<Transaction, SqlError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => Ok(Transaction::from_sqlite(
                self.clone(),
                sqlite.begin(lifetime, timeout, cpu_meter).await?,
            )),
            Backend::Postgres(postgres) => Ok(Transaction::from_postgres(
                self.clone(),
                postgres.begin(lifetime, timeout).await?,
            )),
        }
    }

    /// Queries a table of the host. Returns no rows if the table does not exist.
    async fn host_table_rows(&self, statement: Statement) -> Result<Vec<Vec<Value>>, SqlError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.host_table_rows(statement).await,
            Backend::Postgres(postgres) => postgres.host_table_rows(statement).await,
        }
    }

    fn close(&self) {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.close(),
            Backend::Postgres(postgres) => postgres.close(),
        }
    }

    fn wait_closed(&self, until: Instant) {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.wait_closed(until),
            Backend::Postgres(_) => {}
        }
    }
}
