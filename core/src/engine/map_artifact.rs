//! Running machine code from a file: the one unsafe operation of the engine.

use std::path::Path;

use wasmtime::Module;
use wasmtime::component::Component;

/// Maps a compiled component into memory. Fails if it was compiled for another engine.
///
/// The caller guarantees two things, which [`ArtifactStore::open`](super::ArtifactStore) provides:
/// the file's digest is the one recorded when the compile process wrote it, and the file lies in a
/// directory that only this user can write to.
#[allow(unsafe_code)]
pub(super) fn map_artifact(engine: &wasmtime::Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: wasmtime requires that the file is the unaltered output of its compiler and stays
    // unaltered while it is mapped. The artifact store holds only what our own compile process
    // wrote: its directory is private to this user, nothing from outside is stored there
    // (precompiled uploads are refused), and each file is checked against the digest recorded when
    // it was written. A file is created under another name, made read-only and renamed into place,
    // and never written again: replacing or collecting it unlinks the name, and the mapping keeps
    // the old file. A compile process maps shared code under the same conditions.
    unsafe { Component::deserialize_file(engine, path) }
}

/// Maps the compiled state of a model into memory. The conditions are those of [`map_artifact`].
#[allow(unsafe_code)]
pub(super) fn map_state(engine: &wasmtime::Engine, path: &Path) -> wasmtime::Result<Module> {
    // SAFETY: as in `map_artifact`.
    unsafe { Module::deserialize_file(engine, path) }
}
