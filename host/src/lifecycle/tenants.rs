//! What the manager knows of one tenant.

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
    /// The number of the source that counts.
    source: u64,
    /// How many rescans had been asked for before the look that counts.
    asked: u64,
    /// Whether the source has seen everything settled at least once.
    settled: bool,
    /// Whether the source cannot see anything now.
    degraded: bool,
    /// What its storage has no room for.
    beyond_storage: BTreeSet<(ModelName, Version)>,
    /// What wraps its models.
    pub(super) interceptors: Interceptors,
    /// What is counted of its models.
    pub(super) metrics: TenantMetrics,
}

impl TenantRecord {
    /// A tenant whose candidates come from the source of that number.
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

    /// The same tenant, whose candidates come from another source from now on.
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

    /// Takes over what concerns the tenant as a whole. Tells whether the announcement counts: a
    /// source that was replaced has nothing to say any more, and what was asked for may come before
    /// what was announced earlier.
    pub(super) fn see(&mut self, aspired: &Aspired) -> bool {
        if self.source != aspired.source || self.asked > aspired.asked {
            return false;
        }
        self.asked = aspired.asked;
        self.degraded = aspired.degraded.is_some();
        if !self.degraded {
            // Compiled artifacts that are in use take their room of the same quota.
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

    /// What wraps the calls of a model of that name; an interceptor is wrapped by nothing.
    pub(super) fn wrapping_of(&self, name: &ModelName) -> Option<&Wrapping> {
        (!name.is_interceptor()).then(|| self.interceptors.wrapping())
    }

    /// Puts in force what is known of its interceptors, in the order of their names.
    pub(super) fn update_interceptors<'a>(
        &mut self,
        records: impl Iterator<Item = (&'a ModelName, &'a ModelRecord)>,
    ) -> Change {
        self.interceptors.update(records, self.settled)
    }

    /// Whether everything in its repository has been seen settled at least once.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether its repository cannot be read now.
    pub(super) fn is_degraded(&self) -> bool {
        self.degraded
    }

    /// Holds a version against the tenant's quota, and takes what its model needs of it.
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
