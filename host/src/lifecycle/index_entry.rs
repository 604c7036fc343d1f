//! Entries of the repository index.

use crate::model::{ModelName, RuntimeInfo, Version};

/// The state of a version, as the protocol names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// The version serves.
    Ready,
    /// The version is being loaded.
    Loading,
    /// The version answers its last requests.
    Unloading,
    /// The version does not serve, for the reason given in its entry.
    Unavailable,
}

/// The entry of one version in the repository index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The model.
    pub name: ModelName,
    /// The version; `None` if the entry concerns the model as a whole.
    pub version: Option<Version>,
    /// The state of the version.
    pub state: IndexState,
    /// The reason for the state; empty if there is none to give.
    pub reason: String,
    /// The runtime of the content that serves, or else of the one in the repository; `None` if that
    /// is a component, or faulty.
    pub runtime: Option<RuntimeInfo>,
}
