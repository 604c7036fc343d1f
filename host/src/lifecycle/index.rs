//! What the repository index tells of each version.

use crate::model::{ModelName, Version};

/// Where a version is in its life, as the protocol names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// It serves.
    Ready,
    /// It is wanted and being tried.
    Loading,
    /// It answers its last requests.
    Unloading,
    /// It does not serve; the reason says why.
    Unavailable,
}

/// What the repository index tells of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Which model.
    pub name: ModelName,
    /// Which version; `None` when it concerns the model as a whole.
    pub version: Option<Version>,
    /// Where it is in its life.
    pub state: IndexState,
    /// What there is to say about it; empty when there is nothing.
    pub reason: String,
}
