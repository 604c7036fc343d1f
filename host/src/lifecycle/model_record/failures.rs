//! Failures of a model's versions: they are recorded, forgotten, and lead to a rollback.

use super::ModelRecord;
use crate::model::{LoadError, Stage, Version, VersionPolicy};
use crate::repository::Digest;

impl ModelRecord {
    /// Records that the content under this number keeps failing. Returns true if an older version
    /// is to take its place.
    pub(in crate::lifecycle) fn roll_back(&mut self, version: Version, digest: Digest) -> bool {
        let older = self.versions.range(..version).any(|(_, record)| record.is_usable());
        let latest = matches!(self.policy, VersionPolicy::Latest(_));
        let Some(record) = self.versions.get_mut(&version) else { return false };

        let serves = record.serving().is_some_and(|content| {
            content.digest == digest
                && content.version.rolls_back()
                && record.observed.is_candidate(digest)
        });

        if !(older && latest && serves) {
            return false;
        }

        let reason = "it kept failing; load it to try again, or replace it";
        record.record_trip(digest, LoadError::new(Stage::Serve, reason));
        true
    }

    /// Records a failed load. Returns the number of consecutive failures of this content.
    pub(in crate::lifecycle) fn record_failure(
        &mut self,
        version: Version,
        digest: Digest,
        error: LoadError,
    ) -> u32 {
        let record = self.versions.entry(version).or_default();
        record.end_loading();
        record.record_failure(digest, error)
    }

    /// Forgets the failure of a version if it was transient.
    pub(in crate::lifecycle) fn clear_transient_failure(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.clear_failure(LoadError::is_transient);
        }
    }

    /// Forgets failures caused by interceptors, so that the present interceptors are called.
    pub(in crate::lifecycle) fn clear_interceptor_failures(&mut self) {
        for record in self.versions.values_mut() {
            record.clear_failure(|error| error.stage == Stage::Intercept);
        }
    }

    /// Forgets failures caused by routes, so that the present ones are compared. Returns true if
    /// there were any.
    pub(in crate::lifecycle) fn clear_route_failures(&mut self) -> bool {
        let mut cleared = false;
        for record in self.versions.values_mut() {
            record.clear_failure(|error| {
                cleared |= error.stage == Stage::Routes;
                error.stage == Stage::Routes
            });
        }
        cleared
    }
}
