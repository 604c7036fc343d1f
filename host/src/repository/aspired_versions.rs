//! The announcement of a source: the complete result of one scan.

use super::candidate::Candidate;
use crate::model::{ModelName, TenantName, Version};

/// The complete result of one scan of a tenant's repository. It replaces every earlier
/// announcement: a model or version that is not in it is no longer wanted.
#[derive(Clone, Debug)]
pub struct AspiredVersions {
    /// The tenant that owns the repository.
    pub tenant: TenantName,
    /// Identifies the source that announces this. A tenant's repository may be replaced by another
    /// one.
    pub source: u64,
    /// Models and versions, sorted by name, then version. An entry for a model as a whole precedes
    /// its versions. While degraded, this is the result of the last successful scan.
    pub observed: Vec<Observed>,
    /// The reason why the repository cannot be trusted now; `None` if it can. While set, all
    /// serving versions stay and the reason is reported.
    pub degraded: Option<Degraded>,
    /// The reason why the scan was incomplete; `None` if it was complete. Versions that were not
    /// scanned keep serving.
    pub partial: Option<String>,
    /// True once every entry that existed at the start has been seen settled. Stays true.
    pub first_settled: bool,
    /// Number of rescans requested before this scan began.
    pub rescans_requested: u64,
}

/// The reason why a repository cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded {
    /// Text for the tenant: names files relative to the repository only.
    pub reason: String,
    /// Text for the operator: includes host paths and other tenants' names.
    pub detail: String,
    /// True if an operator has to act. False for a missing repository, which may come back by
    /// itself.
    pub needs_operator: bool,
}

impl From<String> for Degraded {
    fn from(reason: String) -> Self {
        Degraded { detail: reason.clone(), reason, needs_operator: false }
    }
}

impl AspiredVersions {
    /// The announcement before the first scan.
    pub fn empty(tenant: TenantName) -> Self {
        AspiredVersions {
            tenant,
            source: 0,
            observed: Vec::new(),
            degraded: None,
            partial: None,
            first_settled: false,
            rescans_requested: 0,
        }
    }

    /// Returns every entry of one model.
    pub fn for_model<'a>(&'a self, name: &'a ModelName) -> impl Iterator<Item = &'a Observed> {
        let start = self.observed.partition_point(|observed| observed.name() < name);
        self.observed.iter().skip(start).take_while(move |observed| observed.name() == name)
    }

    /// Returns true if both announcements of one source have the same content.
    pub(super) fn has_same_content(&self, other: &AspiredVersions) -> bool {
        // Destructured so that a new field cannot be forgotten here.
        let AspiredVersions {
            tenant: _,
            source: _,
            observed,
            degraded,
            partial,
            first_settled,
            rescans_requested: asked,
        } = self;

        (degraded, partial, first_settled, asked)
            == (&other.degraded, &other.partial, &other.first_settled, &other.rescans_requested)
            && *observed == other.observed
    }

    /// Returns true if no entry is still changing.
    pub fn is_settled(&self) -> bool {
        !self.observed.iter().any(|observed| matches!(observed, Observed::Unsettled { .. }))
    }
}

/// The state of one model or version in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Nearly everything that is observed is whole.
pub enum Observed {
    /// A version that can be loaded.
    Candidate(Candidate),
    /// Present now, or a moment ago, and still changing. The serving version stays.
    Unsettled {
        /// The model.
        name: ModelName,
        /// The version; `None` if this concerns all versions.
        version: Option<Version>,
    },
    /// Present and invalid. The serving version stays and the reason is reported.
    Faulty {
        /// The model.
        name: ModelName,
        /// The version; `None` if this concerns all versions.
        version: Option<Version>,
        /// The fault and its remedy. Names files relative to the repository only.
        reason: String,
    },
    /// Absent, although the model's settings name it.
    Missing {
        /// The model.
        name: ModelName,
        /// The version.
        version: Version,
        /// The setting that names it, and the remedy.
        reason: String,
    },
}

impl Observed {
    /// The model that the entry is, or belongs to.
    pub fn name(&self) -> &ModelName {
        match self {
            Observed::Candidate(candidate) => &candidate.name,
            Observed::Unsettled { name, .. }
            | Observed::Faulty { name, .. }
            | Observed::Missing { name, .. } => name,
        }
    }

    /// Returns true if the repository contains it, valid or not.
    pub fn is_present(&self) -> bool {
        !matches!(self, Observed::Missing { .. })
    }

    /// The version; `None` if the entry concerns the model as a whole.
    pub fn version(&self) -> Option<Version> {
        match self {
            Observed::Candidate(candidate) => Some(candidate.version),
            Observed::Unsettled { version, .. } | Observed::Faulty { version, .. } => *version,
            Observed::Missing { version, .. } => Some(*version),
        }
    }
}
