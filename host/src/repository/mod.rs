//! Tenants' model repositories: a source scans a directory and announces every model and version in
//! it.
//!
//! A source scans a directory ([`Directory`]). Its thread wakes on a file system event, when a
//! changed file may have settled, when a caller requests a rescan, and every few seconds in any
//! case. Each time it scans the whole root and announces the complete result as one
//! [`AspiredVersions`]. A lost, doubled or late event therefore costs nothing, and there is one
//! code path instead of one per kind of change. This module does not know which versions serve:
//! `lifecycle` compares the wanted state with the actual one.
//!
//! Each entry is in one of three states. *Complete*: the files have settled, the component is
//! structurally complete and the settings are valid, so the version can be loaded. *Unsettled*:
//! still changing, or gone for less than the settle time. *Faulty*: settled and invalid. Only an
//! entry that is absent from a scan is unwanted; for unsettled and faulty entries, the serving
//! versions stay. If the root itself is missing or unreadable, the announcement is *degraded*,
//! repeats the last result, and nothing is unloaded. A root that was deleted and created again is
//! accepted, even when it is empty. An empty root on another device than before is treated as an
//! unmounted volume, so an operator who mounts a new, empty volume must put a file into it before
//! the old models are removed.
//!
//! A version is a component, or a model file with the runtime that serves it ([`RuntimeCatalog`]).
//! The content of a model file decides its format, and only if that is unknown its name. The host
//! reads no more of it than its first bytes.
//!
//! A bare `iris.wasm` has no settings of its own: a model with settings needs a folder.
//!
//! The root is opened again at each scan and must not overlap another tenant's root (`root`,
//! `folder_claims`). Everything beneath it is opened from there, and a candidate's files stay
//! beneath the folder that was scanned, even if its path later leads elsewhere.
//!
//! Uploaded versions are written into the same directory and announced like any other file: see
//! [`upload`].
//!
//! A repository behind a URL is mirrored into a directory that is scanned like any other: see
//! [`remote`]. A [`Source`] is either kind.

mod aspired_versions;
mod candidate;
mod directory;
mod directory_error;
mod entry_meaning;
mod file_digest;
mod file_kind;
mod folder_claims;
mod folder_watcher;
mod json_value;
mod layout;
mod misplaced;
mod model_toml;
mod onnx_domains;
mod operator_notes;
mod real_path;
mod root;
mod route_toml;
mod runtime_folder;
mod runtimes;
mod scan;
mod scan_meter;
mod scan_rate_limiter;
mod source;
mod sparse_reader;
mod wakeup;
mod watch_thread;

pub mod remote;
pub mod upload;

mod component_check;
mod config;
mod confined_dir;
mod file_cache;
mod stability;

mod version_numbers;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

pub use crate::model::Digest;
pub use crate::toml_reader::TomlFaults;
pub use aspired_versions::{AspiredVersions, Degraded, Observed};
pub use candidate::{Candidate, ComponentSource, LiveConfig, ModelFile, Sidecar};
pub use component_check::{IncompleteComponent, check as check_whole};
pub use config::{DirectoryConfig, RepositoryConfig, RuntimesConfig, WatchMode};
pub(crate) use confined_dir::{
    error_text as disk_error_text, read_error_text as unreadable_error, stamp,
};
pub use directory::{Directory, RescanRequest, SourceStopped};
pub use directory_error::DirectoryError;
pub use file_cache::MAX_GOLDEN_SIZE;
pub(crate) use file_kind::{FileKind, by_name as kind_by_name};
pub use folder_claims::FolderClaims;
pub use folder_watcher::check_events;
pub(crate) use layout::{
    is_temporary, model_file_name, reserved_name_message as reserved_name, split_extension,
};
pub use model_toml::parse_model_toml;
pub(crate) use model_toml::{
    limits as parse_limits, streaming_ceilings as parse_streaming_ceilings,
};
pub use root::refused_roots;
pub use runtime_folder::RuntimeFolder;
pub use runtimes::{Declaration, Runtime, RuntimeCatalog, Runtimes};
pub(crate) use scan::find_model_file;
pub use source::{Source, SourceConfig};
pub(crate) use stability::Stamp;
