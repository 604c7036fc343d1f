//! Scan of one model folder: its settings and its versions.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::Scan;
use super::steps::{Problems, VersionParts, wrong_kind_message};
use super::version_folder::{FoundModels, check_sidecars};
use crate::model::{ModelName, ModelSettings, Version, VersionPolicy};
use crate::repository::aspired_versions::Observed;
use crate::repository::candidate::{Candidate, LiveConfig};
use crate::repository::confined_dir::{DirEntry, EntryKind, FileRef, read_error_text};
use crate::repository::file_cache::{FileContent, FileRole, ParsedFile};
use crate::repository::layout::{COMPONENT, LIVE_CONFIG, SETTINGS};
use crate::repository::misplaced;

/// Maximum number of reported missing versions. A version list may name thousands; the first few
/// are enough.
const MAX_MISSING: usize = 16;

/// The place of a version that is not in its model's folder yet.
pub(in crate::repository) struct StagedFolder {
    /// Path of the folder that has the model's settings; `None` for the model's own.
    pub(in crate::repository) settings: Option<PathBuf>,
    /// Path of the version's folder.
    pub(in crate::repository) version: PathBuf,
}

impl Scan<'_> {
    /// Reads a version that is staged. Its live configuration is that of its model.
    pub(super) fn read_staged(
        &mut self,
        name: &ModelName,
        version: Version,
        staged: &StagedFolder,
    ) -> Result<Candidate, String> {
        let mut problems = Problems::default();
        let mut parts = VersionParts::default();
        let model = self.model_folder(name);

        let settings = staged.settings.as_ref().unwrap_or(&model);
        for DirEntry { name: entry, kind } in self.entries(settings)? {
            if entry == SETTINGS {
                self.read_settings(kind, &mut parts.settings, &mut problems);
            }
        }
        for DirEntry { name: entry, kind } in self.entries(&model)? {
            if entry == LIVE_CONFIG {
                parts.live = self.read_live_config(name, kind);
            }
        }
        problems.into_result()?;

        let (_, stamp) = self
            .tree
            .open_folder(&staged.version)
            .map_err(|error| format!("its folder cannot be read: {}", read_error_text(&error)))?;
        let folder = FileRef { path: staged.version.clone(), stamp };
        self.scan_version(name, version, EntryKind::Folder(folder), parts);
        match self.result.observed.pop() {
            Some(Observed::Candidate(candidate)) => Ok(candidate),
            Some(Observed::Faulty { reason, .. }) => Err(reason),
            _ => Err("its files are still changing".into()),
        }
    }

    /// Scans a model folder.
    pub(super) fn scan_model_folder(&mut self, name: &ModelName, folder: FileRef) {
        let Some(entries) = self.list_folder(name, None, &folder) else { return };
        let mut problems = Problems::default();
        self.check_settled(&folder, &mut problems);

        let mut settings = Arc::<ModelSettings>::default();
        let mut live = Arc::<LiveConfig>::default();
        let mut versions = Vec::new();

        for DirEntry { name: entry, kind } in entries {
            match (Version::parse(&entry), kind) {
                (Some(version), kind) => versions.push((version, kind)),
                (None, kind) if entry == SETTINGS => {
                    self.read_settings(kind, &mut settings, &mut problems)
                }
                (None, kind) if entry == LIVE_CONFIG => live = self.read_live_config(name, kind),
                (None, kind) => self.note_misplaced(name, &entry, &kind),
            }
        }

        // An upload makes the folder just before it moves the first version into it.
        if versions.is_empty() && !problems.unsettled {
            self.result.notes.add(misplaced::no_versions(name));
        }

        let before = self.result.observed.len();
        self.add_missing_versions(name, &settings.versions, &versions);
        versions.sort_by_key(|(version, _)| *version);

        // The model itself counts as one version. The newest versions take precedence.
        let counted = 1 + self.take_versions(versions.len().saturating_sub(1));
        versions.drain(..versions.len().saturating_sub(counted));

        for (version, kind) in versions {
            let (settings, live) = (settings.clone(), live.clone());
            let parts = VersionParts { settings, live, ..VersionParts::default() };
            self.scan_version(name, version, kind, parts);
        }

        if !problems.is_empty() {
            self.result.observed.truncate(before);
            self.add_problems(name, None, problems);
        }
    }

    /// Reports the versions that the settings name but that have no folder.
    fn add_missing_versions(
        &mut self,
        name: &ModelName,
        policy: &VersionPolicy,
        present: &[(Version, EntryKind)],
    ) {
        let VersionPolicy::Only(named) = policy else { return };
        let present: BTreeSet<_> = present.iter().map(|(version, _)| *version).collect();
        let missing = named.iter().filter(|version| !present.contains(version));

        for version in missing.take(MAX_MISSING) {
            let reason = format!(
                "`versions` in {name}/{SETTINGS} names it, and there is no folder {name}/{version}"
            );

            self.result.observed.push(Observed::Missing {
                name: name.clone(),
                version: *version,
                reason,
            });
        }
    }

    /// Reads every file of a version except its component. Fails with the faults found.
    pub(super) fn read_parts(
        &mut self,
        name: &ModelName,
        version: Version,
    ) -> Result<VersionParts, String> {
        let mut problems = Problems::default();
        let mut parts = VersionParts::default();
        let mut files = Vec::new();

        for DirEntry { name: entry, kind } in self.entries(&self.model_folder(name))? {
            match kind {
                kind if entry == SETTINGS => {
                    self.read_settings(kind, &mut parts.settings, &mut problems)
                }
                kind if entry == LIVE_CONFIG => parts.live = self.read_live_config(name, kind),
                EntryKind::Folder(folder) if Version::parse(&entry) == Some(version) => {
                    files = self.entries(&folder.path)?
                }
                _ => {}
            }
        }

        for file in files.into_iter().filter(|file| file.name != COMPONENT) {
            self.add_part(
                name,
                version,
                file,
                &mut FoundModels::default(),
                &mut parts,
                &mut problems,
            );
        }

        check_sidecars(&parts, &mut problems);
        problems.into_result().map(|()| parts)
    }

    fn read_settings(
        &mut self,
        kind: EntryKind,
        settings: &mut Arc<ModelSettings>,
        problems: &mut Problems,
    ) {
        match kind {
            EntryKind::File(file_ref) => {
                let content = self.read(&file_ref, SETTINGS, FileRole::Settings, problems);
                if let Some(FileContent { parsed: ParsedFile::Settings(read), .. }) = content {
                    *settings = read;
                }
            }
            kind => problems.faults.push(wrong_kind_message(SETTINGS, kind)),
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
}
