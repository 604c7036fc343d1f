//! What one call has to do with beyond its own request.

use std::sync::Arc;

use super::{Deferrals, Emitter, Session, Values};
use crate::database::Proof;
use crate::model::RequestId;

/// What one call has to do with beyond its own request. An instance is given one with each call,
/// and keeps nothing of it afterwards.
#[derive(Default)]
pub struct Scope {
    /// Names the request in the guest's log lines; empty where no request asked for the call.
    pub request_id: RequestId,
    /// What the interceptors of the request share; `None` where no request asked for the call, or
    /// none wraps it.
    pub values: Option<Arc<Values>>,
    /// Where the parts of the answer go; `None` where it is to come whole.
    pub emitter: Option<Emitter>,
    /// The session it belongs to, if to one.
    pub session: Option<Arc<Session>>,
    /// What it leaves for later; `None` where it can leave nothing.
    pub tasks: Option<Arc<Deferrals>>,
    /// It tries a version out that is not to be seen yet, so nothing that lasts may come of it.
    pub proving: bool,
    /// Where its statements go while its version is being proved; `None` once it serves.
    pub proof: Option<Arc<Proof>>,
}

impl Scope {
    /// The scope of a call for that request.
    pub fn of_request(request_id: RequestId) -> Self {
        Scope { request_id, ..Scope::default() }
    }

    /// The scope of a call that tries a version out.
    pub fn of_proof(database: Option<&Arc<Proof>>) -> Self {
        Scope { proving: true, proof: database.cloned(), ..Scope::default() }
    }

    /// Bytes of the largest thing that the guest may hand to the host by the imports whose limits
    /// are its model's.
    pub fn largest(&self) -> u64 {
        let state = self.session.as_ref().map_or(0, |session| session.max_size());
        state.max(self.tasks.as_ref().map_or(0, |tasks| tasks.largest()))
    }
}
