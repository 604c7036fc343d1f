//! What the manager knows of one version.

use super::super::drain::Ending;
use super::super::policy::{Known, Present};
use crate::model::{LoadError, Stage, Version};
use crate::repository::{Candidate, Digest};
use crate::servable::ServableHandle;

/// What is there of it, and what has become of that.
#[derive(Default)]
pub(super) struct VersionRecord {
    pub(super) present: Content,
    pub(super) serving: Option<Serving>,
    pub(super) loading: Option<Digest>,
    pub(super) failed: Option<(Digest, LoadError)>,
    /// The content that was tried last, and how many loads of it have failed in a row.
    pub(super) tried: Option<Digest>,
    pub(super) failures: u32,
    /// How many contents of this version are answering their last requests.
    pub(super) draining: usize,
}

/// What the repository holds of a version.
#[derive(Default)]
pub(super) enum Content {
    Whole(Box<Candidate>),
    Unsettled,
    Faulty(String),
    /// Its model's settings name it, and it is not there; why that matters.
    Missing(String),
    #[default]
    Nothing,
}

/// A content that serves.
pub(super) struct Serving {
    pub(super) digest: Digest,
    pub(super) handle: ServableHandle,
    /// What is to be done once it serves no more.
    pub(super) ending: Ending,
}

impl Content {
    pub(super) fn is(&self, digest: Digest) -> bool {
        matches!(self, Content::Whole(candidate) if candidate.digest == digest)
    }
}

impl VersionRecord {
    /// What to say of a version that serves although something is wrong with it.
    pub(super) fn excuse(&self, fault: &str) -> String {
        let same = self.serving.as_ref().is_some_and(|serving| self.present.is(serving.digest));
        if same {
            fault.into()
        } else {
            format!("serves its last good content; the present one failed: {fault}")
        }
    }

    /// Whether what the repository holds has not been found to fail.
    pub(super) fn is_usable(&self) -> bool {
        match &self.present {
            Content::Whole(candidate) => {
                self.failed.as_ref().is_none_or(|(digest, _)| *digest != candidate.digest)
            }
            _ => false,
        }
    }

    pub(super) fn known(&self, version: Version) -> Known {
        let present = match &self.present {
            Content::Whole(candidate) => Present::Whole(candidate.digest),
            Content::Unsettled => Present::Changing,
            Content::Faulty(_) => Present::Faulty,
            Content::Missing(_) | Content::Nothing => Present::Absent,
        };
        Known {
            version,
            present,
            serving: self.serving.as_ref().map(|serving| serving.digest),
            loading: self.loading,
            failed: self.failed.as_ref().map(|(digest, _)| *digest),
        }
    }

    /// What is wrong with the live configuration, if anything is.
    pub(super) fn live_fault(&self) -> Option<String> {
        match &self.present {
            Content::Whole(candidate) => candidate.live.fault.clone(),
            _ => None,
        }
    }

    /// True if the repository holds nothing of it.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.present, Content::Nothing | Content::Missing(_))
    }

    /// Why it should be there, if it should and is not.
    pub(super) fn missing(&self) -> Option<&str> {
        match &self.present {
            Content::Missing(reason) => Some(reason),
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

    /// What is wrong with what the repository holds now.
    pub(super) fn fault(&self) -> Option<LoadError> {
        match (&self.present, &self.failed) {
            (Content::Faulty(reason), _) => Some(LoadError::new(Stage::Read, reason.clone())),
            (Content::Whole(candidate), Some((digest, error))) if candidate.digest == *digest => {
                Some(error.clone())
            }
            _ => None,
        }
    }
}
