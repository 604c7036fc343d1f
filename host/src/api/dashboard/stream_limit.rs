//! The number of open event streams of each tenant and each key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;

use crate::api::error::ApiError;
use crate::model::TenantName;
use crate::mutex::lock;

/// Open streams of one tenant: several people with several windows each.
const MAX_OF_TENANT: u32 = 32;

/// Open streams of one key.
const MAX_OF_KEY: u32 = 8;

/// The open streams by holder.
#[derive(Default)]
pub(in crate::api) struct StreamLimit(Mutex<HashMap<Holder, u32>>);

/// A tenant, or the key of a tenant. The operators' keys count as their own, whatever tenant they
/// look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Tenant(String),
    Key { owner: Option<String>, id: Option<String> },
}

/// One open stream, given back on drop.
pub(in crate::api) struct StreamPermit {
    limit: Arc<StreamLimit>,
    holders: [Holder; 2],
}

impl StreamLimit {
    /// Counts a stream about a tenant for the key with this id, `None` on a server without keys.
    /// Fails if the tenant or the key has too many.
    pub(in crate::api) fn admit(
        self: &Arc<Self>,
        tenant: &TenantName,
        is_operator: bool,
        key: Option<&str>,
    ) -> Result<StreamPermit, ApiError> {
        let owner = (!is_operator).then(|| tenant.to_string());
        let key = Holder::Key { owner, id: key.map(str::to_owned) };

        self.take([Holder::Tenant(tenant.to_string()), key])
    }

    fn take(self: &Arc<Self>, holders: [Holder; 2]) -> Result<StreamPermit, ApiError> {
        let mut open = lock(&self.0);

        for holder in &holders {
            let limit = holder.limit();
            if open.get(holder).is_some_and(|count| *count >= limit) {
                return Err(exceeded(holder, limit));
            }
        }

        for holder in &holders {
            *open.entry(holder.clone()).or_default() += 1;
        }

        Ok(StreamPermit { limit: Arc::clone(self), holders })
    }
}

impl Holder {
    fn limit(&self) -> u32 {
        match self {
            Holder::Tenant(_) => MAX_OF_TENANT,
            Holder::Key { .. } => MAX_OF_KEY,
        }
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = lock(&self.limit.0);

        for holder in &self.holders {
            let Some(count) = open.get_mut(holder) else { continue };
            *count -= 1;

            // Holders without streams must not accumulate.
            if *count == 0 {
                open.remove(holder);
            }
        }
    }
}

fn exceeded(holder: &Holder, limit: u32) -> ApiError {
    let holder = match holder {
        Holder::Tenant(_) => "this tenant",
        Holder::Key { .. } => "this key",
    };
    let text = format!(
        "{holder} already has {limit} streams of the dashboard; close a page, or ask without \
         'Accept: text/event-stream'"
    );
    let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", text);

    ApiError { quota: Some("dashboard_streams"), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holders(tenant: &str, key: &str) -> [Holder; 2] {
        let key = Holder::Key { owner: Some(tenant.into()), id: Some(key.into()) };
        [Holder::Tenant(tenant.into()), key]
    }

    #[test]
    fn streams_are_bounded_by_key_and_by_tenant() {
        let limit = Arc::<StreamLimit>::default();
        let open = |tenant: &str, key: &str| limit.take(holders(tenant, key));
        let mut held: Vec<_> = (0..MAX_OF_KEY).map(|_| open("a", "1").ok().unwrap()).collect();

        let refused = open("a", "1").err().unwrap();
        assert_eq!((refused.status.as_u16(), refused.quota), (429, Some("dashboard_streams")));
        assert!(open("b", "1").is_ok(), "another tenant's key of the same name");

        for key in 2.. {
            match open("a", &key.to_string()) {
                Ok(permit) => held.push(permit),
                Err(_) => break,
            }
        }
        assert_eq!(held.len(), MAX_OF_TENANT as usize);

        held.pop();
        assert!(open("a", "last").is_ok());
        drop(held);
        assert!(lock(&limit.0).is_empty());
    }
}
