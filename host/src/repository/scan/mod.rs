//! Scan of a whole repository: from directory entries to the state of each model and version.

mod model_files;
mod model_folder;
mod scanner;
mod steps;
mod version_folder;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Instant;

use crate::model::{ModelName, Version};
use crate::repository::aspired_versions::{Candidate, Observed};
use crate::repository::confined_dir::{ConfinedDir, DirEntry, EntryKind, FileRef, read_error_text};
use crate::repository::entry_meaning::{EntryMeaning, Namespace, classify_file, classify_folder};
use crate::repository::file_cache::{FileCache, FileRole};
use crate::repository::layout::{INTERCEPTORS, model_file_name, printable, reserved_name_message};
use crate::repository::operator_notes::OperatorNotes;
use crate::repository::runtimes::RuntimeCatalog;
use crate::repository::version_numbers::VersionNumbers;

use model_files::Peeked;
pub(crate) use model_files::find_model_file;
pub(super) use model_folder::StagedFolder;
pub(super) use scanner::{ScanOutcome, Scanner};
pub(super) use steps::VersionParts;
use steps::{Problems, wrong_kind_message};
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

/// An entry in the root that claims a model's name.
enum NameClaim {
    Bare(FileRef),
    /// A model file with this extension.
    ModelFile(FileRef, String),
    Folder(FileRef),
    Refused(String),
    /// Possibly a model file, and still changing.
    Unsettled,
}

impl NameClaim {
    /// Returns the entry's name, as it is shown.
    fn entry(&self, model: &ModelName) -> String {
        match self {
            NameClaim::Bare(_) => format!("{model}.wasm"),
            NameClaim::ModelFile(_, extension) => format!("{model}.{extension}"),
            NameClaim::Folder(_) | NameClaim::Refused(_) | NameClaim::Unsettled => {
                format!("{model}/")
            }
        }
    }
}

impl Scan<'_> {
    // === The root ===

    fn name_claims(
        &mut self,
        namespace: Namespace,
        entries: Vec<DirEntry>,
    ) -> io::Result<BTreeMap<ModelName, Vec<NameClaim>>> {
        let mut claims: BTreeMap<ModelName, Vec<NameClaim>> = BTreeMap::new();
        for DirEntry { name, kind } in entries {
            let meaning = classify(namespace, &name, &kind, self.runtimes);

            if meaning == EntryMeaning::Interceptors {
                claims.append(&mut self.interceptors(kind)?);
            } else if let Some((name, claim)) = self.name_claim(meaning, &name, kind) {
                claims.entry(name).or_default().push(claim);
            }
        }

        Ok(claims)
    }

    /// Returns the entries of the interceptors folder. Fails if they cannot be listed: an empty
    /// list must not be announced instead.
    fn interceptors(&mut self, kind: EntryKind) -> io::Result<BTreeMap<ModelName, Vec<NameClaim>>> {
        let EntryKind::Folder(file_ref) = kind else {
            return Err(io::Error::other(wrong_kind_message(INTERCEPTORS, kind)));
        };

        self.result.folders.push(file_ref.clone());
        let entries = self.tree.list(&file_ref.path);
        let unreadable = |error: io::Error| {
            io::Error::other(format!("{INTERCEPTORS}: {}", read_error_text(&error)))
        };

        self.name_claims(Namespace::Interceptors, entries.map_err(unreadable)?)
    }

    fn name_claim(
        &mut self,
        meaning: EntryMeaning,
        name: &str,
        kind: EntryKind,
    ) -> Option<(ModelName, NameClaim)> {
        match (meaning, kind) {
            (EntryMeaning::Misplaced(note), _) => {
                self.result.notes.add(note);
                None
            }
            (EntryMeaning::Ignored | EntryMeaning::Interceptors, _) => None,
            (EntryMeaning::Reserved(model), _) => {
                Some((model, NameClaim::Refused(reserved_name_message(name))))
            }
            (EntryMeaning::Precompiled(model), _) => {
                Some((model, NameClaim::Refused(precompiled_message(name))))
            }
            (EntryMeaning::RefusedModel(model, kind), _) => {
                let reason = format!("{}: it is {kind}; {}", printable(name), kind.remedy());
                self.result.notes.add(reason.clone());
                Some((model, NameClaim::Refused(reason)))
            }
            (EntryMeaning::PossibleModelFile(model, extension), EntryKind::File(file_ref)) => {
                Some((model, self.possible_model_file(file_ref, extension)?))
            }
            (EntryMeaning::PossibleModelFile(..), _) => None,
            (EntryMeaning::Bare(model), EntryKind::File(file_ref)) => {
                Some((model, NameClaim::Bare(file_ref)))
            }
            (EntryMeaning::BareModelFile(model, extension), EntryKind::File(file_ref)) => {
                Some((model, NameClaim::ModelFile(file_ref, extension)))
            }
            (EntryMeaning::Model(model), EntryKind::Folder(file_ref)) => {
                Some((model, NameClaim::Folder(file_ref)))
            }
            (
                EntryMeaning::Bare(model)
                | EntryMeaning::BareModelFile(model, _)
                | EntryMeaning::Model(model),
                kind,
            ) => Some((model, NameClaim::Refused(wrong_kind_message(name, kind)))),
        }
    }

    /// Returns the claim of a file whose content decides whether it is a model; `None` if it is
    /// not.
    fn possible_model_file(&mut self, file_ref: FileRef, extension: String) -> Option<NameClaim> {
        match self.peek(&file_ref) {
            Peeked::Model => Some(NameClaim::ModelFile(file_ref, extension)),
            Peeked::Unsettled => Some(NameClaim::Unsettled),
            Peeked::Other => None,
        }
    }

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

fn classify(
    namespace: Namespace,
    name: &str,
    kind: &EntryKind,
    runtimes: &RuntimeCatalog,
) -> EntryMeaning {
    match kind {
        EntryKind::Folder(_) => classify_folder(namespace, name),
        // A broken link without an extension may have been meant as a folder.
        EntryKind::Broken(_) if !name.contains('.') => classify_folder(namespace, name),
        _ => classify_file(namespace, name, runtimes),
    }
}

fn precompiled_message(name: &str) -> String {
    format!("{name}: precompiled artifacts are never accepted; drop in the .wasm component itself")
}
