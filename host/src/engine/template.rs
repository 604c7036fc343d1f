//! Code that is ready to be instantiated.

use std::sync::Arc;

use wasmtime::component::InstancePre;
use wasmtime::error::Context;

use super::artifact::{Artifact, Lease, Snapshot, StoredFile};
use super::exports::{Exports, Imports};
use super::state::State;
use super::{Engine, settings, trusted};
use crate::capability::{ConfigValues, Grants, LogLine, Sidecar, Sidecars};
use crate::database::Database;
use crate::model::{LoadError, Metadata, Stage};
use crate::tenant::Room;

/// A compiled component, mapped and linked. Shared by every model of its tenant whose artifact it
/// is; an instance never is.
pub struct Code {
    engine: Engine,
    pre: InstancePre<State>,
    exports: Exports,
    imports: Imports,
    metadata: Arc<Metadata>,
    snapshot: Snapshot,
    sidecars: Sidecars,
    /// What an instance takes of the engine.
    room: Room,
    /// Where its memory starts, in bytes; what a snapshot holds.
    initial_memory: u64,
    /// Bytes of its file of machine code.
    compiled_size: u64,
    /// Keeps its files where they are.
    _lease: Arc<Lease>,
}

impl Code {
    /// Maps an artifact and links it. Fails if the artifact is of another engine, which its key
    /// prevents.
    pub fn map(engine: &Engine, artifact: Artifact) -> Result<Code, LoadError> {
        Self::try_map(engine, artifact)
            .map_err(|error| LoadError::new(Stage::Link, format!("{error:#}")))
    }

    /// What an instance takes of the engine.
    pub fn room(&self) -> &Room {
        &self.room
    }

    fn try_map(engine: &Engine, artifact: Artifact) -> wasmtime::Result<Code> {
        let sidecars = artifact.sidecars.into_iter();
        let sidecars =
            sidecars.map(|(name, StoredFile { path, size })| (name, Sidecar::File(path, size)));
        let compiled_size = std::fs::metadata(&artifact.code)?.len();
        let component = trusted::map_artifact(engine.wasmtime(), &artifact.code)?;
        // Now, so that the first request does not pay for it.
        component.initialize_copy_on_write_image()?;
        let pre = engine.linker().instantiate_pre(&component)?;
        let exports = Exports::find(&component, &pre)?;
        let needs = component.resources_required().context("it takes modules from others")?;
        Ok(Code {
            room: Room::new(engine.slots().clone(), settings::slots_of(&needs)),
            engine: engine.clone(),
            exports,
            imports: Imports::find(&component),
            pre,
            metadata: Arc::new(artifact.about.metadata),
            snapshot: artifact.about.snapshot,
            sidecars: Sidecars::new(sidecars.collect(), Some(artifact.lease.tenant().clone())),
            initial_memory: needs.max_initial_memory_size.unwrap_or(0) * PAGE,
            compiled_size,
            _lease: artifact.lease,
        })
    }
}

/// Bytes of a page of WebAssembly memory.
const PAGE: u64 = 64 << 10;

/// Code with one version's grants and limits: everything an instance needs. A clone is shallow.
#[derive(Clone)]
pub struct Template {
    inner: Arc<TemplateInner>,
}

struct TemplateInner {
    code: Arc<Code>,
    grants: Grants,
    memory: u64,
    response: u64,
}

impl Template {
    /// A template of that code. `memory` and `response` are limits in bytes. The sidecar files of
    /// `grants` are replaced by the artifact's own.
    pub fn new(code: Arc<Code>, grants: Grants, memory: u64, response: u64) -> Self {
        let grants = Grants { sidecars: code.sidecars.clone(), ..grants };
        Template { inner: Arc::new(TemplateInner { code, grants, memory, response }) }
    }

    /// What the model says of itself.
    pub fn metadata(&self) -> &Arc<Metadata> {
        &self.inner.code.metadata
    }

    /// Whether instances start already loaded, and if not, why.
    pub fn snapshot(&self) -> &Snapshot {
        &self.inner.code.snapshot
    }

    /// Bytes of memory that an instance starts with; shared between instances until written to.
    pub fn initial_memory(&self) -> u64 {
        self.inner.code.initial_memory
    }

    /// What an instance takes of the engine.
    pub fn room(&self) -> &Room {
        &self.inner.code.room
    }

    /// Bytes of the file of machine code, which is mapped and holds the snapshot.
    pub fn compiled_size(&self) -> u64 {
        self.inner.code.compiled_size
    }

    /// Whether the model takes part in its own lifespan.
    pub fn has_lifecycle(&self) -> bool {
        self.exports().lifecycle.is_some()
    }

    /// Whether it can answer in parts.
    pub fn has_streaming(&self) -> bool {
        self.exports().streaming.is_some()
    }

    /// Whether it takes several requests in one call.
    pub fn has_batching(&self) -> bool {
        self.exports().batching.is_some()
    }

    /// Whether it reads or writes what the interceptors of a request share.
    pub fn uses_call_values(&self) -> bool {
        self.exports().uses_call_values
    }

    /// Whether it does work after the response.
    pub fn has_deferred(&self) -> bool {
        self.exports().deferred.is_some()
    }

    /// Whether it goes on with the sessions of older versions.
    pub fn has_session_migration(&self) -> bool {
        self.exports().session_migration.is_some()
    }

    /// Whether it keeps sessions.
    pub fn uses_sessions(&self) -> bool {
        self.inner.code.imports.session
    }

    /// Whether it leaves work for after the response.
    pub fn uses_tasks(&self) -> bool {
        self.inner.code.imports.tasks
    }

    /// Whether it has tables.
    pub fn has_migrations(&self) -> bool {
        self.exports().migrations.is_some()
    }

    /// Whether it wraps models.
    pub fn is_interceptor(&self) -> bool {
        self.exports().interceptor.is_some()
    }

    /// What `wasi:config` answers its instances.
    pub fn config(&self) -> &ConfigValues {
        &self.inner.grants.config
    }

    /// Writes a line about the guest into its log, among its own.
    pub fn write_log(&self, line: LogLine) {
        (self.inner.grants.log)(line);
    }

    /// Its tenant's database, if it was granted that.
    pub fn database(&self) -> Option<&Arc<Database>> {
        self.inner.grants.sql.as_ref()
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.inner.code.engine
    }

    pub(super) fn pre(&self) -> &InstancePre<State> {
        &self.inner.code.pre
    }

    pub(super) fn exports(&self) -> &Exports {
        &self.inner.code.exports
    }

    pub(super) fn grants(&self) -> &Grants {
        &self.inner.grants
    }

    pub(super) fn memory_limit(&self) -> u64 {
        self.inner.memory
    }

    pub(super) fn response_limit(&self) -> u64 {
        self.inner.response
    }
}
