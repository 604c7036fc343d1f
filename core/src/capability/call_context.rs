//! The context of one call beyond its own request.

use std::sync::Arc;

use super::{CallValues, DeferredTasks, Emitter, Session};
use crate::database::ValidationTransaction;
use crate::model::RequestId;

/// The context of one call beyond its own request. An instance receives one with each call and
/// releases it at the end.
#[derive(Default)]
pub struct CallContext {
    /// The request, as named in the guest's log lines; empty for calls without a request.
    pub request_id: RequestId,
    /// The values shared by the interceptors of the request; `None` for calls without a request or
    /// without interceptors.
    pub values: Option<Arc<CallValues>>,
    /// The receiver of response parts; `None` for a call with one complete response.
    pub emitter: Option<Emitter>,
    /// The session of the request, if any.
    pub session: Option<Arc<Session>>,
    /// The tasks that the call defers; `None` if it may defer none.
    pub tasks: Option<Arc<DeferredTasks>>,
    /// The call validates a version that is not published yet, so it must have no lasting effects.
    pub validating: bool,
    /// The trial transaction for its statements; `None` once the version serves.
    pub trial: Option<Arc<ValidationTransaction>>,
}

impl CallContext {
    /// The context of a call for that request.
    pub fn for_request(request_id: RequestId) -> Self {
        CallContext { request_id, ..CallContext::default() }
    }

    /// The context of a call that validates a version.
    pub fn for_validation(database: Option<&Arc<ValidationTransaction>>) -> Self {
        CallContext { validating: true, trial: database.cloned(), ..CallContext::default() }
    }

    /// Bytes of the largest value that the guest may pass to an import whose limit is set for its
    /// model.
    pub fn max_transfer(&self) -> u64 {
        let state = self.session.as_ref().map_or(0, |session| session.max_size());
        state.max(self.tasks.as_ref().map_or(0, |tasks| tasks.max_payload()))
    }
}
