//! A tenant's few connections, each lent to one piece of work at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Client;

use super::super::SqlError;
use super::connect::Connector;
use super::idle::Idle;

/// Connections of one tenant: as many as it could use at once with a file of its own.
const MOST: usize = 4;

/// How long a connection is kept without use.
const IDLE: Duration = Duration::from_secs(60);

/// A tenant's connections. A clone shares them.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    connector: Connector,
    places: Arc<Semaphore>,
    idle: Idle<Client>,
}

/// A connection that is lent. Unless it was settled, it is not used again, and what it is doing is
/// cancelled.
pub(super) struct Lease {
    pool: Pool,
    client: Option<Client>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Pool(Arc::new(Shared {
            connector,
            places: Arc::new(Semaphore::new(MOST)),
            idle: Idle::new(IDLE),
        }))
    }

    /// Waits for a connection.
    pub(super) async fn lease(&self) -> Result<Lease, SqlError> {
        let closed = |_| SqlError::Unavailable("it is being closed".into());
        let place = self.0.places.clone().acquire_owned().await.map_err(closed)?;
        let client = match self.take_idle() {
            Some(client) => client,
            None => self.0.connector.connect().await?,
        };
        Ok(Lease { pool: self.clone(), client: Some(client), _place: place })
    }

    fn take_idle(&self) -> Option<Client> {
        std::iter::from_fn(|| self.0.idle.take()).find(|client| !client.is_closed())
    }

    pub(super) fn close(&self) {
        self.0.places.close();
        self.0.idle.clear();
    }
}

impl Lease {
    /// The connection. It is there until the lease is settled.
    pub(super) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// Gives the connection back if what it did left it as it was.
    pub(super) fn settle<T>(mut self, outcome: &Result<T, SqlError>) {
        // After these nobody knows what it is still doing.
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
