//! Scan of a whole repository: from directory entries to the state of each model and version.

mod model_files;
mod model_folder;
mod name_claims;
mod scanner;
mod steps;
mod version_folder;

use std::collections::BTreeSet;
use std::io;
use std::time::Instant;

use crate::model::{ModelName, Version};
use crate::repository::aspired_versions::Observed;
use crate::repository::candidate::Candidate;
use crate::repository::confined_dir::{ConfinedDir, FileRef};
use crate::repository::entry_meaning::Namespace;
use crate::repository::file_cache::{FileCache, FileRole};
use crate::repository::layout::{INTERCEPTORS, model_file_name};
use crate::repository::operator_notes::OperatorNotes;
use crate::repository::runtimes::RuntimeCatalog;
use crate::repository::version_numbers::VersionNumbers;

pub(crate) use model_files::find_model_file;
pub(super) use model_folder::StagedFolder;
use name_claims::NameClaim;
pub(super) use scanner::{ScanOutcome, Scanner};
use steps::Problems;
pub(super) use steps::VersionParts;
pub(super) use version_folder::MAX_SIDECARS;

/// The result of one scan.
#[derive(Default)]
pub(super) struct ScanResult {
    /// Models and versions, in the order of the scan.
    pub(super) observed: Vec<Observed>,
    /// The scanned folders, beginning with the root.
    pub(super) folders: Vec<FileRef>,
    /// Messages that an operator should see once.
    pub(super) notes: OperatorNotes,
    /// The earliest instant at which an unsettled entry may settle.
    pub(super) due: Option<Instant>,
    /// True if the root has no entries.
    pub(super) empty: bool,
    /// True if there are more versions than were scanned.
    pub(super) partial: bool,
}

/// Limits of a scan.
pub(super) struct ScanLimits<'a> {
    /// Maximum number of versions.
    pub(super) versions: usize,
    /// Models that were present before. They are scanned before others.
    pub(super) known: &'a BTreeSet<ModelName>,
    /// The runtimes of model files.
    pub(super) runtimes: &'a RuntimeCatalog,
    /// The directory is the mirror of a store.
    pub(super) is_mirror: bool,
}

/// Scans everything in the tree up to the limit. Fails if the root cannot be listed, or if some
/// interceptors cannot be scanned: a shorter list of interceptors must not be announced as
/// complete.
pub(super) fn scan(
    tree: &ConfinedDir,
    cache: &mut FileCache,
    numbers: &mut VersionNumbers,
    limits: ScanLimits<'_>,
) -> io::Result<ScanResult> {
    let entries = tree.list(&tree.root().path)?;
    let result = ScanResult {
        folders: vec![tree.root()],
        empty: entries.is_empty(),
        ..ScanResult::default()
    };
    let runtimes = limits.runtimes;
    let ScanLimits { versions: left, is_mirror, .. } = limits;
    let mut scan = Scan { tree, cache, numbers, runtimes, is_mirror, result, left };

    let claims = scan.name_claims(Namespace::Models, entries)?;
    let (interceptors, models): (Vec<_>, Vec<_>) =
        claims.into_iter().partition(|(name, _)| name.is_interceptor());
    scan.scan_models(interceptors);

    if scan.result.partial {
        let limit = limits.versions;
        return Err(io::Error::other(format!(
            "{INTERCEPTORS}: more than {limit} versions (max_versions)"
        )));
    }

    let (known, others): (Vec<_>, Vec<_>) =
        models.into_iter().partition(|(name, _)| limits.known.contains(name));
    scan.scan_models(known);
    scan.scan_models(others);

    scan.cache.end_scan();
    scan.save_version_numbers();

    Ok(scan.result)
}

/// Reads the files next to a component that is about to replace a version's: the model's settings,
/// and the version's sidecars and golden requests. Fails with the faults found.
pub(in crate::repository) fn read_parts(
    tree: &ConfinedDir,
    cache: &mut FileCache,
    runtimes: &RuntimeCatalog,
    name: &ModelName,
    version: Version,
) -> Result<VersionParts, String> {
    let numbers = &mut VersionNumbers::default();
    let result = ScanResult::default();
    Scan { tree, cache, numbers, runtimes, is_mirror: false, result, left: 1 }
        .read_parts(name, version)
}

/// Reads a whole version that is staged elsewhere in the repository, as the candidate that it will
/// be in its place. Fails with the faults found.
pub(in crate::repository) fn read_staged(
    tree: &ConfinedDir,
    cache: &mut FileCache,
    runtimes: &RuntimeCatalog,
    name: &ModelName,
    version: Version,
    staged: &StagedFolder,
) -> Result<Candidate, String> {
    let numbers = &mut VersionNumbers::default();
    let result = ScanResult::default();
    Scan { tree, cache, numbers, runtimes, is_mirror: false, result, left: 1 }
        .read_staged(name, version, staged)
}

/// A scan in progress.
pub(super) struct Scan<'a> {
    pub(super) tree: &'a ConfinedDir,
    cache: &'a mut FileCache,
    numbers: &'a mut VersionNumbers,
    runtimes: &'a RuntimeCatalog,
    is_mirror: bool,
    pub(super) result: ScanResult,
    /// Number of versions that may still be scanned.
    left: usize,
}

impl Scan<'_> {
    fn scan_models(&mut self, all: Vec<(ModelName, Vec<NameClaim>)>) {
        for (name, claims) in all {
            // A model without versions counts as one.
            if self.take_versions(1) == 1 {
                self.scan_model(&name, claims);
            }
        }
    }

    /// Counts versions against the limit. Returns how many of them may be scanned.
    pub(super) fn take_versions(&mut self, versions: usize) -> usize {
        let counted = versions.min(self.left);
        self.left -= counted;
        self.result.partial |= counted < versions;
        counted
    }

    fn scan_model(&mut self, name: &ModelName, claims: Vec<NameClaim>) {
        let mut refused = Vec::new();
        let mut others = Vec::new();

        for claim in claims {
            match claim {
                NameClaim::Refused(reason) => refused.push(reason),
                NameClaim::Unsettled => {}
                other => others.push(other),
            }
        }

        let mut entries: Vec<_> = others.iter().map(|claim| claim.entry(name)).collect();
        entries.sort_by_key(|entry| entry.ends_with('/'));
        match (others.pop(), others.is_empty()) {
            (None, _) if refused.is_empty() => self.add_unsettled(name, None),
            (None, _) => self.add_faulty(name, None, refused.join("; ")),
            (Some(NameClaim::Bare(file_ref)), true) => self.scan_bare(name, &file_ref),
            (Some(NameClaim::ModelFile(file_ref, extension)), true) => {
                self.scan_bare_model_file(name, &file_ref, &extension)
            }
            (Some(NameClaim::Folder(file_ref)), true) => self.scan_model_folder(name, file_ref),
            _ => self.add_faulty(
                name,
                None,
                format!("both {} exist; remove one of them", entries.join(" and ")),
            ),
        }
    }

    fn scan_bare(&mut self, name: &ModelName, file_ref: &FileRef) {
        let mut problems = Problems::default();
        let component =
            self.read(file_ref, &format!("{name}.wasm"), FileRole::Component, &mut problems);
        let Some(component) = component.filter(|_| problems.is_empty()) else {
            return self.add_problems(name, None, problems);
        };

        match self.numbers.number(name, component.digest) {
            Some(version) => {
                let component = self.component(file_ref, &component);
                self.add_candidate(name, version, component, VersionParts::default())
            }
            None => self.add_faulty(name, None, NO_NUMBERS.into()),
        }
    }

    /// Scans a model file without a folder. The runtime sees it under the name that it would have
    /// in a version's folder.
    fn scan_bare_model_file(&mut self, name: &ModelName, file_ref: &FileRef, extension: &str) {
        let mut problems = Problems::default();
        let shown = format!("{name}.{extension}");
        let content = self.read(file_ref, &shown, FileRole::ModelFile, &mut problems);
        let Some(content) = content.filter(|_| problems.is_empty()) else {
            return self.add_problems(name, None, problems);
        };

        let file_name = model_file_name(extension);
        let component = match self.runtime_of(&file_name, file_ref, &content, &[]) {
            Ok(component) => component,
            Err(reason) => return self.add_faulty(name, None, format!("{shown}: {reason}")),
        };
        let sidecars = vec![self.sidecar(file_name, file_ref.clone(), &content)];
        let parts = VersionParts { sidecars, ..VersionParts::default() };

        match self.numbers.number(name, content.digest) {
            Some(version) => self.add_candidate(name, version, component, parts),
            None => self.add_faulty(name, None, NO_NUMBERS.into()),
        }
    }
}

const NO_NUMBERS: &str = "there are no version numbers left";
