//! The connection that a request came on, as far as its response has to do with it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// A connection, which ends when somebody asks for it: a response that nobody reads is held by its connection and
/// cannot end by itself. A clone is the same connection.
#[derive(Clone, Default)]
pub struct Connection(Arc<Notify>);

/// Has a connection ended at some time, unless this is dropped before.
pub(super) struct HangUp(AbortHandle);

impl Connection {
    /// Resolves when the connection is to end.
    pub async fn ended(&self) {
        self.0.notified().await;
    }

    /// Has the connection ended then.
    pub(super) fn hang_up_at(self, when: Instant) -> HangUp {
        let timer = async move {
            tokio::time::sleep_until(when.into()).await;
            self.0.notify_one();
        };
        HangUp(tokio::spawn(timer).abort_handle())
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.abort();
    }
}
