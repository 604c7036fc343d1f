//! The session of a connection.

use std::sync::Arc;
use std::time::Duration;

use crate::api::routes::model_routes::request::SessionPart;
use crate::dataplane::DataPlane;
use crate::model::push_hex;
use crate::servable::{InFlightGuard, ModelSessions, ServableHandle};

/// The longest wait for a session that is still in use. Beyond it the session expires by itself.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(60);

/// The same once the server stops.
const REMOVE_TIMEOUT_AT_STOP: Duration = Duration::from_secs(2);

/// A session that begins with the first message that is answered, and ends with the connection.
pub(super) struct ConnectionSession {
    dataplane: DataPlane,
    id: String,
    is_begun: bool,
    /// The sessions of the model; `None` before the first message, and if the model has none.
    sessions: Option<Arc<ModelSessions>>,
}

impl ConnectionSession {
    /// Returns a session that no other connection has. Fails if the system has no random bytes.
    pub(super) fn new(dataplane: &DataPlane) -> Result<Self, getrandom::Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;

        let mut id = b"websocket-".to_vec();
        push_hex(&mut id, &random);
        Ok(ConnectionSession {
            dataplane: dataplane.clone(),
            id: String::from_utf8_lossy(&id).into_owned(),
            is_begun: false,
            sessions: None,
        })
    }

    /// Returns the part of the next request that names the session.
    pub(super) fn part(&mut self, servable: &ServableHandle) -> SessionPart {
        self.sessions = servable.sessions().cloned();
        SessionPart { id: self.id.clone(), is_start: !self.is_begun }
    }

    /// Records that a message was answered.
    pub(super) fn on_answered(&mut self) {
        self.is_begun = true;
    }
}

impl Drop for ConnectionSession {
    fn drop(&mut self) {
        let Some(sessions) = self.sessions.take() else { return };
        let id = std::mem::take(&mut self.id);
        let dataplane = self.dataplane.clone();
        let work = dataplane.begin_work();

        // The last request may still hold the session, or leave tasks that do. Without a runtime
        // the process is about to end.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(remove(sessions, id, dataplane, work));
        }
    }
}

async fn remove(
    sessions: Arc<ModelSessions>,
    id: String,
    dataplane: DataPlane,
    _work: InFlightGuard,
) {
    let timeout = async {
        tokio::select! {
            () = tokio::time::sleep(REMOVE_TIMEOUT) => {}
            () = dataplane.stopped() => tokio::time::sleep(REMOVE_TIMEOUT_AT_STOP).await,
        }
    };

    tokio::select! {
        removed = sessions.remove(&id) => {
            if let Err(error) = removed {
                tracing::debug!(session = %id, %error, "the session of a connection is left");
            }
        }
        () = timeout => tracing::debug!(session = %id, "the session of a connection is in use"),
    }
}
