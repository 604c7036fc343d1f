//! The quota of requests with scope `admin`, which no tenant's quota covers.
//!
//! An operator must be able to inspect a tenant whose quota is used up, so management requests with
//! scope `admin` are not taken from the quota of the tenant that they name. They have a quota of
//! their own, counted per API key: its limit can only affect the holder of that key, never another
//! tenant or another operator. A request is counted from its admission, while its response is
//! built, until the last byte of the response has been sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::http::StatusCode;

use super::error::ApiError;
use crate::model::Digest;
use crate::mutex::lock;

/// Concurrent requests of one key: as many as the default quota `concurrency` of a tenant.
const MAX_REQUESTS: u64 = 1024;

/// Bytes of unsent responses of one key. A single response may exceed it.
const MAX_BYTES: u64 = 256 << 20;

/// An API key; `None` for all requests to a server without keys.
type Key = Option<Digest>;

/// The usage of all keys with scope `admin`. Clones share it.
#[derive(Clone, Default)]
pub(super) struct AdminQuota(Arc<Mutex<HashMap<Key, Usage>>>);

/// Current usage of one key.
#[derive(Clone, Copy, Default)]
struct Usage {
    requests: u64,
    bytes: u64,
}

/// One request's part of the quota, given back on drop.
pub(super) struct AdminPermit {
    quota: AdminQuota,
    key: Key,
    bytes: u64,
}

impl AdminQuota {
    /// Admits a request. Fails if too many requests of the same key are in progress.
    pub(super) fn admit(&self, key: Key) -> Result<AdminPermit, ApiError> {
        let mut usage = self.lock();
        let used = usage.entry(key).or_default();

        if used.requests >= MAX_REQUESTS {
            return Err(exceeded("requests", MAX_REQUESTS));
        }

        used.requests += 1;

        Ok(AdminPermit { quota: self.clone(), key, bytes: 0 })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Usage>> {
        lock(&self.0)
    }
}

impl AdminPermit {
    /// Adds the bytes of the response. Fails if the unsent responses of the key exceed the limit.
    /// The only unsent response is always admitted: an operator must be able to read each one.
    pub(super) fn add_response(&mut self, bytes: u64) -> Result<(), ApiError> {
        let mut usage = self.quota.lock();
        let used = usage.entry(self.key).or_default();
        let total = used.bytes.saturating_add(bytes);

        if used.bytes > 0 && total > MAX_BYTES {
            return Err(exceeded("bytes of responses", MAX_BYTES));
        }

        used.bytes = total;
        self.bytes = self.bytes.saturating_add(bytes);

        Ok(())
    }
}

impl Drop for AdminPermit {
    fn drop(&mut self) {
        let mut usage = self.quota.lock();
        let Some(used) = usage.get_mut(&self.key) else { return };

        used.requests -= 1;
        used.bytes -= self.bytes;

        // Keys that are no longer used must not accumulate.
        if used.requests == 0 {
            usage.remove(&self.key);
        }
    }
}

fn exceeded(kind: &str, limit: u64) -> ApiError {
    let text = format!(
        "this key already has {limit} {kind} that its clients have not read; read or close them"
    );
    let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", text);

    ApiError { quota: Some("admin_requests"), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Some(Digest::sha256(name.as_bytes()))
    }

    #[test]
    fn requests_are_bounded_per_key() {
        let quota = AdminQuota::default();
        let mut held: Vec<_> =
            (0..MAX_REQUESTS).map(|_| quota.admit(key("a")).ok().unwrap()).collect();

        let refused = quota.admit(key("a")).err().unwrap();
        assert_eq!((refused.status.as_u16(), refused.quota), (429, Some("admin_requests")));

        // Other keys, and a server without keys, are not affected.
        assert!(quota.admit(key("b")).is_ok());
        assert!(quota.admit(None).is_ok());

        held.pop();
        assert!(quota.admit(key("a")).is_ok());

        drop(held);
        assert!(quota.lock().is_empty());
    }

    #[test]
    fn response_bytes_are_bounded_per_key() {
        let quota = AdminQuota::default();
        let admit = |name| quota.admit(key(name)).ok().unwrap();

        let mut only = admit("a");
        assert!(only.add_response(MAX_BYTES + 1).is_ok(), "a single response always fits");

        let mut second = admit("a");
        assert!(second.add_response(1).is_err());
        assert!(admit("b").add_response(1).is_ok());

        drop(only);
        assert!(second.add_response(MAX_BYTES).is_ok());
        assert!(admit("a").add_response(1).is_err());

        drop(second);
        assert!(quota.lock().is_empty());
    }
}
