//! The tenants' databases.
//!
//! Each tenant has one: a SQLite file of its own, or a PostgreSQL database of its own where the
//! operator says so. [`Databases`] finds it, [`Database`] carries out statements, a [`Transaction`]
//! several that belong together. What a statement may take is bounded here ([`limits`]) and in each
//! backend ([`sqlite`], [`postgres`]); nobody above has to know which one it is. Statements come
//! from guests, so everything in them is hostile until the contrary is shown.
//!
//! Before a version goes live, its [`migrations`] and whatever it does to show that it works run in
//! one transaction, a [`Proof`]: the migrations are kept if it goes live, the rest never is.

mod limits;
mod metrics;
mod migrations;
pub mod postgres;
mod proof;
mod sqlite;
mod transaction;
mod value;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

pub use limits::{DatabaseConfig, Synchronous};
pub use metrics::DatabaseMetrics;
pub use migrations::Migration;
pub use postgres::check_password;
pub use proof::{Nested, Proof};
pub use transaction::Transaction;
pub use value::{Outcome, SqlError, Statement, Value, Wanted};

use crate::journal;
use crate::model::TenantName;
pub use crate::tenant::Bill;
use crate::tenant::{PostgresSettings, Tenant, Turns};
use metrics::TenantCounts;
use postgres::Postgres;
use sqlite::Sqlite;
#[cfg(fuzzing)]
pub(crate) use sqlite::fuzzing;

/// The name of a tenant's own file.
const FILE: &str = "database.sqlite";

/// Every tenant's database. A clone shares them.
#[derive(Clone)]
pub struct Databases {
    inner: Arc<DatabasesInner>,
}

struct DatabasesInner {
    /// The folder with one folder for each tenant.
    root: PathBuf,
    config: DatabaseConfig,
    /// What connections to PostgreSQL believe.
    tls: Arc<rustls::ClientConfig>,
    /// Whoever does a tenant's work takes the same turns.
    turns: Arc<Turns>,
    /// Whose threads are ordinary ones; those for guests run only where no other wants to.
    runtime: Option<Handle>,
    metrics: DatabaseMetrics,
    open: Mutex<HashMap<TenantName, Arc<Database>>>,
}

/// One tenant's database.
pub struct Database {
    backend: Backend,
    /// Where it is; `None` for a file of the tenant's own.
    settings: Option<PostgresSettings>,
    owner: Weak<Tenant>,
    config: DatabaseConfig,
    counts: TenantCounts,
}

enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Databases {
    /// Databases in the folders of `root`, none of which is open yet.
    pub fn new(
        root: PathBuf,
        config: DatabaseConfig,
        tls: Arc<rustls::ClientConfig>,
        turns: Arc<Turns>,
        metrics: DatabaseMetrics,
    ) -> Self {
        let (runtime, open) = (Handle::try_current().ok(), Mutex::default());
        Databases {
            inner: Arc::new(DatabasesInner { root, config, tls, turns, runtime, metrics, open }),
        }
    }

    /// The turns that its statements take.
    pub fn turns(&self) -> &Arc<Turns> {
        &self.inner.turns
    }

    /// A tenant's database. Nothing is opened before the first statement.
    pub fn of(&self, tenant: &Arc<Tenant>) -> Arc<Database> {
        let mut open = self.lock();
        match open.get(tenant.name()) {
            Some(database) if database.is_as_in(tenant) => database.clone(),
            // There is none yet, or the operator keeps it elsewhere now.
            _ => {
                let database = Arc::new(self.make(tenant));
                // What is still under way for a tenant that is no more must not stand in the way of
                // its successor.
                if !tenant.is_dismissed() {
                    open.insert(tenant.name().clone(), database.clone());
                }
                database
            }
        }
    }

    fn make(&self, tenant: &Arc<Tenant>) -> Database {
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
                let path = root.join(tenant.name().as_str()).join(FILE);
                Backend::Sqlite(Sqlite::new(
                    path,
                    config.clone(),
                    tenant.clone(),
                    turns.clone(),
                    runtime.clone(),
                ))
            }
        };
        Database { backend, settings, owner, config: config.clone(), counts: metrics.of(tenant) }
    }

    /// Forgets a tenant that is gone; its connections close when the last of its instances does.
    pub fn forget(&self, tenant: &TenantName) {
        self.lock().remove(tenant);
        self.inner.metrics.forget(tenant);
    }

    /// Closes every database once what is under way is done. Blocks until then at the latest: one
    /// that is not closed by then loses nothing, and takes a little longer to open.
    pub fn close(&self, until: Instant) {
        let open: Vec<_> = self.lock().drain().map(|(_, database)| database).collect();
        open.iter().for_each(|database| database.close());
        open.iter().for_each(|database| database.until_closed(until));
        journal::fold_leftovers(&self.inner.root, FILE, until);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantName, Arc<Database>>> {
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database {
    /// Carries out one statement by itself. Dropping the future stops it; it is carried out whole
    /// or not at all.
    pub async fn run(
        &self,
        statement: Statement,
        wanted: Wanted,
        bill: &Bill,
    ) -> Result<Outcome, SqlError> {
        let work = async {
            statement.check()?;
            match &self.backend {
                Backend::Sqlite(sqlite) => sqlite.run(statement, wanted, bill).await,
                Backend::Postgres(postgres) => postgres.run(statement, wanted).await,
            }
        };
        self.counts.count(work).await
    }

    /// Begins a transaction that stays open for a bounded time. Waits for others to end theirs, for
    /// a bounded time.
    pub async fn begin(self: &Arc<Self>, bill: &Bill) -> Result<Transaction, SqlError> {
        let (lifetime, patience) = (self.config.transaction_time, self.config.busy_timeout);
        self.counts.count(self.open(lifetime, patience, bill)).await
    }

    /// Whether it belongs to this very tenant, and is where the operator keeps it now.
    fn is_as_in(&self, tenant: &Arc<Tenant>) -> bool {
        std::ptr::eq(self.owner.as_ptr(), Arc::as_ptr(tenant))
            && self.settings == tenant.settings().database
    }

    async fn open(
        self: &Arc<Self>,
        lifetime: Duration,
        patience: Duration,
        bill: &Bill,
    ) -> Result<Transaction, SqlError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => Ok(Transaction::of_sqlite(
                self.clone(),
                sqlite.begin(lifetime, patience, bill).await?,
            )),
            Backend::Postgres(postgres) => Ok(Transaction::of_postgres(
                self.clone(),
                postgres.begin(lifetime, patience).await?,
            )),
        }
    }

    /// What is found in a table of the host's own; nothing if it is not there yet.
    async fn own_rows(&self, statement: Statement) -> Result<Vec<Vec<Value>>, SqlError> {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.own_rows(statement).await,
            Backend::Postgres(postgres) => postgres.own_rows(statement).await,
        }
    }

    fn close(&self) {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.close(),
            Backend::Postgres(postgres) => postgres.close(),
        }
    }

    fn until_closed(&self, until: Instant) {
        match &self.backend {
            Backend::Sqlite(sqlite) => sqlite.until_closed(until),
            Backend::Postgres(_) => {}
        }
    }
}
