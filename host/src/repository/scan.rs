//! Scan of a whole repository: from directory entries to the state of each model and version.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::aspired_versions::{Candidate, LiveConfig, Observed, Sidecar, identity};
use super::confined_dir::{ConfinedDir, DirEntry, EntryKind, FileRef, plain, read_error_text};
use super::file_cache::{FileCache, FileContent, FileRole, ParsedFile, ReadOutcome};
use super::layout::{
    EntryMeaning, INTERCEPTORS, LIVE_CONFIG, Namespace, SETTINGS, classify_file, classify_folder,
    reserved_name_message,
};
use super::operator_notes::OperatorNotes;
use super::version_numbers::VersionNumbers;
use crate::model::{ModelName, ModelSettings, Version};

/// The result of one scan.
pub(super) struct ScanResult {
    pub(super) seen: Vec<Observed>,
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
}

/// Scans everything in the tree up to the limit. Fails if the root cannot be listed, or if some
/// interceptors cannot be scanned: a shorter list of interceptors must not be announced as
/// complete.
pub(super) fn scan(
    tree: &ConfinedDir,
    contents: &mut FileCache,
    numbers: &mut VersionNumbers,
    bound: ScanLimits<'_>,
) -> io::Result<ScanResult> {
    let entries = tree.list(&tree.root().path)?;
    let (seen, folders, notes) = (Vec::new(), vec![tree.root()], OperatorNotes::default());
    let sight =
        ScanResult { seen, folders, notes, due: None, empty: entries.is_empty(), partial: false };
    let mut scan = Scan { tree, contents, numbers, result: sight, left: bound.versions };

    let claims = scan.name_claims(Namespace::Models, entries)?;
    let (interceptors, models): (Vec<_>, Vec<_>) =
        claims.into_iter().partition(|(name, _)| name.is_interceptor());
    scan.scan_models(interceptors);

    if scan.result.partial {
        let limit = bound.versions;
        return Err(io::Error::other(format!(
            "{INTERCEPTORS}: more than {limit} versions (max_versions)"
        )));
    }

    let (known, others): (Vec<_>, Vec<_>) =
        models.into_iter().partition(|(name, _)| bound.known.contains(name));
    scan.scan_models(known);
    scan.scan_models(others);

    scan.contents.end_scan();
    scan.save_version_numbers();

    Ok(scan.result)
}

/// Reads the files next to a component that is about to replace a version's: the model's settings,
/// and the version's sidecars and golden requests. Fails with the faults found.
pub(super) fn read_parts(
    tree: &ConfinedDir,
    contents: &mut FileCache,
    name: &ModelName,
    version: Version,
) -> Result<VersionParts, String> {
    let (seen, folders, notes) = Default::default();
    let sight = ScanResult { seen, folders, notes, due: None, empty: false, partial: false };
    Scan { tree, contents, numbers: &mut VersionNumbers::default(), result: sight, left: 1 }
        .beside(name, version)
}

/// A scan in progress.
pub(super) struct Scan<'a> {
    pub(super) tree: &'a ConfinedDir,
    contents: &'a mut FileCache,
    numbers: &'a mut VersionNumbers,
    pub(super) result: ScanResult,
    /// Number of versions that may still be scanned.
    left: usize,
}

/// An entry in the root that claims a model's name.
enum NameClaim {
    Bare(FileRef),
    Folder(FileRef),
    Refused(String),
}

/// Faults and unsettled files of an entry that consists of several files.
#[derive(Default)]
pub(super) struct Problems {
    pub(super) faults: Vec<String>,
    unsettled: bool,
}

impl Scan<'_> {
    // === The root ===

    fn name_claims(
        &mut self,
        shelf: Namespace,
        entries: Vec<DirEntry>,
    ) -> io::Result<BTreeMap<ModelName, Vec<NameClaim>>> {
        let mut claims: BTreeMap<ModelName, Vec<NameClaim>> = BTreeMap::new();
        for DirEntry { name, kind } in entries {
            let meaning = classify(shelf, &name, &kind);
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
        let EntryKind::Folder(place) = kind else {
            return Err(io::Error::other(wrong_kind_message(INTERCEPTORS, kind)));
        };

        self.result.folders.push(place.clone());
        let entries = self.tree.list(&place.path);
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
            (EntryMeaning::Bare(model), EntryKind::File(place)) => {
                Some((model, NameClaim::Bare(place)))
            }
            (EntryMeaning::Model(model), EntryKind::Folder(place)) => {
                Some((model, NameClaim::Folder(place)))
            }
            (EntryMeaning::Bare(model) | EntryMeaning::Model(model), kind) => {
                Some((model, NameClaim::Refused(wrong_kind_message(name, kind))))
            }
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
                other => others.push(other),
            }
        }

        match (others.pop(), others.is_empty()) {
            (None, _) => self.add_faulty(name, None, refused.join("; ")),
            (Some(NameClaim::Bare(place)), true) => self.scan_bare(name, &place),
            (Some(NameClaim::Folder(place)), true) => self.folder(name, place),
            _ => self.add_faulty(
                name,
                None,
                format!("both {name}.wasm and {name}/ are there; remove one of them"),
            ),
        }
    }

    fn scan_bare(&mut self, name: &ModelName, place: &FileRef) {
        let mut trouble = Problems::default();
        let component =
            self.read(place, &format!("{name}.wasm"), FileRole::Component, &mut trouble);
        let Some(component) = component.filter(|_| trouble.is_empty()) else {
            return self.add_problems(name, None, trouble);
        };

        match self.numbers.number(name, component.digest) {
            Some(version) => {
                self.add_candidate(name, version, (place, component), VersionParts::default())
            }
            None => self.add_faulty(name, None, "there are no version numbers left".into()),
        }
    }

    // === Shared by both layouts ===

    /// Returns the path of a model's folder, which may not exist.
    pub(super) fn model_folder(&self, name: &ModelName) -> PathBuf {
        name.as_str().into()
    }

    /// Returns the entries of a folder; none if it does not exist.
    pub(super) fn entries(&self, folder: &Path) -> Result<Vec<DirEntry>, String> {
        match self.tree.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|error| {
                format!("its folder cannot be listed: {}", read_error_text(&error))
            }),
        }
    }

    pub(super) fn list_folder(
        &mut self,
        name: &ModelName,
        version: Option<Version>,
        folder: &FileRef,
    ) -> Option<Vec<DirEntry>> {
        self.result.folders.push(folder.clone());
        match self.tree.list(&folder.path) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.set_due(Instant::now());
                self.result.seen.push(Observed::Unsettled { name: name.clone(), version });
                None
            }
            Err(error) => {
                self.add_faulty(
                    name,
                    version,
                    format!("its folder cannot be listed: {}", read_error_text(&error)),
                );
                None
            }
        }
    }

    pub(super) fn check_settled(&mut self, folder: &FileRef, trouble: &mut Problems) {
        if let Some(due) = self.contents.settles_at(folder) {
            self.set_due(due);
            trouble.unsettled = true;
        }
    }

    pub(super) fn read(
        &mut self,
        place: &FileRef,
        called: &str,
        role: FileRole,
        trouble: &mut Problems,
    ) -> Option<FileContent> {
        match self.contents.read(self.tree, place, role) {
            ReadOutcome::Settled(content) => return Some(content),
            ReadOutcome::Faulty(reason)
                if role == FileRole::Settings && reason.starts_with(SETTINGS) =>
            {
                trouble.faults.push(reason);
            }
            ReadOutcome::Faulty(reason) => trouble.faults.push(format!("{called}: {reason}")),
            ReadOutcome::Unsettled(due) => {
                self.set_due(due);
                trouble.unsettled = true;
            }
        }

        None
    }

    /// Reads a model's live configuration. While the file is faulty or unsettled, the previous
    /// values stay.
    pub(super) fn live(&mut self, name: &ModelName, kind: EntryKind) -> Arc<LiveConfig> {
        let (mut values, mut fault) = (None, None);
        match kind {
            EntryKind::File(place) => match self.contents.read(self.tree, &place, FileRole::Live) {
                ReadOutcome::Settled(FileContent { parsed: ParsedFile::Live(read), .. }) => {
                    values = Some(read)
                }
                ReadOutcome::Settled(_) => {}
                ReadOutcome::Unsettled(due) => self.set_due(due),
                ReadOutcome::Faulty(reason) if reason.starts_with(LIVE_CONFIG) => {
                    fault = Some(reason)
                }
                ReadOutcome::Faulty(reason) => fault = Some(format!("{LIVE_CONFIG}: {reason}")),
            },
            kind => fault = Some(wrong_kind_message(LIVE_CONFIG, kind)),
        }

        let fault = fault.map(|fault| format!("{fault}; what it said before stays in force"));
        if let Some(fault) = &fault {
            self.result.notes.add(format!("{name}/{fault}"));
        }

        Arc::new(LiveConfig { values: self.contents.live(name, values), fault })
    }

    pub(super) fn add_candidate(
        &mut self,
        name: &ModelName,
        version: Version,
        (place, component): (&FileRef, FileContent),
        parts: VersionParts,
    ) {
        let VersionParts { settings, live, sidecars, golden } = parts;
        let digest = identity(&component.digest, &sidecars, golden.as_ref(), &settings);
        self.result.seen.push(Observed::Candidate(Candidate {
            name: name.clone(),
            version,
            component: self.tree.file(place.path.clone()),
            component_digest: component.digest,
            changed_at: place.stamp.changed,
            component_size: component.size,
            sidecars,
            golden,
            settings,
            live,
            digest,
        }));
    }

    /// Unsettled takes precedence over faulty: a file that is still changing may be invalid only
    /// for now.
    pub(super) fn add_problems(
        &mut self,
        name: &ModelName,
        version: Option<Version>,
        trouble: Problems,
    ) {
        if trouble.unsettled {
            self.result.seen.push(Observed::Unsettled { name: name.clone(), version });
        } else {
            self.add_faulty(name, version, trouble.faults.join("; "));
        }
    }

    pub(super) fn add_faulty(
        &mut self,
        name: &ModelName,
        version: Option<Version>,
        reason: String,
    ) {
        self.result.seen.push(Observed::Faulty { name: name.clone(), version, reason });
    }

    fn set_due(&mut self, due: Instant) {
        self.result.due = Some(self.result.due.map_or(due, |other| other.min(due)));
    }

    /// Saves new version numbers. A candidate without a saved number becomes faulty: after a crash
    /// its number could be assigned to other content.
    fn save_version_numbers(&mut self) {
        let Err(error) = self.numbers.save() else { return };
        for seen in &mut self.result.seen {
            if self.numbers.is_unsaved(seen.name()) {
                let reason = format!(
                    "its version number cannot be saved in the state directory: {}",
                    plain(&error)
                );
                *seen = Observed::Faulty { name: seen.name().clone(), version: None, reason };
            }
        }
    }
}

/// The parts of a version besides its component.
#[derive(Default)]
pub(super) struct VersionParts {
    pub(super) settings: Arc<ModelSettings>,
    pub(super) live: Arc<LiveConfig>,
    pub(super) sidecars: Vec<Sidecar>,
    pub(super) golden: Option<Sidecar>,
}

impl Problems {
    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty() && !self.unsettled
    }

    /// Returns all faults as one text.
    pub(super) fn into_result(self) -> Result<(), String> {
        match (self.faults.is_empty(), self.unsettled) {
            (false, _) => Err(self.faults.join("; ")),
            (true, true) => Err("the files beside it are still changing".into()),
            (true, false) => Ok(()),
        }
    }

    pub(super) fn or_else_fault(mut self, fault: &str) -> Self {
        if self.is_empty() {
            self.faults.push(fault.into());
        }
        self
    }
}

fn classify(shelf: Namespace, name: &str, kind: &EntryKind) -> EntryMeaning {
    match kind {
        EntryKind::Folder(_) => classify_folder(shelf, name),
        // A broken link without an extension may have been meant as a folder.
        EntryKind::Broken(_) if !name.contains('.') => classify_folder(shelf, name),
        _ => classify_file(shelf, name),
    }
}

fn precompiled_message(name: &str) -> String {
    format!("{name}: precompiled artifacts are never accepted; drop in the .wasm component itself")
}

/// Returns the fault of an entry whose kind does not match its name.
pub(super) fn wrong_kind_message(name: &str, kind: EntryKind) -> String {
    match kind {
        EntryKind::Broken(why) => format!("{name}: {why}"),
        EntryKind::Folder(_) => format!("{name}: a folder, where a file is expected"),
        EntryKind::File(_) => format!("{name}: a file, where a folder is expected"),
        EntryKind::Special => format!("{name}: not a regular file"),
    }
}
