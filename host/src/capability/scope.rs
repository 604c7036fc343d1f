//! What one call has to do with beyond its own request.

use super::Emitter;
use crate::model::RequestId;

/// What one call has to do with beyond its own request. An instance is given one with each call, and keeps nothing
/// of it afterwards.
#[derive(Default)]
pub struct Scope {
    /// Names the request in the guest's log lines; empty where no request asked for the call.
    pub request_id: RequestId,
    /// Where the parts of the answer go; `None` where it is to come whole.
    pub emitter: Option<Emitter>,
}

impl Scope {
    /// The scope of a call for that request.
    pub fn of_request(request_id: RequestId) -> Self {
        Scope { request_id, ..Scope::default() }
    }
}
