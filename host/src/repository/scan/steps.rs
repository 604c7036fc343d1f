//! Steps shared by the scans of bare components and of model folders: reading files and adding
//! results.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::Scan;
use crate::model::{Digest, ModelName, ModelSettings, Version};
use crate::repository::aspired_versions::Observed;
use crate::repository::candidate::{Candidate, ComponentSource, LiveConfig, Sidecar, identity};
use crate::repository::confined_dir::{DirEntry, EntryKind, FileRef, error_text, read_error_text};
use crate::repository::file_cache::{FileContent, FileRole, ParsedFile, ReadOutcome};
use crate::repository::layout::{LIVE_CONFIG, SETTINGS};

/// Faults and unsettled files of an entry that consists of several files.
#[derive(Default)]
pub(super) struct Problems {
    pub(super) faults: Vec<String>,
    pub(super) unsettled: bool,
}

impl Scan<'_> {
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
                self.result.observed.push(Observed::Unsettled { name: name.clone(), version });
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

    pub(super) fn check_settled(&mut self, folder: &FileRef, problems: &mut Problems) {
        if let Some(due) = self.cache.settles_at(folder) {
            self.set_due(due);
            problems.unsettled = true;
        }
    }

    pub(super) fn read(
        &mut self,
        file_ref: &FileRef,
        name: &str,
        role: FileRole,
        problems: &mut Problems,
    ) -> Option<FileContent> {
        match self.cache.read(self.tree, file_ref, role) {
            ReadOutcome::Settled(content) => return Some(content),
            ReadOutcome::Faulty(reason)
                if role == FileRole::Settings && reason.starts_with(SETTINGS) =>
            {
                problems.faults.push(reason);
            }
            ReadOutcome::Faulty(reason) => problems.faults.push(format!("{name}: {reason}")),
            ReadOutcome::Unsettled(due) => {
                self.set_due(due);
                problems.unsettled = true;
            }
        }

        None
    }

    /// Reads a model's live configuration. While the file is faulty or unsettled, the previous
    /// values stay.
    pub(super) fn read_live_config(
        &mut self,
        name: &ModelName,
        kind: EntryKind,
    ) -> Arc<LiveConfig> {
        let mut values = None;
        let mut fault = None;

        match kind {
            EntryKind::File(file_ref) => {
                match self.cache.read(self.tree, &file_ref, FileRole::Live) {
                    ReadOutcome::Settled(FileContent {
                        parsed: ParsedFile::Live(read), ..
                    }) => values = Some(read),
                    ReadOutcome::Settled(_) => {}
                    ReadOutcome::Unsettled(due) => self.set_due(due),
                    ReadOutcome::Faulty(reason) if reason.starts_with(LIVE_CONFIG) => {
                        fault = Some(reason)
                    }
                    ReadOutcome::Faulty(reason) => fault = Some(format!("{LIVE_CONFIG}: {reason}")),
                }
            }
            kind => fault = Some(wrong_kind_message(LIVE_CONFIG, kind)),
        }

        let fault = fault.map(|fault| format!("{fault}; what it said before stays in force"));
        if let Some(fault) = &fault {
            self.result.notes.add(format!("{name}/{fault}"));
        }

        Arc::new(LiveConfig { values: self.cache.live_config(name, values), fault })
    }

    /// Returns a component that is a file of the repository.
    pub(super) fn component(&self, file_ref: &FileRef, content: &FileContent) -> LocatedComponent {
        LocatedComponent {
            source: self.tree.file(file_ref.path.clone()).into(),
            digest: content.digest,
            size: content.size,
            changed_at: self.changed_at(file_ref),
        }
    }

    /// Returns the time at which a file was put into the repository: for an object of a store, that
    /// of the object.
    pub(super) fn changed_at(&self, file_ref: &FileRef) -> (i64, i64) {
        if self.is_mirror { file_ref.stamp.modified } else { file_ref.stamp.changed }
    }

    pub(super) fn add_candidate(
        &mut self,
        name: &ModelName,
        version: Version,
        component: LocatedComponent,
        parts: VersionParts,
    ) {
        let VersionParts { settings, live, sidecars, golden } = parts;
        let LocatedComponent { source, digest: component_digest, size, changed_at } = component;
        let golden_requests = golden.as_ref();
        let digest = identity(&source, &component_digest, &sidecars, golden_requests, &settings);
        self.result.observed.push(Observed::Candidate(Candidate {
            name: name.clone(),
            version,
            component: source,
            component_digest,
            changed_at,
            component_size: size,
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
        problems: Problems,
    ) {
        if problems.unsettled {
            self.add_unsettled(name, version);
        } else {
            self.add_faulty(name, version, problems.faults.join("; "));
        }
    }

    pub(super) fn add_unsettled(&mut self, name: &ModelName, version: Option<Version>) {
        self.result.observed.push(Observed::Unsettled { name: name.clone(), version });
    }

    pub(super) fn add_faulty(
        &mut self,
        name: &ModelName,
        version: Option<Version>,
        reason: String,
    ) {
        self.result.observed.push(Observed::Faulty { name: name.clone(), version, reason });
    }

    pub(super) fn set_due(&mut self, due: Instant) {
        self.result.due = Some(self.result.due.map_or(due, |other| other.min(due)));
    }

    /// Saves new version numbers. A candidate without a saved number becomes faulty: after a crash
    /// its number could be assigned to other content.
    pub(super) fn save_version_numbers(&mut self) {
        let Err(error) = self.numbers.save() else { return };
        for observed in &mut self.result.observed {
            if self.numbers.is_unsaved(observed.name()) {
                let reason = format!(
                    "its version number cannot be saved in the state directory: {}",
                    error_text(&error)
                );
                *observed =
                    Observed::Faulty { name: observed.name().clone(), version: None, reason };
            }
        }
    }
}

/// The component of a version, and where it comes from.
pub(super) struct LocatedComponent {
    pub(super) source: ComponentSource,
    pub(super) digest: Digest,
    /// Size of its file in the repository in bytes.
    pub(super) size: u64,
    /// Time of the last status change of the component's or model's file.
    pub(super) changed_at: (i64, i64),
}

/// The parts of a version besides its component.
#[derive(Default)]
pub(in crate::repository) struct VersionParts {
    pub(in crate::repository) settings: Arc<ModelSettings>,
    pub(in crate::repository) live: Arc<LiveConfig>,
    pub(in crate::repository) sidecars: Vec<Sidecar>,
    pub(in crate::repository) golden: Option<Sidecar>,
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
