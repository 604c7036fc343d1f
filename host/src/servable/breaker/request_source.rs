//! The identity of a request for the circuit breaker: its caller, and keys that detect repeats.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::model::{Blame, CallerInfo, InferRequest, ParameterValue, Tensor};

/// A request's caller, and the hashes that distinguish it from other requests.
#[derive(Clone)]
pub(in crate::servable) struct RequestSource {
    caller: Option<Arc<str>>,
    /// Hash of the session or, without one, of the request id.
    request_hash: u64,
    /// Hash of the session or, without one, of the request's content.
    content_hash: u64,
}

/// Bytes hashed at each end of a tensor's data. Hashing all data would take too long.
const COMPARED_BYTES: usize = 64;

impl RequestSource {
    /// Returns the source of a request. `uses_sessions` is true if its model keeps sessions.
    pub(in crate::servable) fn new(
        info: &CallerInfo,
        request: &InferRequest,
        uses_sessions: bool,
    ) -> Self {
        let caller = info.key.clone();
        if let Some(session) = request.session.as_ref().filter(|_| uses_sessions) {
            let session = hash(|hasher| ("session", &session.id).hash(hasher));
            return RequestSource { caller, request_hash: session, content_hash: session };
        }
        let request_hash = hash(|hasher| ("request", info.request_id.as_str()).hash(hasher));
        RequestSource {
            caller,
            request_hash,
            content_hash: hash(|hasher| hash_request(request, hasher)),
        }
    }

    /// The id of the caller's API key; `None` if the tenant has no keys.
    pub(in crate::servable) fn caller(&self) -> &Option<Arc<str>> {
        &self.caller
    }

    /// Returns the key of a fault with that blame. Faults with equal keys count once.
    pub(super) fn fault_key(&self, blame: Blame) -> u64 {
        if blame == Blame::Limit { self.content_hash } else { self.request_hash }
    }
}

fn hash(feed: impl FnOnce(&mut DefaultHasher)) -> u64 {
    let mut hasher = DefaultHasher::new();
    feed(&mut hasher);
    hasher.finish()
}

fn hash_request(request: &InferRequest, hasher: &mut impl Hasher) {
    request.inputs.iter().for_each(|tensor| hash_tensor(tensor, hasher));
    for parameter in &request.parameters {
        parameter.name.hash(hasher);
        match &parameter.value {
            ParameterValue::Boolean(value) => value.hash(hasher),
            ParameterValue::Integer(value) => value.hash(hasher),
            ParameterValue::Number(value) => value.to_bits().hash(hasher),
            ParameterValue::Text(value) => hash_ends(value.as_bytes(), hasher),
        }
    }
}

fn hash_tensor(tensor: &Tensor, hasher: &mut impl Hasher) {
    (&tensor.name, &tensor.shape).hash(hasher);
    hash_ends(&tensor.data, hasher);
}

fn hash_ends(data: &[u8], hasher: &mut impl Hasher) {
    let ends = (data.first_chunk::<COMPARED_BYTES>(), data.last_chunk::<COMPARED_BYTES>());
    match ends {
        (Some(first), Some(last)) => (data.len(), first, last).hash(hasher),
        _ => data.hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Datatype, RequestId, SessionControl};

    fn caller_info(id: &'static str) -> CallerInfo {
        CallerInfo { request_id: RequestId::new(id.into()).unwrap(), key: None }
    }

    fn request(data: Vec<u8>) -> InferRequest {
        let shape = vec![data.len() as u64];
        let tensor = Tensor { name: "x".into(), datatype: Datatype::Uint8, shape, data };
        InferRequest { inputs: vec![tensor], ..InferRequest::default() }
    }

    #[test]
    fn a_model_fault_is_keyed_by_request_and_a_limit_fault_by_content() {
        let of =
            |id, data: &[u8]| RequestSource::new(&caller_info(id), &request(data.to_vec()), false);
        let one = of("a", b"x");
        let again = of("b", b"x");
        let repeat = of("a", b"yy");
        assert_ne!(one.fault_key(Blame::Model), again.fault_key(Blame::Model));
        assert_eq!(one.fault_key(Blame::Limit), again.fault_key(Blame::Limit));
        assert_eq!(one.fault_key(Blame::Model), repeat.fault_key(Blame::Model));
        assert_ne!(one.fault_key(Blame::Limit), repeat.fault_key(Blame::Limit));
        let mut long = vec![7; 1000];
        let before = of("a", &long).fault_key(Blame::Limit);
        long[999] = 8;
        assert_ne!(of("a", &long).fault_key(Blame::Limit), before);
    }

    #[test]
    fn faults_in_a_session_are_keyed_by_the_session() {
        let sequence =
            |id: &str| Some(SessionControl { id: id.into(), ..SessionControl::default() });
        let of = |id, data: &[u8], session: &str, uses_sessions| {
            let request = InferRequest { session: sequence(session), ..request(data.to_vec()) };
            RequestSource::new(&caller_info(id), &request, uses_sessions)
        };
        for blame in [Blame::Model, Blame::Limit] {
            let fault = |id, data, session, uses| of(id, data, session, uses).fault_key(blame);
            assert_eq!(fault("a", b"x", "s", true), fault("b", b"y", "s", true));
            assert_ne!(fault("a", b"x", "s", true), fault("a", b"x", "t", true));
            assert_ne!(
                fault("a", b"x", "s", false),
                fault("b", b"y", "s", false),
                "its model keeps none"
            );
        }
    }
}
