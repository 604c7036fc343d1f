//! What a source announces: everything it sees, each time.

use std::sync::Arc;

use super::Digest;
use crate::files::FileIn;
use crate::model::{ConfigTable, ModelName, ModelSettings, TenantName, Version};

/// Everything one look at a tenant's repository saw. It replaces whatever was announced before; a
/// model or version that is not in it is not wanted any more.
#[derive(Clone, Debug)]
pub struct Aspired {
    /// Whose repository it is.
    pub tenant: TenantName,
    /// Which source announces it: a tenant's repository may be replaced by another.
    pub source: u64,
    /// Models and versions, sorted by name, then version; what concerns a model as a whole comes
    /// first. While degraded, this is what was seen last.
    pub seen: Vec<Seen>,
    /// Why the repository itself cannot be believed now, if so. Keep everything that serves, and
    /// report it.
    pub degraded: Option<Degraded>,
    /// Why not all of it was looked at, if so. What was not keeps serving.
    pub partial: Option<String>,
    /// Whether everything there at the start has been seen settled, at least once. Stays true.
    pub first_settled: bool,
    /// How many rescans had been asked for before this look began.
    pub asked: u64,
}

/// Why a repository cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded {
    /// For its tenant: names files relative to the repository only.
    pub reason: String,
    /// For the operator: with the host's paths and other tenants' names.
    pub detail: String,
    /// Whether somebody has to mend it. What is only missing may come by itself.
    pub fault: bool,
}

impl From<String> for Degraded {
    fn from(reason: String) -> Self {
        Degraded { detail: reason.clone(), reason, fault: false }
    }
}

impl Aspired {
    /// What is announced before the first look.
    pub fn nothing_yet(tenant: TenantName) -> Self {
        Aspired {
            tenant,
            source: 0,
            seen: Vec::new(),
            degraded: None,
            partial: None,
            first_settled: false,
            asked: 0,
        }
    }

    /// Everything seen under that name.
    pub fn of<'a>(&'a self, name: &'a ModelName) -> impl Iterator<Item = &'a Seen> {
        let start = self.seen.partition_point(|seen| seen.name() < name);
        self.seen.iter().skip(start).take_while(move |seen| seen.name() == name)
    }

    /// True if it says the same of the repository as another announcement of the same source.
    pub(super) fn says_the_same(&self, other: &Aspired) -> bool {
        // Taken apart so that a new field cannot be forgotten here.
        let Aspired { tenant: _, source: _, seen, degraded, partial, first_settled, asked } = self;
        (degraded, partial, first_settled, asked)
            == (&other.degraded, &other.partial, &other.first_settled, &other.asked)
            && *seen == other.seen
    }

    /// Whether anything is still changing.
    pub fn is_settled(&self) -> bool {
        !self.seen.iter().any(|seen| matches!(seen, Seen::Unsettled { .. }))
    }
}

/// One thing in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Nearly everything that is seen is whole.
pub enum Seen {
    /// A version that can be tried.
    Whole(Candidate),
    /// It is there, or was a moment ago, and is still changing. Keep what serves.
    Unsettled {
        /// Which model.
        name: ModelName,
        /// Which version; `None` when it concerns all of them.
        version: Option<Version>,
    },
    /// It is there and wrong. Keep what serves, and report it.
    Faulty {
        /// Which model.
        name: ModelName,
        /// Which version; `None` when it concerns all of them.
        version: Option<Version>,
        /// What is wrong and what would mend it. Names files relative to the repository only.
        reason: String,
    },
    /// It is not there, although the model's settings name it.
    Missing {
        /// Which model.
        name: ModelName,
        /// Which version.
        version: Version,
        /// What names it and what would mend it.
        reason: String,
    },
}

impl Seen {
    /// Which model it is or belongs to.
    pub fn name(&self) -> &ModelName {
        match self {
            Seen::Whole(candidate) => &candidate.name,
            Seen::Unsettled { name, .. }
            | Seen::Faulty { name, .. }
            | Seen::Missing { name, .. } => name,
        }
    }

    /// True if the repository holds it, right or wrong.
    pub fn is_there(&self) -> bool {
        !matches!(self, Seen::Missing { .. })
    }

    /// Which version it is; `None` when it concerns the model as a whole.
    pub fn version(&self) -> Option<Version> {
        match self {
            Seen::Whole(candidate) => Some(candidate.version),
            Seen::Unsettled { version, .. } | Seen::Faulty { version, .. } => *version,
            Seen::Missing { version, .. } => Some(*version),
        }
    }
}

/// A version that can be tried: its files have settled and its component is structurally whole.
///
/// Its digests say what its files held when they were read, and nothing keeps them from changing
/// since. Who opens a file must compare what it reads with the digest beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which model.
    pub name: ModelName,
    /// Which version of it.
    pub version: Version,
    /// The file of the component.
    pub component: FileIn,
    /// What it held.
    pub component_digest: Digest,
    /// Its size in bytes.
    pub component_size: u64,
    /// When its file last changed, by the file system's clock: seconds and nanoseconds.
    pub changed: (i64, i64),
    /// The other files of the version, sorted by name.
    pub sidecars: Vec<Sidecar>,
    /// The requests it must answer as written before it goes live.
    pub golden: Option<Sidecar>,
    /// What is in force for the model.
    pub settings: Arc<ModelSettings>,
    /// The part of its configuration that changes while it serves.
    pub live: Arc<Live>,
    /// Its identity: equal for equal component, sidecars, golden requests and settings, wherever
    /// they lie. Which versions are wanted, and what is live, is not part of it, since no version
    /// must load again for that.
    pub digest: Digest,
}

impl Candidate {
    /// Bytes of all its files.
    pub fn size(&self) -> u64 {
        let beside = self.sidecars.iter().chain(&self.golden);
        self.component_size + beside.map(|sidecar| sidecar.size).sum::<u64>()
    }
}

/// The part of a model's configuration that changes while it serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// What the file said when it was right last; empty if there is none.
    pub values: Arc<ConfigTable>,
    /// What is wrong with the file now, if anything is.
    pub fault: Option<String>,
}

/// A file beside a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// By which the model asks for it.
    pub name: String,
    /// The file.
    pub file: FileIn,
    /// What it held.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The identity of a candidate made of these. Only ever compared within one run of the host.
pub(super) fn identity(
    component: &Digest,
    sidecars: &[Sidecar],
    golden: Option<&Sidecar>,
    settings: &ModelSettings,
) -> Digest {
    // Taken apart so that a new setting cannot be forgotten here.
    let ModelSettings { versions: _, isolation, instances, batching, limits, .. } = settings;
    let ModelSettings { streaming, sessions, deferred, warmup, breaker, capabilities, .. } =
        settings;
    let files: Vec<_> = sidecars.iter().map(|sidecar| (&sidecar.name, sidecar.digest)).collect();
    let golden = golden.map(|sidecar| sidecar.digest);
    let in_force = (
        isolation,
        instances,
        batching,
        limits,
        (streaming, sessions, deferred),
        warmup,
        breaker,
        capabilities,
    );
    // `Debug` writes texts quoted and escaped, so that no two of these look alike.
    Digest::of(format!("{component} {files:?} {golden:?} {in_force:?}").as_bytes())
}
