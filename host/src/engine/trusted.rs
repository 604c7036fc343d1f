//! The one place that is unsafe: running machine code from a file.

use std::path::Path;

use wasmtime::component::Component;

/// Maps a compiled artifact into memory. Fails if it was compiled for another engine.
///
/// The caller must have made sure of two things, which
/// [`ArtifactStore::open`](super::ArtifactStore) does: that the file's digest is the one recorded
/// when our own compile child wrote it, and that it lies in a directory that only this user can
/// write to.
#[allow(unsafe_code)]
pub(super) fn map_artifact(engine: &wasmtime::Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime asks that the file be the unaltered output of its compiler and stay
    // unaltered while it is mapped. The artifact store holds only what our own child process
    // compiled: its directory is private to this user, nothing from outside is ever put there
    // (precompiled uploads are refused), and each file is checked against the digest recorded when
    // it was written. A file is made under another name, closed to writing and renamed into place,
    // and never written again: replacing or collecting it unlinks the name, and the mapping keeps
    // the old file.
    unsafe { Component::deserialize_file(engine, path) }
}
