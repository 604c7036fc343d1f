//! Request ids, which responses carry and log lines contain.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use crate::model::{RequestId, push_hex};

/// The header with the request id, in requests and responses.
pub(in crate::api) const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of a caller's id in bytes. Longer ids would fill the logs.
const MAX_LENGTH: usize = 128;

/// Returns the caller's id if it is 1 to 128 printable ASCII bytes, else a new id.
pub(in crate::api) fn from_headers(headers: &HeaderMap) -> RequestId {
    let given = headers
        .get(REQUEST_ID_HEADER)
        .map(HeaderValue::as_bytes)
        .filter(|id| (1..=MAX_LENGTH).contains(&id.len()));
    given.and_then(|id| RequestId::new(Bytes::copy_from_slice(id))).unwrap_or_else(generate)
}

/// Returns the id as a header value.
pub(in crate::api) fn to_header(id: &RequestId) -> HeaderValue {
    HeaderValue::from_maybe_shared(id.bytes()).unwrap_or(HeaderValue::from_static("none"))
}

/// Generates an id from the process start time and a counter: unique across restarts, without
/// random numbers.
fn generate() -> RequestId {
    static START: LazyLock<u64> = LazyLock::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(40)
    });
    static COUNT: AtomicU64 = AtomicU64::new(0);

    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut id = Vec::with_capacity(32);
    push_hex(&mut id, &START.to_be_bytes());
    push_hex(&mut id, &count.to_be_bytes());

    RequestId::new(Bytes::from(id)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_caller(id: &[u8]) -> RequestId {
        from_headers(&HeaderMap::from_iter([(
            REQUEST_ID_HEADER,
            HeaderValue::from_bytes(id).unwrap(),
        )]))
    }

    #[test]
    fn printable_ids_are_kept() {
        for id in ["a", "trace 17/3", &"x".repeat(128)] {
            assert_eq!(of_caller(id.as_bytes()).as_str(), id);
        }
        for id in ["", "\u{e9}", "a\tb", &"x".repeat(129)] {
            assert_ne!(of_caller(id.as_bytes()).as_str(), id);
        }
    }

    #[test]
    fn generated_ids_are_unique() {
        let ids: std::collections::HashSet<_> =
            (0..1000).map(|_| from_headers(&HeaderMap::new())).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.as_str().len() == 32));
    }
}
