//! Scan of one model folder: its settings, its versions, and the files of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::aspired::{Live, Seen, Sidecar};
use super::contents::{Content, Role, Said};
use super::layout::{COMPONENT, GOLDEN, LIVE, SETTINGS, is_plain, shown};
use super::misplaced;
use super::scan::{Parts, Scan, Trouble, wrong_kind};
use super::tree::{Entry, Kind, Place};
use crate::model::{ModelName, ModelSettings, Version, VersionPolicy};

/// Each sidecar costs work at every rescan and an entry in the identity. Real models have one to
/// ten.
pub(super) const MAX_SIDECARS: usize = 64;
/// Maximum number of reported missing versions. A version list may name thousands; the first few
/// are enough.
const MAX_MISSING: usize = 16;

impl Scan<'_> {
    /// Scans a model folder.
    pub(super) fn folder(&mut self, name: &ModelName, place: Place) {
        let Some(entries) = self.list(name, None, &place) else { return };
        let mut trouble = Trouble::default();
        self.settled(&place, &mut trouble);
        let (mut settings, mut live) = (Arc::new(ModelSettings::default()), Arc::<Live>::default());
        let mut versions = Vec::new();
        for Entry { name: entry, kind } in entries {
            match (Version::parse(&entry), kind) {
                (Some(version), kind) => versions.push((version, kind)),
                (None, kind) if entry == SETTINGS => {
                    self.settings(kind, &mut settings, &mut trouble)
                }
                (None, kind) if entry == LIVE => live = self.live(name, kind),
                (None, kind) => self.odd_in_model(name, &entry, &kind),
            }
        }
        if versions.is_empty() {
            self.sight.notes.add(misplaced::no_versions(name));
        }
        let before = self.sight.seen.len();
        self.missing(name, &settings.versions, &versions);
        versions.sort_by_key(|(version, _)| *version);
        // The model itself counts as one version. The newest versions take precedence.
        let counted = 1 + self.count(versions.len().saturating_sub(1));
        versions.drain(..versions.len().saturating_sub(counted));
        for (version, kind) in versions {
            self.version(
                name,
                version,
                kind,
                Parts { settings: settings.clone(), live: live.clone(), ..Parts::default() },
            );
        }
        if !trouble.is_none() {
            self.sight.seen.truncate(before);
            self.report(name, None, trouble);
        }
    }

    /// Reports the versions that the settings name but that have no folder.
    fn missing(&mut self, name: &ModelName, policy: &VersionPolicy, there: &[(Version, Kind)]) {
        let VersionPolicy::Only(named) = policy else { return };
        let there: BTreeSet<_> = there.iter().map(|(version, _)| *version).collect();
        let missing = named.iter().filter(|version| !there.contains(version));
        for version in missing.take(MAX_MISSING) {
            let reason = format!(
                "`versions` in {name}/{SETTINGS} names it, and there is no folder {name}/{version}"
            );
            self.sight.seen.push(Seen::Missing { name: name.clone(), version: *version, reason });
        }
    }

    /// Reads every file of a version except its component. Fails with the faults found.
    pub(super) fn beside(&mut self, name: &ModelName, version: Version) -> Result<Parts, String> {
        let (mut trouble, mut parts, mut files) =
            (Trouble::default(), Parts::default(), Vec::new());
        for Entry { name: entry, kind } in self.entries(&self.folder_of(name))? {
            match kind {
                kind if entry == SETTINGS => self.settings(kind, &mut parts.settings, &mut trouble),
                kind if entry == LIVE => parts.live = self.live(name, kind),
                Kind::Folder(place) if Version::parse(&entry) == Some(version) => {
                    files = self.entries(&place.path)?
                }
                _ => {}
            }
        }
        for file in files.into_iter().filter(|file| file.name != COMPONENT) {
            self.part(name, version, file, &mut None, &mut parts, &mut trouble);
        }
        limit_sidecars(&parts, &mut trouble);
        trouble.into_result().map(|()| parts)
    }

    fn settings(&mut self, kind: Kind, settings: &mut Arc<ModelSettings>, trouble: &mut Trouble) {
        match kind {
            Kind::File(place) => {
                let content = self.read(&place, SETTINGS, Role::Settings, trouble);
                if let Some(Content { said: Said::Settings(read), .. }) = content {
                    *settings = read;
                }
            }
            kind => trouble.faults.push(wrong_kind(SETTINGS, kind)),
        }
    }

    fn odd_in_model(&mut self, name: &ModelName, entry: &str, kind: &Kind) {
        let note = match kind {
            Kind::Folder(_) => Some(misplaced::folder_in_model(name, entry)),
            _ => misplaced::file_in_model(name, entry),
        };
        if let Some(note) = note {
            self.sight.notes.add(note);
        }
    }

    // === A version's folder ===

    fn version(&mut self, name: &ModelName, version: Version, kind: Kind, mut parts: Parts) {
        let Kind::Folder(place) = kind else {
            return self.faulty(name, Some(version), wrong_kind(&version.to_string(), kind));
        };
        let Some(entries) = self.list(name, Some(version), &place) else { return };
        let mut trouble = Trouble::default();
        self.settled(&place, &mut trouble);
        let mut component = None;
        for entry in entries {
            self.part(name, version, entry, &mut component, &mut parts, &mut trouble);
        }
        limit_sidecars(&parts, &mut trouble);
        match component.filter(|_| trouble.is_none()) {
            Some((place, content)) => self.whole(name, version, (&place, content), parts),
            None => {
                let missing = misplaced::no_component(
                    parts.sidecars.iter().map(|sidecar| sidecar.name.as_str()),
                );
                self.report(name, Some(version), trouble.or_fault(&missing));
            }
        }
    }

    fn part(
        &mut self,
        name: &ModelName,
        version: Version,
        Entry { name: entry, kind }: Entry,
        component: &mut Option<(Place, Content)>,
        parts: &mut Parts,
        trouble: &mut Trouble,
    ) {
        let role = match entry.as_str() {
            COMPONENT => Role::Component,
            GOLDEN => Role::Golden,
            _ => Role::Sidecar,
        };
        if role == Role::Sidecar && entry.contains(char::REPLACEMENT_CHARACTER) {
            let entry = shown(&entry);
            return trouble.faults.push(format!(
                "{entry}: its name is not UTF-8 text, so no model can ask for it; rename it"
            ));
        }
        let place = match kind {
            Kind::File(place) if role != Role::Sidecar || is_plain(&entry) => place,
            // A broken link was put there on purpose, so it is not ignored.
            Kind::Broken(_) => return trouble.faults.push(wrong_kind(&shown(&entry), kind)),
            kind if role != Role::Sidecar => return trouble.faults.push(wrong_kind(&entry, kind)),
            _ => {
                let entry = shown(&entry);
                self.sight
                    .notes
                    .add(format!("{name}/{version}/{entry} is ignored: sidecars are regular files with plain names"));
                return;
            }
        };
        // One more than allowed is enough to refuse all.
        if role == Role::Sidecar && parts.sidecars.len() > MAX_SIDECARS {
            return;
        }
        if let Some(note) = misplaced::file_in_version(name, version, &entry) {
            self.sight.notes.add(note);
        }
        let Some(content) = self.read(&place, &entry, role, trouble) else { return };
        match role {
            Role::Component => *component = Some((place, content)),
            Role::Golden => parts.golden = Some(self.sidecar(entry, place, &content)),
            _ => parts.sidecars.push(self.sidecar(entry, place, &content)),
        }
    }

    fn sidecar(&self, name: String, place: Place, content: &Content) -> Sidecar {
        Sidecar {
            name,
            file: self.tree.file(place.path),
            digest: content.digest,
            size: content.size,
        }
    }
}

fn limit_sidecars(parts: &Parts, trouble: &mut Trouble) {
    let count = parts.sidecars.len();
    if count > MAX_SIDECARS {
        trouble
            .faults
            .push(format!("{count} sidecar files are more than the {MAX_SIDECARS} allowed"));
    }
}
