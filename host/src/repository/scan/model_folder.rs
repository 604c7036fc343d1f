//! Scan of one model folder: its settings, its versions, and the files of each.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::Scan;
use super::model_files::several_models;
use super::steps::{LocatedComponent, Problems, VersionParts, wrong_kind_message};
use crate::model::{ModelName, ModelSettings, Version, VersionPolicy};
use crate::repository::aspired_versions::{Candidate, LiveConfig, Observed, Sidecar};
use crate::repository::confined_dir::{DirEntry, EntryKind, FileRef, read_error_text};
use crate::repository::file_cache::{FileContent, FileRole, ParsedFile};
use crate::repository::layout::{
    COMPONENT, GOLDEN, LIVE_CONFIG, SETTINGS, is_printable_name, model_file_extension, printable,
};
use crate::repository::misplaced;

/// Maximum number of sidecars. Each costs work at every rescan and an entry in the identity. Real
/// models have one to ten.
pub(in crate::repository) const MAX_SIDECARS: usize = 64;
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
            self.add_part(name, version, file, &mut Models::default(), &mut parts, &mut problems);
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

    // === A version's folder ===

    fn scan_version(
        &mut self,
        name: &ModelName,
        version: Version,
        kind: EntryKind,
        mut parts: VersionParts,
    ) {
        let EntryKind::Folder(folder) = kind else {
            let reason = wrong_kind_message(&version.to_string(), kind);
            return self.add_faulty(name, Some(version), reason);
        };

        let Some(entries) = self.list_folder(name, Some(version), &folder) else { return };
        let mut problems = Problems::default();
        self.check_settled(&folder, &mut problems);
        let mut models = Models::default();

        for entry in entries {
            self.add_part(name, version, entry, &mut models, &mut parts, &mut problems);
        }

        check_sidecars(&parts, &mut problems);

        match self.choose_component(models, &parts, &mut problems) {
            Some(component) => self.add_candidate(name, version, component, parts),
            None => self.add_problems(name, Some(version), problems),
        }
    }

    /// Returns the component of a version: its own, or the runtime of its model file. `None` with a
    /// problem if there is none, or more than one.
    fn choose_component(
        &self,
        models: Models,
        parts: &VersionParts,
        problems: &mut Problems,
    ) -> Option<LocatedComponent> {
        let Models { component, model_files } = models;
        let names: Vec<_> = model_files.iter().map(|(name, ..)| name.as_str()).collect();
        problems.faults.extend(several_models(component.is_some(), &names));
        if !problems.is_empty() {
            return None;
        }

        let found = match (component, model_files.first()) {
            (Some((file_ref, content)), _) => Ok(self.component(&file_ref, &content)),
            (None, Some((name, file_ref, content))) => {
                let found = self.runtime_of(name, file_ref, content, &parts.sidecars);
                found.map_err(|reason| format!("{name}: {reason}"))
            }
            (None, None) => {
                let names = parts.sidecars.iter().map(|sidecar| sidecar.name.as_str());
                Err(misplaced::no_model(names))
            }
        };
        found.map_err(|reason| problems.faults.push(reason)).ok()
    }

    fn add_part(
        &mut self,
        name: &ModelName,
        version: Version,
        DirEntry { name: entry, kind }: DirEntry,
        models: &mut Models,
        parts: &mut VersionParts,
        problems: &mut Problems,
    ) {
        let role = match entry.as_str() {
            COMPONENT => FileRole::Component,
            GOLDEN => FileRole::Golden,
            name if model_file_extension(name, self.runtimes).is_some() => FileRole::ModelFile,
            _ => FileRole::Sidecar,
        };

        if let EntryKind::Folder(folder) = &kind
            && is_module_folder(&entry)
        {
            return self.add_module(&entry, folder, parts, problems);
        }

        if role == FileRole::Sidecar && entry.contains(char::REPLACEMENT_CHARACTER) {
            let entry = printable(&entry);
            return problems.faults.push(format!(
                "{entry}: its name is not UTF-8 text, so no model can open it; rename it"
            ));
        }

        let file_ref = match kind {
            EntryKind::File(file_ref) if role != FileRole::Sidecar || is_printable_name(&entry) => {
                file_ref
            }
            // A broken link was put there on purpose, so it is not ignored.
            EntryKind::Broken(_) => {
                return problems.faults.push(wrong_kind_message(&printable(&entry), kind));
            }
            kind if role != FileRole::Sidecar => {
                return problems.faults.push(wrong_kind_message(&entry, kind));
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

        let Some(content) = self.read(&file_ref, &entry, role, problems) else { return };
        match role {
            FileRole::Component => models.component = Some((file_ref, content)),
            FileRole::ModelFile => {
                parts.sidecars.push(self.sidecar(entry.clone(), file_ref.clone(), &content));
                models.model_files.push((entry, file_ref, content));
            }
            FileRole::Golden => parts.golden = Some(self.sidecar(entry, file_ref, &content)),
            _ => parts.sidecars.push(self.sidecar(entry, file_ref, &content)),
        }
    }

    /// Adds the settings of a module of a model of sentence-transformers, such as
    /// `1_Pooling/config.json`. Sidecars have plain names: it is `1_Pooling_config.json`.
    fn add_module(
        &mut self,
        module: &str,
        folder: &FileRef,
        parts: &mut VersionParts,
        problems: &mut Problems,
    ) {
        let Some(entries) = self.list_module(module, folder, problems) else { return };
        let settings = entries.into_iter().find(|entry| entry.name == MODULE_SETTINGS);
        let Some(DirEntry { kind, .. }) = settings else { return };

        let name = format!("{module}_{MODULE_SETTINGS}");
        let EntryKind::File(file_ref) = kind else {
            let shown = format!("{module}/{MODULE_SETTINGS}");
            return problems.faults.push(wrong_kind_message(&shown, kind));
        };
        let Some(content) = self.read(&file_ref, &name, FileRole::Sidecar, problems) else {
            return;
        };
        parts.sidecars.push(self.sidecar(name, file_ref, &content));
    }

    fn list_module(
        &mut self,
        module: &str,
        folder: &FileRef,
        problems: &mut Problems,
    ) -> Option<Vec<DirEntry>> {
        self.result.folders.push(folder.clone());
        self.check_settled(folder, problems);
        let entries = self.entries(&folder.path);
        entries.map_err(|why| problems.faults.push(format!("{module}: {why}"))).ok()
    }

    pub(super) fn sidecar(
        &self,
        name: String,
        file_ref: FileRef,
        content: &FileContent,
    ) -> Sidecar {
        let file = self.tree.file(file_ref.path);
        Sidecar { name, file, digest: content.digest, size: content.size }
    }
}

/// The files of a version's folder of which each would make it a model.
#[derive(Default)]
struct Models {
    component: Option<(FileRef, FileContent)>,
    model_files: Vec<(String, FileRef, FileContent)>,
}

/// The file with the settings of a module.
const MODULE_SETTINGS: &str = "config.json";

/// Returns true for the name of a module's folder in a model of sentence-transformers, such as
/// `1_Pooling`.
fn is_module_folder(name: &str) -> bool {
    let Some((number, kind)) = name.split_once('_') else { return false };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_number && is_kind && name.len() <= 64
}

fn check_sidecars(parts: &VersionParts, problems: &mut Problems) {
    let count = parts.sidecars.len();
    if count > MAX_SIDECARS {
        problems
            .faults
            .push(format!("{count} sidecar files are more than the {MAX_SIDECARS} allowed"));
    }

    let mut names = BTreeSet::new();
    for sidecar in &parts.sidecars {
        if !names.insert(&sidecar.name) {
            let name = &sidecar.name;
            problems.faults.push(format!(
                "{name} is in it twice, by itself and in a folder of a module; remove one of them"
            ));
        }
    }
}
