//! The way of a version into service and out of it: loading, publication and draining.

use std::sync::Arc;

use super::{ModelRecord, ObservedContent};
use crate::lifecycle::loader_traits::ServingVersion;
use crate::lifecycle::version_state::ServingContent;
use crate::model::{QuotaExceeded, Version};
use crate::repository::{Candidate, Digest};
use crate::tenant::{Resource, Tenant};

impl ModelRecord {
    /// Starts to load a version. Returns its candidate.
    pub(in crate::lifecycle) fn start_loading(&mut self, version: Version) -> Option<Candidate> {
        let record = self.versions.get_mut(&version)?;
        let ObservedContent::Candidate(candidate) = &record.observed else { return None };
        let candidate = Candidate::clone(candidate);
        record.start_loading(candidate.digest);
        Some(candidate)
    }

    /// Acquires the model's part of the tenant's quota, if it is not held yet. Fails if the tenant
    /// has as many models as it may.
    pub(in crate::lifecycle) fn take_model_quota(
        &mut self,
        tenant: &Arc<Tenant>,
    ) -> Result<(), QuotaExceeded> {
        if self.model_quota.is_none() {
            self.model_quota = Some(tenant.take(Resource::Models, 1)?);
        }
        Ok(())
    }

    /// Releases the model's part of the quota of a removed tenant. A tenant of the same name has a
    /// quota of its own.
    pub(in crate::lifecycle) fn release_model_quota(&mut self) {
        self.model_quota = None;
    }

    /// Publishes a loaded version. Returns the content that served under its number before, which
    /// is to be drained.
    pub(in crate::lifecycle) fn start_serving(
        &mut self,
        version: Version,
        digest: Digest,
        loaded: Box<dyn ServingVersion>,
    ) -> Option<Box<dyn ServingVersion>> {
        // The live configuration may have changed during the load.
        loaded.set_live_config(self.live_config.clone());

        let record = self.versions.entry(version).or_default();
        record.publish(ServingContent { digest, version: loaded })
    }

    /// Records that the result of a load is no longer wanted.
    pub(in crate::lifecycle) fn abandon_load(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.end_loading();
        }
    }

    /// Takes a version out of service. Returns its content, which is to be drained.
    pub(in crate::lifecycle) fn stop_serving(
        &mut self,
        version: Version,
    ) -> Option<Box<dyn ServingVersion>> {
        self.versions.get_mut(&version)?.stop_serving()
    }

    /// Records that one content of a version has drained.
    pub(in crate::lifecycle) fn record_drained(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.record_drained();
        }
    }
}
