//! The context of one call beyond its own request.

use std::sync::Arc;

use super::{Deferrals, Emitter, Session, Values};
use crate::database::Proof;
use crate::model::RequestId;

/// The context of one call beyond its own request. An instance receives one with each call and
/// releases it at the end.
#[derive(Default)]
pub struct Scope {
    /// The request, as named in the guest's log lines; empty for calls without a request.
    pub request_id: RequestId,
    /// The values shared by the interceptors of the request; `None` for calls without a request or
    /// without interceptors.
    pub values: Option<Arc<Values>>,
    /// The receiver of response parts; `None` for a call with one complete response.
    pub emitter: Option<Emitter>,
    /// The session of the request, if any.
    pub session: Option<Arc<Session>>,
    /// The tasks that the call defers; `None` if it may defer none.
    pub tasks: Option<Arc<Deferrals>>,
    /// The call validates a version that is not published yet, so it must have no lasting effects.
    pub proving: bool,
    /// The trial transaction for its statements; `None` once the version serves.
    pub proof: Option<Arc<Proof>>,
}

impl Scope {
    /// The context of a call for that request.
    pub fn of_request(request_id: RequestId) -> Self {
        Scope { request_id, ..Scope::default() }
    }

    /// The context of a call that validates a version.
    pub fn of_proof(database: Option<&Arc<Proof>>) -> Self {
        Scope { proving: true, proof: database.cloned(), ..Scope::default() }
    }

    /// Bytes of the largest value that the guest may pass to an import whose limit is set for its
    /// model.
    pub fn largest(&self) -> u64 {
        let state = self.session.as_ref().map_or(0, |session| session.max_size());
        state.max(self.tasks.as_ref().map_or(0, |tasks| tasks.largest()))
    }
}
