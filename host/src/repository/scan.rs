//! Scan of a whole repository: from directory entries to the state of each model and version.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::aspired::{Candidate, Live, Seen, Sidecar, identity};
use super::contents::{Content, Contents, Reading, Role, Said};
use super::layout::{INTERCEPTORS, InRoot, LIVE, SETTINGS, Shelf, file_on, folder_on, reserved};
use super::notes::Notes;
use super::numbers::Numbers;
use super::tree::{Entry, Kind, Place, Tree, plain, unreadable};
use crate::model::{ModelName, ModelSettings, Version};

/// The result of one scan.
pub(super) struct Sight {
    pub(super) seen: Vec<Seen>,
    /// The scanned folders, beginning with the root.
    pub(super) folders: Vec<Place>,
    /// Messages that an operator should see once.
    pub(super) notes: Notes,
    /// The earliest instant at which an unsettled entry may settle.
    pub(super) due: Option<Instant>,
    /// True if the root has no entries.
    pub(super) empty: bool,
    /// True if there are more versions than were scanned.
    pub(super) partial: bool,
}

/// Limits of a scan.
pub(super) struct Bound<'a> {
    /// Maximum number of versions.
    pub(super) versions: usize,
    /// Models that were present before. They are scanned before others.
    pub(super) known: &'a BTreeSet<ModelName>,
}

/// Scans everything in the tree up to the limit. Fails if the root cannot be listed, or if some
/// interceptors cannot be scanned: a shorter list of interceptors must not be announced as
/// complete.
pub(super) fn scan(
    tree: &Tree,
    contents: &mut Contents,
    numbers: &mut Numbers,
    bound: Bound<'_>,
) -> io::Result<Sight> {
    let entries = tree.list(&tree.root().path)?;
    let (seen, folders, notes) = (Vec::new(), vec![tree.root()], Notes::default());
    let sight =
        Sight { seen, folders, notes, due: None, empty: entries.is_empty(), partial: false };
    let mut scan = Scan { tree, contents, numbers, sight, left: bound.versions };

    let claims = scan.claims(Shelf::Models, entries)?;
    let (interceptors, models): (Vec<_>, Vec<_>) =
        claims.into_iter().partition(|(name, _)| name.is_interceptor());
    scan.models(interceptors);
    if scan.sight.partial {
        let limit = bound.versions;
        return Err(io::Error::other(format!(
            "{INTERCEPTORS}: more than {limit} versions (max_versions)"
        )));
    }
    let (known, others): (Vec<_>, Vec<_>) =
        models.into_iter().partition(|(name, _)| bound.known.contains(name));
    scan.models(known);
    scan.models(others);

    scan.contents.end_round();
    scan.keep_numbers();
    Ok(scan.sight)
}

/// Reads the files next to a component that is about to replace a version's: the model's settings,
/// and the version's sidecars and golden requests. Fails with the faults found.
pub(super) fn beside(
    tree: &Tree,
    contents: &mut Contents,
    name: &ModelName,
    version: Version,
) -> Result<Parts, String> {
    let (seen, folders, notes) = Default::default();
    let sight = Sight { seen, folders, notes, due: None, empty: false, partial: false };
    Scan { tree, contents, numbers: &mut Numbers::default(), sight, left: 1 }.beside(name, version)
}

/// A scan in progress.
pub(super) struct Scan<'a> {
    pub(super) tree: &'a Tree,
    contents: &'a mut Contents,
    numbers: &'a mut Numbers,
    pub(super) sight: Sight,
    /// Number of versions that may still be scanned.
    left: usize,
}

/// An entry in the root that claims a model's name.
enum Claim {
    Bare(Place),
    Folder(Place),
    Refused(String),
}

/// Faults and unsettled files of an entry that consists of several files.
#[derive(Default)]
pub(super) struct Trouble {
    pub(super) faults: Vec<String>,
    unsettled: bool,
}

impl Scan<'_> {
    // === The root ===

    fn claims(
        &mut self,
        shelf: Shelf,
        entries: Vec<Entry>,
    ) -> io::Result<BTreeMap<ModelName, Vec<Claim>>> {
        let mut claims: BTreeMap<ModelName, Vec<Claim>> = BTreeMap::new();
        for Entry { name, kind } in entries {
            let meaning = meaning(shelf, &name, &kind);
            if meaning == InRoot::Interceptors {
                claims.append(&mut self.interceptors(kind)?);
            } else if let Some((name, claim)) = self.claim(meaning, &name, kind) {
                claims.entry(name).or_default().push(claim);
            }
        }
        Ok(claims)
    }

    /// Returns the entries of the interceptors folder. Fails if they cannot be listed: an empty
    /// list must not be announced instead.
    fn interceptors(&mut self, kind: Kind) -> io::Result<BTreeMap<ModelName, Vec<Claim>>> {
        let Kind::Folder(place) = kind else {
            return Err(io::Error::other(wrong_kind(INTERCEPTORS, kind)));
        };
        self.sight.folders.push(place.clone());
        let entries = self.tree.list(&place.path);
        let unreadable =
            |error: io::Error| io::Error::other(format!("{INTERCEPTORS}: {}", unreadable(&error)));
        self.claims(Shelf::Interceptors, entries.map_err(unreadable)?)
    }

    fn claim(&mut self, meaning: InRoot, name: &str, kind: Kind) -> Option<(ModelName, Claim)> {
        match (meaning, kind) {
            (InRoot::Odd(note), _) => {
                self.sight.notes.add(note);
                None
            }
            (InRoot::Ignored | InRoot::Interceptors, _) => None,
            (InRoot::Reserved(model), _) => Some((model, Claim::Refused(reserved(name)))),
            (InRoot::Precompiled(model), _) => Some((model, Claim::Refused(precompiled(name)))),
            (InRoot::Bare(model), Kind::File(place)) => Some((model, Claim::Bare(place))),
            (InRoot::Model(model), Kind::Folder(place)) => Some((model, Claim::Folder(place))),
            (InRoot::Bare(model) | InRoot::Model(model), kind) => {
                Some((model, Claim::Refused(wrong_kind(name, kind))))
            }
        }
    }

    fn models(&mut self, all: Vec<(ModelName, Vec<Claim>)>) {
        for (name, claims) in all {
            // A model without versions counts as one.
            if self.count(1) == 1 {
                self.model(&name, claims);
            }
        }
    }

    /// Counts versions against the limit. Returns how many of them may be scanned.
    pub(super) fn count(&mut self, versions: usize) -> usize {
        let counted = versions.min(self.left);
        self.left -= counted;
        self.sight.partial |= counted < versions;
        counted
    }

    fn model(&mut self, name: &ModelName, claims: Vec<Claim>) {
        let mut refused = Vec::new();
        let mut others = Vec::new();
        for claim in claims {
            match claim {
                Claim::Refused(reason) => refused.push(reason),
                other => others.push(other),
            }
        }
        match (others.pop(), others.is_empty()) {
            (None, _) => self.faulty(name, None, refused.join("; ")),
            (Some(Claim::Bare(place)), true) => self.bare(name, &place),
            (Some(Claim::Folder(place)), true) => self.folder(name, place),
            _ => self.faulty(
                name,
                None,
                format!("both {name}.wasm and {name}/ are there; remove one of them"),
            ),
        }
    }

    fn bare(&mut self, name: &ModelName, place: &Place) {
        let mut trouble = Trouble::default();
        let component = self.read(place, &format!("{name}.wasm"), Role::Component, &mut trouble);
        let Some(component) = component.filter(|_| trouble.is_none()) else {
            return self.report(name, None, trouble);
        };
        match self.numbers.number(name, component.digest) {
            Some(version) => self.whole(name, version, (place, component), Parts::default()),
            None => self.faulty(name, None, "there are no version numbers left".into()),
        }
    }

    // === Shared by both layouts ===

    /// Returns the path of a model's folder, which may not exist.
    pub(super) fn folder_of(&self, name: &ModelName) -> PathBuf {
        name.as_str().into()
    }

    /// Returns the entries of a folder; none if it does not exist.
    pub(super) fn entries(&self, folder: &Path) -> Result<Vec<Entry>, String> {
        match self.tree.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed
                .map_err(|error| format!("its folder cannot be listed: {}", unreadable(&error))),
        }
    }

    pub(super) fn list(
        &mut self,
        name: &ModelName,
        version: Option<Version>,
        folder: &Place,
    ) -> Option<Vec<Entry>> {
        self.sight.folders.push(folder.clone());
        match self.tree.list(&folder.path) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.soon(Instant::now());
                self.sight.seen.push(Seen::Unsettled { name: name.clone(), version });
                None
            }
            Err(error) => {
                self.faulty(
                    name,
                    version,
                    format!("its folder cannot be listed: {}", unreadable(&error)),
                );
                None
            }
        }
    }

    pub(super) fn settled(&mut self, folder: &Place, trouble: &mut Trouble) {
        if let Some(due) = self.contents.unsettled(folder) {
            self.soon(due);
            trouble.unsettled = true;
        }
    }

    pub(super) fn read(
        &mut self,
        place: &Place,
        called: &str,
        role: Role,
        trouble: &mut Trouble,
    ) -> Option<Content> {
        match self.contents.read(self.tree, place, role) {
            Reading::Settled(content) => return Some(content),
            Reading::Faulty(reason) if role == Role::Settings && reason.starts_with(SETTINGS) => {
                trouble.faults.push(reason);
            }
            Reading::Faulty(reason) => trouble.faults.push(format!("{called}: {reason}")),
            Reading::Unsettled(due) => {
                self.soon(due);
                trouble.unsettled = true;
            }
        }
        None
    }

    /// Reads a model's live configuration. While the file is faulty or unsettled, the previous
    /// values stay.
    pub(super) fn live(&mut self, name: &ModelName, kind: Kind) -> Arc<Live> {
        let (mut values, mut fault) = (None, None);
        match kind {
            Kind::File(place) => match self.contents.read(self.tree, &place, Role::Live) {
                Reading::Settled(Content { said: Said::Live(read), .. }) => values = Some(read),
                Reading::Settled(_) => {}
                Reading::Unsettled(due) => self.soon(due),
                Reading::Faulty(reason) if reason.starts_with(LIVE) => fault = Some(reason),
                Reading::Faulty(reason) => fault = Some(format!("{LIVE}: {reason}")),
            },
            kind => fault = Some(wrong_kind(LIVE, kind)),
        }
        let fault = fault.map(|fault| format!("{fault}; what it said before stays in force"));
        if let Some(fault) = &fault {
            self.sight.notes.add(format!("{name}/{fault}"));
        }
        Arc::new(Live { values: self.contents.live(name, values), fault })
    }

    pub(super) fn whole(
        &mut self,
        name: &ModelName,
        version: Version,
        (place, component): (&Place, Content),
        parts: Parts,
    ) {
        let Parts { settings, live, sidecars, golden } = parts;
        let digest = identity(&component.digest, &sidecars, golden.as_ref(), &settings);
        self.sight.seen.push(Seen::Whole(Candidate {
            name: name.clone(),
            version,
            component: self.tree.file(place.path.clone()),
            component_digest: component.digest,
            changed: place.stamp.changed,
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
    pub(super) fn report(&mut self, name: &ModelName, version: Option<Version>, trouble: Trouble) {
        if trouble.unsettled {
            self.sight.seen.push(Seen::Unsettled { name: name.clone(), version });
        } else {
            self.faulty(name, version, trouble.faults.join("; "));
        }
    }

    pub(super) fn faulty(&mut self, name: &ModelName, version: Option<Version>, reason: String) {
        self.sight.seen.push(Seen::Faulty { name: name.clone(), version, reason });
    }

    fn soon(&mut self, due: Instant) {
        self.sight.due = Some(self.sight.due.map_or(due, |other| other.min(due)));
    }

    /// Saves new version numbers. A candidate without a saved number becomes faulty: after a crash
    /// its number could be assigned to other content.
    fn keep_numbers(&mut self) {
        let Err(error) = self.numbers.save() else { return };
        for seen in &mut self.sight.seen {
            if self.numbers.is_unsaved(seen.name()) {
                let reason = format!(
                    "its version number cannot be saved in the state directory: {}",
                    plain(&error)
                );
                *seen = Seen::Faulty { name: seen.name().clone(), version: None, reason };
            }
        }
    }
}

/// The parts of a version besides its component.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) settings: Arc<ModelSettings>,
    pub(super) live: Arc<Live>,
    pub(super) sidecars: Vec<Sidecar>,
    pub(super) golden: Option<Sidecar>,
}

impl Trouble {
    pub(super) fn is_none(&self) -> bool {
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

    pub(super) fn or_fault(mut self, fault: &str) -> Self {
        if self.is_none() {
            self.faults.push(fault.into());
        }
        self
    }
}

fn meaning(shelf: Shelf, name: &str, kind: &Kind) -> InRoot {
    match kind {
        Kind::Folder(_) => folder_on(shelf, name),
        // A broken link without an extension may have been meant as a folder.
        Kind::Broken(_) if !name.contains('.') => folder_on(shelf, name),
        _ => file_on(shelf, name),
    }
}

fn precompiled(name: &str) -> String {
    format!("{name}: precompiled artifacts are never accepted; drop in the .wasm component itself")
}

/// Returns the fault of an entry whose kind does not match its name.
pub(super) fn wrong_kind(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Broken(why) => format!("{name}: {why}"),
        Kind::Folder(_) => format!("{name}: a folder, where a file is expected"),
        Kind::File(_) => format!("{name}: a file, where a folder is expected"),
        Kind::Special => format!("{name}: not a regular file"),
    }
}
