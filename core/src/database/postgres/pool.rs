//! A tenant's connection pool.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Client;

use super::super::SqlError;
use super::connect::Connector;
use super::idle_list::IdleList;

/// Limit of a tenant's connections: as many as it has to a SQLite file.
const MAX_CONNECTIONS: usize = 4;

/// Time that an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The connections of one tenant. A clone is shallow.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    connector: Connector,
    permits: Arc<Semaphore>,
    idle: IdleList<Client>,
}

/// A borrowed connection. If it is dropped without being returned, its statement is cancelled and
/// it is closed.
pub(super) struct Lease {
    pool: Pool,
    client: Option<Client>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Pool(Arc::new(Shared {
            connector,
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            idle: IdleList::new(IDLE_TIMEOUT),
        }))
    }

    /// Waits for a connection.
    pub(super) async fn lease(&self) -> Result<Lease, SqlError> {
        let closed = |_| SqlError::Unavailable("it is being closed".into());
        let permit = self.0.permits.clone().acquire_owned().await.map_err(closed)?;
        let client = match self.take_idle() {
            Some(client) => client,
            None => self.0.connector.connect().await?,
        };

        Ok(Lease { pool: self.clone(), client: Some(client), _permit: permit })
    }

    fn take_idle(&self) -> Option<Client> {
        std::iter::from_fn(|| self.0.idle.take()).find(|client| !client.is_closed())
    }

    pub(super) fn close(&self) {
        self.0.permits.close();
        self.0.idle.clear();
    }
}

impl Lease {
    /// Returns the connection; `None` after it was returned.
    pub(super) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// Returns the connection to the pool, unless its state is unknown after this outcome.
    pub(super) fn release<T>(mut self, outcome: &Result<T, SqlError>) {
        // After these errors a statement may still be running.
        if matches!(outcome, Err(SqlError::Unavailable(_) | SqlError::Limit(_) | SqlError::Busy)) {
            return;
        }

        if let Some(client) = self.client.take().filter(|client| !client.is_closed()) {
            self.pool.0.idle.put(client);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(client) = self.client.take().filter(|client| !client.is_closed()) else { return };

        let (token, tls) = (client.cancel_token(), self.pool.0.connector.tls());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(Duration::from_secs(5), token.cancel_query(tls)).await;
                drop(client);
            });
        }
    }
}
