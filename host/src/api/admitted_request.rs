//! The admission of an inference request, from its head to the last byte of its response.

use std::sync::Arc;

use crate::dataplane::{DataPlane, InFlightGuard};
use crate::model::QuotaExceeded;
use crate::tenant::{QuotaGuard, Tenant};

/// An admitted request: one of its tenant's concurrent requests, and one of the requests that the
/// server waits for at shutdown.
pub(super) struct AdmittedRequest {
    _quota: QuotaGuard,
    _in_flight: InFlightGuard,
}

impl AdmittedRequest {
    /// Admits a request. Fails if the tenant's quota of concurrent requests is used up.
    pub(super) fn admit(
        dataplane: &DataPlane,
        tenant: &Arc<Tenant>,
    ) -> Result<Self, QuotaExceeded> {
        Ok(AdmittedRequest { _quota: tenant.admit()?, _in_flight: dataplane.begin_request() })
    }
}
