//! The state of one tenant.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::interceptors::{InterceptorChange, InterceptorState};
use super::metrics::TenantMetrics;
use super::model_record::ModelRecord;
use super::storage_quota;
use crate::model::{ModelName, QuotaExceeded, Version};
use crate::repository::AspiredVersions;
use crate::servable::InterceptorChainHandle;
use crate::tenant::{Resource, Tenant};

/// A tenant whose models are served.
pub(super) struct TenantRecord {
    tenant: Arc<Tenant>,
    /// Number of the current source.
    source: u64,
    /// Number of rescans requested before the last merged scan.
    rescans: u64,
    /// The source has observed everything settled at least once.
    settled: bool,
    /// The source cannot read the repository now.
    degraded: bool,
    /// Candidates that exceed its storage quota.
    over_quota: BTreeSet<(ModelName, Version)>,
    /// The state of its interceptors.
    pub(super) interceptors: InterceptorState,
    /// The metrics of its models.
    pub(super) metrics: TenantMetrics,
}

impl TenantRecord {
    /// A tenant whose candidates come from the source with this number.
    pub(super) fn new(tenant: Arc<Tenant>, source: u64, metrics: TenantMetrics) -> Self {
        TenantRecord {
            tenant,
            source,
            rescans: 0,
            settled: false,
            degraded: false,
            over_quota: BTreeSet::new(),
            interceptors: InterceptorState::default(),
            metrics,
        }
    }

    /// The same tenant with another source.
    pub(super) fn with_source(self, source: u64) -> Self {
        TenantRecord {
            interceptors: self.interceptors,
            ..TenantRecord::new(self.tenant, source, self.metrics)
        }
    }

    /// The tenant.
    pub(super) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Number of the current source.
    pub(super) fn source(&self) -> u64 {
        self.source
    }

    /// Applies the parts of an announcement that concern the tenant as a whole. Returns false if
    /// the announcement is outdated: it comes from a source that was replaced, or is older than a
    /// scan that was merged on request.
    pub(super) fn observe(&mut self, aspired: &AspiredVersions) -> bool {
        if self.source != aspired.source || self.rescans > aspired.rescans_requested {
            return false;
        }

        self.rescans = aspired.rescans_requested;
        self.degraded = aspired.degraded.is_some();
        if !self.degraded {
            // Compiled artifacts in use count against the same quota.
            let limit = self
                .tenant
                .settings()
                .quota
                .storage
                .saturating_sub(self.tenant.used_by_artifacts());
            self.over_quota = storage_quota::over_quota(aspired, limit);
            self.tenant.set_stored_bytes(storage_quota::stored_size(aspired, &self.over_quota));
            self.settled = aspired.first_settled;
        }

        true
    }

    /// The interceptor chain for a model of this name; `None` for an interceptor.
    pub(super) fn chain_handle_for(&self, name: &ModelName) -> Option<&InterceptorChainHandle> {
        (!name.is_interceptor()).then(|| self.interceptors.chain_handle())
    }

    /// Updates the interceptor chain from the records of the interceptors, in the order of their
    /// names.
    pub(super) fn update_interceptors<'a>(
        &mut self,
        records: impl Iterator<Item = (&'a ModelName, &'a ModelRecord)>,
    ) -> InterceptorChange {
        self.interceptors.update(records, self.settled)
    }

    /// True once everything in its repository has been observed settled.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// True if the last scan of its repository shows what is there.
    pub(super) fn is_trusted(&self) -> bool {
        self.settled && !self.degraded
    }

    /// True if its repository cannot be read now.
    pub(super) fn is_degraded(&self) -> bool {
        self.degraded
    }

    /// Checks a version against the tenant's quota and acquires its model's part. Fails with
    /// `QuotaExceeded` if it does not fit.
    pub(super) fn take_quota(
        &self,
        record: &mut ModelRecord,
        name: &ModelName,
        version: Version,
    ) -> Result<(), QuotaExceeded> {
        if self.over_quota.contains(&(name.clone(), version)) {
            let limit = self.tenant.settings().quota.storage;
            return Err(QuotaExceeded {
                quota: Resource::Storage.name(),
                limit,
                retry_after_seconds: 0,
            });
        }

        record.take_model_quota(&self.tenant)
    }
}
