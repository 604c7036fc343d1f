//! The place of an inference request, from its head to the last byte of its answer.

use std::sync::Arc;

use crate::dataplane::{DataPlane, Flight};
use crate::model::QuotaExceeded;
use crate::tenant::{Held, Tenant};

/// A request's place among those of its tenant, and among those that the server waits for when it
/// stops.
pub(super) struct Place {
    _permit: Held,
    _in_flight: Flight,
}

impl Place {
    /// Lets a request in. Fails if the tenant has as many as it may have.
    pub(super) fn take(dataplane: &DataPlane, tenant: &Arc<Tenant>) -> Result<Self, QuotaExceeded> {
        Ok(Place { _permit: tenant.admit()?, _in_flight: dataplane.note() })
    }
}
