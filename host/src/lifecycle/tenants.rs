//! The state of one tenant.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::interceptors::{Change, Interceptors};
use super::metrics::TenantMetrics;
use super::record::ModelRecord;
use super::storage;
use crate::model::{ModelName, QuotaExceeded, Version};
use crate::repository::Aspired;
use crate::servable::Wrapping;
use crate::tenant::{Resource, Tenant};

/// A tenant whose models are served.
pub(super) struct TenantRecord {
    tenant: Arc<Tenant>,
    /// Number of the current source.
    source: u64,
    /// Number of rescans requested before the last merged scan.
    asked: u64,
    /// The source has observed everything settled at least once.
    settled: bool,
    /// The source cannot read the repository now.
    degraded: bool,
    /// Candidates that exceed its storage quota.
    beyond_storage: BTreeSet<(ModelName, Version)>,
    /// The state of its interceptors.
    pub(super) interceptors: Interceptors,
    /// The metrics of its models.
    pub(super) metrics: TenantMetrics,
}

impl TenantRecord {
    /// A tenant whose candidates come from the source with this number.
    pub(super) fn new(tenant: Arc<Tenant>, source: u64, metrics: TenantMetrics) -> Self {
        let (asked, settled, degraded, beyond_storage, interceptors) = Default::default();
        TenantRecord {
            tenant,
            source,
            asked,
            settled,
            degraded,
            beyond_storage,
            interceptors,
            metrics,
        }
    }

    /// The same tenant with another source.
    pub(super) fn moved(self, source: u64) -> Self {
        TenantRecord {
            interceptors: self.interceptors,
            ..TenantRecord::new(self.tenant, source, self.metrics)
        }
    }

    /// The tenant.
    pub(super) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Applies the parts of an announcement that concern the tenant as a whole. Returns false if
    /// the announcement is outdated: it comes from a source that was replaced, or is older than a
    /// scan that was merged on request.
    pub(super) fn see(&mut self, aspired: &Aspired) -> bool {
        if self.source != aspired.source || self.asked > aspired.asked {
            return false;
        }

        self.asked = aspired.asked;
        self.degraded = aspired.degraded.is_some();
        if !self.degraded {
            // Compiled artifacts in use count against the same quota.
            let limit = self
                .tenant
                .settings()
                .quota
                .storage
                .saturating_sub(self.tenant.used_by_artifacts());
            self.beyond_storage = storage::beyond(aspired, limit);
            self.tenant.note_stored(storage::size(aspired, &self.beyond_storage));
            self.settled = aspired.first_settled;
        }

        true
    }

    /// The interceptor chain for a model of this name; `None` for an interceptor.
    pub(super) fn wrapping_of(&self, name: &ModelName) -> Option<&Wrapping> {
        (!name.is_interceptor()).then(|| self.interceptors.wrapping())
    }

    /// Updates the interceptor chain from the records of the interceptors, in the order of their
    /// names.
    pub(super) fn update_interceptors<'a>(
        &mut self,
        records: impl Iterator<Item = (&'a ModelName, &'a ModelRecord)>,
    ) -> Change {
        self.interceptors.update(records, self.settled)
    }

    /// True once everything in its repository has been observed settled.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// True if its repository cannot be read now.
    pub(super) fn is_degraded(&self) -> bool {
        self.degraded
    }

    /// Checks a version against the tenant's quota and acquires its model's part. Fails with
    /// `QuotaExceeded` if it does not fit.
    pub(super) fn make_room(
        &self,
        record: &mut ModelRecord,
        name: &ModelName,
        version: Version,
    ) -> Result<(), QuotaExceeded> {
        if self.beyond_storage.contains(&(name.clone(), version)) {
            let limit = self.tenant.settings().quota.storage;
            return Err(QuotaExceeded {
                quota: Resource::Storage.name(),
                limit,
                retry_after_seconds: 0,
            });
        }

        record.take_place(&self.tenant)
    }
}
