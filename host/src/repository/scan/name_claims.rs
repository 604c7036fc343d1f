//! The entries of the root, and of the folder of interceptors, that claim the name of a model.

use std::collections::BTreeMap;
use std::io;

use super::Scan;
use super::model_files::Peeked;
use super::steps::wrong_kind_message;
use crate::model::ModelName;
use crate::repository::confined_dir::{DirEntry, EntryKind, FileRef, read_error_text};
use crate::repository::entry_meaning::{EntryMeaning, Namespace, classify_file, classify_folder};
use crate::repository::layout::{INTERCEPTORS, printable, reserved_name_message};
use crate::repository::runtimes::RuntimeCatalog;

/// An entry in the root that claims a model's name.
pub(super) enum NameClaim {
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
    pub(super) fn entry(&self, model: &ModelName) -> String {
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
    /// Returns the claims of these entries, by the name of their model.
    pub(super) fn name_claims(
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
}

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
