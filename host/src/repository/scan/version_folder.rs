//! Scan of the folder of one version: its component or model file, its sidecars and its golden
//! requests.

use std::collections::BTreeSet;

use super::Scan;
use super::model_files::several_models;
use super::steps::{LocatedComponent, Problems, VersionParts, wrong_kind_message};
use crate::model::{ModelName, Version};
use crate::repository::candidate::Sidecar;
use crate::repository::confined_dir::{DirEntry, EntryKind, FileRef};
use crate::repository::file_cache::{FileContent, FileRole};
use crate::repository::layout::{
    COMPONENT, GOLDEN, is_printable_name, model_file_extension, printable,
};
use crate::repository::misplaced;

/// Maximum number of sidecars. Each costs work at every rescan and an entry in the identity. Real
/// models have one to ten.
pub(in crate::repository) const MAX_SIDECARS: usize = 64;
impl Scan<'_> {
    pub(super) fn scan_version(
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
        let mut models = FoundModels::default();

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
        models: FoundModels,
        parts: &VersionParts,
        problems: &mut Problems,
    ) -> Option<LocatedComponent> {
        let FoundModels { component, model_files } = models;
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

    /// Adds one entry of the folder to the parts of the version.
    pub(super) fn add_part(
        &mut self,
        name: &ModelName,
        version: Version,
        DirEntry { name: entry, kind }: DirEntry,
        models: &mut FoundModels,
        parts: &mut VersionParts,
        problems: &mut Problems,
    ) {
        if let EntryKind::Folder(folder) = &kind
            && is_module_folder(&entry)
        {
            return self.add_module(&entry, folder, parts, problems);
        }

        let role = self.role_of(&entry);
        let Some(file_ref) = self.regular_file(name, version, &entry, kind, role, problems) else {
            return;
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

    /// The role of a file, by its name.
    fn role_of(&self, entry: &str) -> FileRole {
        match entry {
            COMPONENT => FileRole::Component,
            GOLDEN => FileRole::Golden,
            name if model_file_extension(name, self.runtimes).is_some() => FileRole::ModelFile,
            _ => FileRole::Sidecar,
        }
    }

    /// Returns an entry that can be read. `None` for others, with a problem or, for entries that
    /// cannot be meant as sidecars, a note.
    fn regular_file(
        &mut self,
        name: &ModelName,
        version: Version,
        entry: &str,
        kind: EntryKind,
        role: FileRole,
        problems: &mut Problems,
    ) -> Option<FileRef> {
        let is_sidecar = role == FileRole::Sidecar;
        if is_sidecar && entry.contains(char::REPLACEMENT_CHARACTER) {
            let entry = printable(entry);
            problems.faults.push(format!(
                "{entry}: its name is not UTF-8 text, so no model can open it; rename it"
            ));
            return None;
        }

        match kind {
            EntryKind::File(file_ref) if !is_sidecar || is_printable_name(entry) => Some(file_ref),
            // A broken link was put there on purpose, so it is not ignored.
            EntryKind::Broken(_) => {
                problems.faults.push(wrong_kind_message(&printable(entry), kind));
                None
            }
            kind if !is_sidecar => {
                problems.faults.push(wrong_kind_message(entry, kind));
                None
            }
            _ => {
                let entry = printable(entry);
                self.result
                    .notes
                    .add(format!("{name}/{version}/{entry} is ignored: sidecars are regular files with plain names"));
                None
            }
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

/// The files that make a version's folder a model. There must be exactly one.
#[derive(Default)]
pub(super) struct FoundModels {
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

pub(super) fn check_sidecars(parts: &VersionParts, problems: &mut Problems) {
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
