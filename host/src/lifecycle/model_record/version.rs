//! The state of one version.

use std::time::{Duration, SystemTime};

use super::super::loader_traits::ServingVersion;
use super::super::policy::{Presence, VersionSnapshot};
use super::super::version_state::{HostedContent, ServingContent, VersionState};
use crate::model::{LoadError, RuntimeInfo, Stage, Version};
use crate::repository::{Candidate, Digest};

/// One version: its content in the repository, and what the host does with it.
#[derive(Default)]
pub(super) struct VersionRecord {
    pub(super) observed: ObservedContent,
    hosted: HostedContent,
    /// Number of contents of this version that are draining.
    draining: usize,
    /// The last failure, until it may be retried.
    failure: Option<Failure>,
    /// The content that was last tried, and the number of its consecutive failures.
    last_tried: Option<Digest>,
    failures: u32,
}

/// The content of the repository under one version.
#[derive(Default)]
pub(super) enum ObservedContent {
    Candidate(Box<Candidate>),
    Unsettled,
    Faulty(String),
    /// The settings of the model name the version, and it is not present; with the reason.
    Missing(String),
    #[default]
    Absent,
}

/// A failure of one content.
struct Failure {
    digest: Digest,
    error: LoadError,
}

impl ObservedContent {
    pub(super) fn is_candidate(&self, digest: Digest) -> bool {
        matches!(self, ObservedContent::Candidate(candidate) if candidate.digest == digest)
    }
}

// === Changes of state ===

impl VersionRecord {
    /// Records the start of a load.
    pub(super) fn start_loading(&mut self, digest: Digest) {
        self.hosted.change(|hosted| match hosted {
            HostedContent::Serving(content) => (HostedContent::Replacing(content, digest), ()),
            HostedContent::Unloaded | HostedContent::Draining => {
                (HostedContent::Loading(digest), ())
            }
            loading => (loading, ()),
        });
    }

    /// Records the end of a load that published nothing. Does nothing if no load was recorded.
    pub(super) fn end_loading(&mut self) {
        if self.loading().is_none() {
            return;
        }

        let rest = self.resting();
        self.hosted.change(|hosted| match hosted {
            HostedContent::Replacing(content, _) => (HostedContent::Serving(content), ()),
            _ => (rest, ()),
        });
    }

    /// Publishes a loaded content. Returns the one that served before, which is to be drained.
    pub(super) fn publish(&mut self, content: ServingContent) -> Option<Box<dyn ServingVersion>> {
        let before = self.hosted.change(|hosted| match hosted {
            HostedContent::Serving(old) | HostedContent::Replacing(old, _) => {
                (HostedContent::Serving(content), Some(old.version))
            }
            _ => (HostedContent::Serving(content), None),
        });

        self.draining += usize::from(before.is_some());
        self.clear_failures();
        before
    }

    /// Takes the serving content out of service. Returns it, to be drained.
    pub(super) fn stop_serving(&mut self) -> Option<Box<dyn ServingVersion>> {
        self.serving()?;

        self.draining += 1;
        self.hosted.change(|hosted| match hosted {
            HostedContent::Serving(content) => (HostedContent::Draining, Some(content.version)),
            HostedContent::Replacing(content, digest) => {
                (HostedContent::Loading(digest), Some(content.version))
            }
            other => (other, None),
        })
    }

    /// Records that one content has drained.
    pub(super) fn record_drained(&mut self) {
        self.draining = self.draining.saturating_sub(1);
        if self.draining == 0 && self.state() == VersionState::Draining {
            self.hosted.change(|_| (HostedContent::Unloaded, ()));
        }
    }

    /// The contents of a version that neither serves nor loads.
    fn resting(&self) -> HostedContent {
        if self.draining > 0 { HostedContent::Draining } else { HostedContent::Unloaded }
    }
}

// === Failures ===

impl VersionRecord {
    /// Records a failure. Returns the number of consecutive failures of this content.
    pub(super) fn record_failure(&mut self, digest: Digest, error: LoadError) -> u32 {
        if self.last_tried != Some(digest) {
            self.last_tried = Some(digest);
            self.failures = 0;
        }

        self.failures = self.failures.saturating_add(1);
        self.failure = Some(Failure { digest, error });
        self.failures
    }

    /// Records that a content keeps failing while it serves.
    pub(super) fn record_trip(&mut self, digest: Digest, error: LoadError) {
        self.failure = Some(Failure { digest, error });
    }

    /// Forgets all failures.
    pub(super) fn clear_failures(&mut self) {
        self.failure = None;
        self.failures = 0;
    }

    /// Forgets a failure that is `obsolete`, so that the content is tried again.
    pub(super) fn clear_failure(&mut self, obsolete: impl FnOnce(&LoadError) -> bool) {
        self.failure = self.failure.take().filter(|failure| !obsolete(&failure.error));
    }

    fn failed_digest(&self) -> Option<Digest> {
        self.failure.as_ref().map(|failure| failure.digest)
    }
}

// === The state, as others see it ===

impl VersionRecord {
    /// The state of the version.
    pub(super) fn state(&self) -> VersionState {
        self.hosted.state()
    }

    /// The content that serves.
    pub(super) fn serving(&self) -> Option<&ServingContent> {
        self.hosted.serving()
    }

    /// The digest of the content that is being loaded.
    pub(super) fn loading(&self) -> Option<Digest> {
        self.hosted.loading()
    }

    /// True if no content serves or drains.
    pub(super) fn is_idle(&self) -> bool {
        self.serving().is_none() && self.draining == 0
    }

    /// True if there is nothing to report of the version.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.observed, ObservedContent::Absent) && self.state() == VersionState::Unloaded
    }

    /// The state for the policy.
    pub(super) fn snapshot(&self, version: Version) -> VersionSnapshot {
        let presence = match &self.observed {
            ObservedContent::Candidate(candidate) => Presence::Candidate(candidate.digest),
            ObservedContent::Unsettled => Presence::Unsettled,
            ObservedContent::Faulty(_) => Presence::Invalid,
            ObservedContent::Missing(_) | ObservedContent::Absent => Presence::Absent,
        };

        VersionSnapshot {
            version,
            presence,
            serving: self.serving().map(|content| content.digest),
            loading: self.loading(),
            failed: self.failed_digest(),
        }
    }

    /// The reason shown for a version that serves in spite of a fault.
    pub(super) fn degraded_reason(&self, fault: &str) -> String {
        let same = self.serving().is_some_and(|content| self.observed.is_candidate(content.digest));
        if same {
            fault.into()
        } else {
            format!("serves its last good content; the present one failed: {fault}")
        }
    }

    /// True if the repository holds a candidate that has not failed.
    pub(super) fn is_usable(&self) -> bool {
        match &self.observed {
            ObservedContent::Candidate(candidate) => self.failed_digest() != Some(candidate.digest),
            _ => false,
        }
    }

    /// The time at which the content of the repository was put there; `None` if it is not complete.
    pub(super) fn placed_at(&self) -> Option<SystemTime> {
        match &self.observed {
            ObservedContent::Candidate(candidate) => Some(system_time(candidate.changed_at)),
            _ => None,
        }
    }

    /// The runtime of the content that serves, or else of the one in the repository.
    pub(super) fn runtime(&self) -> Option<RuntimeInfo> {
        match (self.serving(), &self.observed) {
            (Some(content), _) => content.version.servable()?.template().runtime().cloned(),
            (None, ObservedContent::Candidate(candidate)) => candidate.runtime(),
            (None, _) => None,
        }
    }

    /// The fault of the live configuration, if there is one.
    pub(super) fn live_config_fault(&self) -> Option<String> {
        match &self.observed {
            ObservedContent::Candidate(candidate) => candidate.live.fault.clone(),
            _ => None,
        }
    }

    /// True if the repository holds nothing of the version.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.observed, ObservedContent::Absent | ObservedContent::Missing(_))
    }

    /// The reason for which the version should be present, if it should and is not.
    pub(super) fn missing_reason(&self) -> Option<&str> {
        match &self.observed {
            ObservedContent::Missing(reason) => Some(reason),
            _ => None,
        }
    }

    /// True if it serves although it was deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.serving().is_some() && self.is_absent()
    }

    /// The fault of the content that the repository holds now.
    pub(super) fn fault(&self) -> Option<LoadError> {
        match (&self.observed, &self.failure) {
            (ObservedContent::Faulty(reason), _) => {
                Some(LoadError::new(Stage::Read, reason.clone()))
            }
            (ObservedContent::Candidate(candidate), Some(failure))
                if candidate.digest == failure.digest =>
            {
                Some(failure.error.clone())
            }
            _ => None,
        }
    }
}

/// Converts a time in seconds and nanoseconds since 1970. Earlier times become 1970.
fn system_time((seconds, nanoseconds): (i64, i64)) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let nanoseconds = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    let since = seconds.saturating_add(nanoseconds);
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}
