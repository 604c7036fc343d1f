//! Scan of one model folder: its settings, its versions, and the files of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::aspired_versions::{LiveConfig, Observed, Sidecar};
use super::confined_dir::{DirEntry, EntryKind, FileRef};
use super::file_cache::{FileContent, FileRole, ParsedFile};
use super::layout::{COMPONENT, GOLDEN, LIVE_CONFIG, SETTINGS, is_printable_name, printable};
use super::misplaced;
use super::scan::{Problems, Scan, VersionParts, wrong_kind_message};
use crate::model::{ModelName, ModelSettings, Version, VersionPolicy};

/// Each sidecar costs work at every rescan and an entry in the identity. Real models have one to
/// ten.
pub(super) const MAX_SIDECARS: usize = 64;
/// Maximum number of reported missing versions. A version list may name thousands; the first few
/// are enough.
const MAX_MISSING: usize = 16;

impl Scan<'_> {
    /// Scans a model folder.
    pub(super) fn folder(&mut self, name: &ModelName, place: FileRef) {
        let Some(entries) = self.list_folder(name, None, &place) else { return };
        let mut trouble = Problems::default();
        self.check_settled(&place, &mut trouble);
        let (mut settings, mut live) =
            (Arc::new(ModelSettings::default()), Arc::<LiveConfig>::default());
        let mut versions = Vec::new();

        for DirEntry { name: entry, kind } in entries {
            match (Version::parse(&entry), kind) {
                (Some(version), kind) => versions.push((version, kind)),
                (None, kind) if entry == SETTINGS => {
                    self.settings(kind, &mut settings, &mut trouble)
                }
                (None, kind) if entry == LIVE_CONFIG => live = self.live(name, kind),
                (None, kind) => self.note_misplaced(name, &entry, &kind),
            }
        }

        if versions.is_empty() {
            self.result.notes.add(misplaced::no_versions(name));
        }

        let before = self.result.seen.len();
        self.add_missing_versions(name, &settings.versions, &versions);
        versions.sort_by_key(|(version, _)| *version);
        // The model itself counts as one version. The newest versions take precedence.
        let counted = 1 + self.take_versions(versions.len().saturating_sub(1));
        versions.drain(..versions.len().saturating_sub(counted));

        for (version, kind) in versions {
            self.version(
                name,
                version,
                kind,
                VersionParts {
                    settings: settings.clone(),
                    live: live.clone(),
                    ..VersionParts::default()
                },
            );
        }

        if !trouble.is_empty() {
            self.result.seen.truncate(before);
            self.add_problems(name, None, trouble);
        }
    }

    /// Reports the versions that the settings name but that have no folder.
    fn add_missing_versions(
        &mut self,
        name: &ModelName,
        policy: &VersionPolicy,
        there: &[(Version, EntryKind)],
    ) {
        let VersionPolicy::Only(named) = policy else { return };
        let there: BTreeSet<_> = there.iter().map(|(version, _)| *version).collect();
        let missing = named.iter().filter(|version| !there.contains(version));

        for version in missing.take(MAX_MISSING) {
            let reason = format!(
                "`versions` in {name}/{SETTINGS} names it, and there is no folder {name}/{version}"
            );

            self.result.seen.push(Observed::Missing {
                name: name.clone(),
                version: *version,
                reason,
            });
        }
    }

    /// Reads every file of a version except its component. Fails with the faults found.
    pub(super) fn beside(
        &mut self,
        name: &ModelName,
        version: Version,
    ) -> Result<VersionParts, String> {
        let (mut trouble, mut parts, mut files) =
            (Problems::default(), VersionParts::default(), Vec::new());
        for DirEntry { name: entry, kind } in self.entries(&self.model_folder(name))? {
            match kind {
                kind if entry == SETTINGS => self.settings(kind, &mut parts.settings, &mut trouble),
                kind if entry == LIVE_CONFIG => parts.live = self.live(name, kind),
                EntryKind::Folder(place) if Version::parse(&entry) == Some(version) => {
                    files = self.entries(&place.path)?
                }
                _ => {}
            }
        }

        for file in files.into_iter().filter(|file| file.name != COMPONENT) {
            self.add_part(name, version, file, &mut None, &mut parts, &mut trouble);
        }

        limit_sidecars(&parts, &mut trouble);

        trouble.into_result().map(|()| parts)
    }

    fn settings(
        &mut self,
        kind: EntryKind,
        settings: &mut Arc<ModelSettings>,
        trouble: &mut Problems,
    ) {
        match kind {
            EntryKind::File(place) => {
                let content = self.read(&place, SETTINGS, FileRole::Settings, trouble);
                if let Some(FileContent { parsed: ParsedFile::Settings(read), .. }) = content {
                    *settings = read;
                }
            }
            kind => trouble.faults.push(wrong_kind_message(SETTINGS, kind)),
        }
    }

    fn note_misplaced(&mut self, name: &ModelName, entry: &str, kind: &EntryKind) {
        let note = match kind {
            EntryKind::Folder(_) => Some(misplaced::folder_in_model(name, entry)),
            _ => misplaced::file_in_model(name, entry),
        };

        if let Some(note) = note {
            self.result.notes.add(note);
        }
    }

    // === A version's folder ===

    fn version(
        &mut self,
        name: &ModelName,
        version: Version,
        kind: EntryKind,
        mut parts: VersionParts,
    ) {
        let EntryKind::Folder(place) = kind else {
            return self.add_faulty(
                name,
                Some(version),
                wrong_kind_message(&version.to_string(), kind),
            );
        };

        let Some(entries) = self.list_folder(name, Some(version), &place) else { return };
        let mut trouble = Problems::default();
        self.check_settled(&place, &mut trouble);
        let mut component = None;

        for entry in entries {
            self.add_part(name, version, entry, &mut component, &mut parts, &mut trouble);
        }

        limit_sidecars(&parts, &mut trouble);
        match component.filter(|_| trouble.is_empty()) {
            Some((place, content)) => self.add_candidate(name, version, (&place, content), parts),
            None => {
                let missing = misplaced::no_component(
                    parts.sidecars.iter().map(|sidecar| sidecar.name.as_str()),
                );
                self.add_problems(name, Some(version), trouble.or_else_fault(&missing));
            }
        }
    }

    fn add_part(
        &mut self,
        name: &ModelName,
        version: Version,
        DirEntry { name: entry, kind }: DirEntry,
        component: &mut Option<(FileRef, FileContent)>,
        parts: &mut VersionParts,
        trouble: &mut Problems,
    ) {
        let role = match entry.as_str() {
            COMPONENT => FileRole::Component,
            GOLDEN => FileRole::Golden,
            _ => FileRole::Sidecar,
        };

        if role == FileRole::Sidecar && entry.contains(char::REPLACEMENT_CHARACTER) {
            let entry = printable(&entry);
            return trouble.faults.push(format!(
                "{entry}: its name is not UTF-8 text, so no model can ask for it; rename it"
            ));
        }

        let place = match kind {
            EntryKind::File(place) if role != FileRole::Sidecar || is_printable_name(&entry) => {
                place
            }
            // A broken link was put there on purpose, so it is not ignored.
            EntryKind::Broken(_) => {
                return trouble.faults.push(wrong_kind_message(&printable(&entry), kind));
            }
            kind if role != FileRole::Sidecar => {
                return trouble.faults.push(wrong_kind_message(&entry, kind));
            }
            _ => {
                let entry = printable(&entry);
                self.result
                    .notes
                    .add(format!("{name}/{version}/{entry} is ignored: sidecars are regular files with plain names"));
                return;
            }
        };

        // One more than allowed is enough to refuse all.
        if role == FileRole::Sidecar && parts.sidecars.len() > MAX_SIDECARS {
            return;
        }

        if let Some(note) = misplaced::file_in_version(name, version, &entry) {
            self.result.notes.add(note);
        }

        let Some(content) = self.read(&place, &entry, role, trouble) else { return };
        match role {
            FileRole::Component => *component = Some((place, content)),
            FileRole::Golden => parts.golden = Some(self.sidecar(entry, place, &content)),
            _ => parts.sidecars.push(self.sidecar(entry, place, &content)),
        }
    }

    fn sidecar(&self, name: String, place: FileRef, content: &FileContent) -> Sidecar {
        Sidecar {
            name,
            file: self.tree.file(place.path),
            digest: content.digest,
            size: content.size,
        }
    }
}

fn limit_sidecars(parts: &VersionParts, trouble: &mut Problems) {
    let count = parts.sidecars.len();
    if count > MAX_SIDECARS {
        trouble
            .faults
            .push(format!("{count} sidecar files are more than the {MAX_SIDECARS} allowed"));
    }
}
