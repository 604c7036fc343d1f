//! The runtime behind a version, for people.

use super::Digest;

/// The runtime that serves a version's model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// Name of the runtime.
    pub name: String,
    /// SHA-256 of its component.
    pub digest: Digest,
    /// Format of the model file, such as `onnx`.
    pub format: String,
    /// Name of the model file, which is one of the sidecars.
    pub model_file: String,
}
