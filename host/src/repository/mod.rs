//! Where models come from: a source looks at a place and announces everything it sees there.
//!
//! What is looked at is a directory ([`Directory`]). Its thread wakes when the file system says
//! that something changed, when a file may have settled, when somebody asks, and every few seconds
//! in any case. Whatever woke it, it looks at the whole root and announces the whole of it as one
//! [`Aspired`]. So an event that was lost, doubled or late costs nothing, and there is one path
//! through the code instead of one per kind of change. Nothing here knows what serves: comparing
//! wanted with actual is `lifecycle`'s task.
//!
//! Each thing seen is one of three. *Whole*: the files have settled, the component is structurally
//! complete, the settings are sound, so it can be tried. *Unsettled*: still changing, or gone for
//! less than the settle time. *Faulty*: settled and wrong. Only what is not seen at all is
//! unwanted; unsettled and faulty both mean that what serves keeps serving. If the root itself is
//! gone or unreadable the announcement says *degraded*, repeats what was seen last, and nothing is
//! unloaded. A root that was deleted and made anew is believed, even when it is empty; one that is
//! empty and on another device than before is taken for an unmounted volume. So whoever mounts a
//! new, empty volume must put something into it before the old models go.
//!
//! A bare `iris.wasm` has no settings of its own: what needs settings gets a folder, which has room
//! for them.
//!
//! The root is opened anew at each look, and must be nobody else's (`root`, `grounds`); everything
//! beneath it is opened from there, and a candidate's files stay beneath the folder that was looked
//! at, whatever its path comes to lead to.
//!
//! What is uploaded comes to lie in that directory too, and is announced as everything in it is:
//! see [`upload`].
//!
//! A repository behind a URL is mirrored into a directory, which is looked at like any other: see
//! [`remote`]. A [`Source`] is either.

mod aspired;
mod digest;
mod directory;
mod effort;
mod file_kind;
mod folder;
mod grounds;
mod layout;
mod misplaced;
mod model_toml;
mod notes;
mod pace;
mod resolve;
mod root;
mod scan;
mod scanner;
mod source;

pub mod remote;
pub mod upload;

mod contents;
mod settle;
mod tree;
mod whole;

pub(crate) mod keys;
mod numbers;

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

pub use crate::model::Digest;
pub use aspired::{Aspired, Candidate, Degraded, Live, Seen, Sidecar};
pub use contents::MAX_GOLDEN;
pub use directory::{
    Directory, DirectoryConfig, DirectoryError, Rescan, Stopped, Watch, check_events,
};
pub use grounds::Grounds;
pub use keys::Faults;
pub(crate) use layout::{is_temporary, reserved as reserved_name};
pub use model_toml::parse_model_toml;
pub(crate) use model_toml::{
    limits as parse_limits, streaming_ceilings as parse_streaming_ceilings,
};
pub use root::refused_roots;
pub(crate) use settle::Stamp;
pub use source::{Source, SourceConfig};
pub(crate) use tree::{plain as plain_error, stamp, unreadable as unreadable_error};
pub use whole::{Unwhole, check as check_whole};
