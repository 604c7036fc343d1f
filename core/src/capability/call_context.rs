//! The context of one call: the request that it belongs to, and everything that capabilities share
//! with the host during the call. The engine's `Call` holds it, with the budget and the payer.

use std::sync::Arc;

use super::{CallValues, DeferredTasks, Emitter, Session};
use crate::database::ValidationTransaction;
use crate::model::RequestId;

/// The context of one call, for the capabilities. An instance receives one with each call and
/// releases it at the end. The input of the call is not part of it.
#[derive(Default)]
pub struct CallContext {
    /// The id of the request in the guest's log lines; empty for calls without a request.
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
    /// The transaction for its statements; `None` once the version serves.
    pub validation_transaction: Option<Arc<ValidationTransaction>>,
}

impl CallContext {
    /// Creates the context of a call for a request.
    pub fn for_request(request_id: RequestId) -> Self {
        CallContext { request_id, ..CallContext::default() }
    }

    /// Creates the context of a call that validates a version.
    pub fn for_validation(transaction: Option<&Arc<ValidationTransaction>>) -> Self {
        CallContext {
            validating: true,
            validation_transaction: transaction.cloned(),
            ..CallContext::default()
        }
    }

    /// Returns the limit of one value that the guest passes to an import, in bytes: the larger of
    /// the model's limits of a session and of a task.
    pub fn max_transfer(&self) -> u64 {
        let state = self.session.as_ref().map_or(0, |session| session.max_size());
        state.max(self.tasks.as_ref().map_or(0, |tasks| tasks.max_payload()))
    }
}
