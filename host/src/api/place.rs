//! The admission of an inference request, from its head to the last byte of its response.

use std::sync::Arc;

use crate::dataplane::{DataPlane, Flight};
use crate::model::QuotaExceeded;
use crate::tenant::{Held, Tenant};

/// An admitted request: one of its tenant's concurrent requests, and one of the requests that the
/// server waits for at shutdown.
pub(super) struct Place {
    _permit: Held,
    _in_flight: Flight,
}

impl Place {
    /// Admits a request. Fails if the tenant's quota of concurrent requests is used up.
    pub(super) fn take(dataplane: &DataPlane, tenant: &Arc<Tenant>) -> Result<Self, QuotaExceeded> {
        Ok(Place { _permit: tenant.admit()?, _in_flight: dataplane.note() })
    }
}
