//! The steps of a shutdown, and their deadlines.

use std::time::{Duration, Instant};

use hyper_util::server::graceful::GracefulShutdown;

use crate::blocking;
use crate::database::Databases;
use crate::dataplane::DataPlane;
use crate::deferred::TaskRunner;
use crate::lifecycle::Manager;
use crate::store::Stores;

/// The longest wait for the last bytes of responses.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The deadlines of the steps of a shutdown. A supervisor may kill the process after the timeout,
/// so no step comes after it.
pub(super) struct ShutdownDeadlines {
    /// For requests and deferred tasks, whose models still serve. It is earlier than `models`, so
    /// that one tenant's long task does not keep the models of others from their unload hooks.
    work: Instant,
    /// For models: their last requests and their unload hooks.
    models: Instant,
    /// For everything: the last bytes, the tenants' stores and databases.
    pub(super) end: Instant,
}

impl ShutdownDeadlines {
    pub(super) fn from_timeout(timeout: Duration) -> Self {
        let now = Instant::now();
        ShutdownDeadlines {
            work: now + timeout * 2 / 3,
            models: now + timeout * 9 / 10,
            end: now + timeout,
        }
    }
}

/// Refuses new work, waits for the work under way, and unloads every model.
pub(super) async fn drain(
    dataplane: &DataPlane,
    tasks: &TaskRunner,
    manager: &Manager,
    deadlines: &ShutdownDeadlines,
) {
    tracing::info!("draining");
    manager.freeze();
    dataplane.stop();

    // The models still serve here. Requests come first: they leave deferred tasks, and tasks leave
    // no requests.
    let work = async {
        dataplane.wait_until_idle().await;
        tasks.drain().await;
    };
    let _ = tokio::time::timeout_at(deadlines.work.into(), work).await;

    tasks.stop();
    // Requests may still be running.
    match tokio::time::timeout_at(deadlines.models.into(), manager.stop()).await {
        Ok(()) => tracing::info!("drained"),
        Err(_) => tracing::warn!("not everything has drained in time"),
    }
}

/// Closes the tenants' files while the last bytes are sent. Returns at `end` at the latest.
pub(super) async fn close(
    graceful: GracefulShutdown,
    stores: Stores,
    databases: Databases,
    end: Instant,
) {
    let closing = blocking::run(move || {
        stores.close(end);
        databases.close(end);
    });

    // Every request has its response by now. This leaves time for the last bytes to be sent.
    let last_bytes = end.min(Instant::now() + FLUSH_TIMEOUT);
    let (flushed, closed) =
        tokio::join!(tokio::time::timeout_at(last_bytes.into(), graceful.shutdown()), closing);

    if flushed.is_err() {
        tracing::warn!("closing connections that did not end");
    }
    if closed.is_err() {
        tracing::warn!("the tenants' stores and databases could not be closed");
    }
}
