//! The state of one version.

use super::super::drain::Drain;
use super::super::policy::{Presence, VersionSnapshot};
use crate::model::{LoadError, Stage, Version};
use crate::repository::{Candidate, Digest};
use crate::servable::ServableHandle;

/// The content of one version in the repository, and what became of it.
#[derive(Default)]
pub(super) struct VersionRecord {
    pub(super) content: VersionContent,
    pub(super) serving: Option<ServingContent>,
    pub(super) loading: Option<Digest>,
    pub(super) failed: Option<(Digest, LoadError)>,
    /// The content that was last tried, and the number of its consecutive failures.
    pub(super) last_tried: Option<Digest>,
    pub(super) failures: u32,
    /// Number of contents of this version that are draining.
    pub(super) draining: usize,
}

/// The content of the repository under one version.
#[derive(Default)]
pub(super) enum VersionContent {
    Candidate(Box<Candidate>),
    Unsettled,
    Faulty(String),
    /// The settings of the model name the version, and it is not present; with the reason.
    Missing(String),
    #[default]
    Absent,
}

/// A content that serves.
pub(super) struct ServingContent {
    pub(super) digest: Digest,
    pub(super) handle: ServableHandle,
    /// The drain to run once it no longer serves.
    pub(super) drain: Drain,
}

impl VersionContent {
    pub(super) fn is_candidate(&self, digest: Digest) -> bool {
        matches!(self, VersionContent::Candidate(candidate) if candidate.digest == digest)
    }
}

impl VersionRecord {
    /// The reason shown for a version that serves in spite of a fault.
    pub(super) fn degraded_reason(&self, fault: &str) -> String {
        let same =
            self.serving.as_ref().is_some_and(|serving| self.content.is_candidate(serving.digest));
        if same {
            fault.into()
        } else {
            format!("serves its last good content; the present one failed: {fault}")
        }
    }

    /// True if the repository holds a candidate that has not failed.
    pub(super) fn is_usable(&self) -> bool {
        match &self.content {
            VersionContent::Candidate(candidate) => {
                self.failed.as_ref().is_none_or(|(digest, _)| *digest != candidate.digest)
            }
            _ => false,
        }
    }

    pub(super) fn snapshot(&self, version: Version) -> VersionSnapshot {
        let present = match &self.content {
            VersionContent::Candidate(candidate) => Presence::Candidate(candidate.digest),
            VersionContent::Unsettled => Presence::Unsettled,
            VersionContent::Faulty(_) => Presence::Faulty,
            VersionContent::Missing(_) | VersionContent::Absent => Presence::Absent,
        };

        VersionSnapshot {
            version,
            presence: present,
            serving: self.serving.as_ref().map(|serving| serving.digest),
            loading: self.loading,
            failed: self.failed.as_ref().map(|(digest, _)| *digest),
        }
    }

    /// The fault of the live configuration, if there is one.
    pub(super) fn live_config_fault(&self) -> Option<String> {
        match &self.content {
            VersionContent::Candidate(candidate) => candidate.live.fault.clone(),
            _ => None,
        }
    }

    /// True if the repository holds nothing of the version.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.content, VersionContent::Absent | VersionContent::Missing(_))
    }

    /// The reason for which the version should be present, if it should and is not.
    pub(super) fn missing_reason(&self) -> Option<&str> {
        match &self.content {
            VersionContent::Missing(reason) => Some(reason),
            _ => None,
        }
    }

    /// True if it serves although it was deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.serving.is_some() && self.is_absent()
    }

    pub(super) fn is_active(&self) -> bool {
        self.serving.is_some() || self.loading.is_some() || self.draining > 0
    }

    /// The fault of the content that the repository holds now.
    pub(super) fn fault(&self) -> Option<LoadError> {
        match (&self.content, &self.failed) {
            (VersionContent::Faulty(reason), _) => {
                Some(LoadError::new(Stage::Read, reason.clone()))
            }
            (VersionContent::Candidate(candidate), Some((digest, error)))
                if candidate.digest == *digest =>
            {
                Some(error.clone())
            }
            _ => None,
        }
    }
}
