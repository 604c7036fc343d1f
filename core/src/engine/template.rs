//! Compiled code that is ready to be instantiated.

use std::path::Path;
use std::sync::Arc;

use wasmtime::ResourcesRequired;
use wasmtime::component::{Component, InstancePre};
use wasmtime::error::Context;

use super::artifact::{Artifact, Form, Lease, Snapshot, StoredFile, TenantArtifacts};
use super::interfaces::{Interface, Interfaces};
use super::reset::Resetter;
use super::shared_code::{SharedCode, SharedCodes};
use super::store_state::State;
use super::{Engine, MemoryReset, config, map_artifact};
use crate::capability::{ConfigValues, Grants, LogLine, Sidecar, Sidecars};
use crate::database::Database;
use crate::model::{LoadError, Metadata, RuntimeInfo, Stage};
use crate::tenant::SlotRequest;

/// A compiled model, mapped and linked. Shared by all models of its tenant that have the same
/// artifact; instances are never shared.
pub struct Code {
    engine: Engine,
    pre: InstancePre<State>,
    interfaces: Interfaces,
    /// Resets instances after their calls; `None` if they cannot be reset.
    resetter: Option<Resetter>,
    metadata: Arc<Metadata>,
    snapshot: Snapshot,
    sidecars: Sidecars,
    /// The slots that an instance takes.
    room: SlotRequest,
    /// The size of its initial memory in bytes, which a snapshot contains.
    initial_memory: u64,
    /// The size of the compiled file, in bytes, without code that models share.
    compiled_size: u64,
    /// Keeps shared code on disk, and findable for other models.
    _shared: Option<Arc<SharedCode>>,
    /// Keeps the files on disk.
    _lease: Arc<Lease>,
}

impl Code {
    /// Maps an artifact and links it. Returns `None` if it needs code that the store does not have.
    /// Fails if the artifact belongs to another engine, which its key rules out.
    pub fn map(
        engine: &Engine,
        artifacts: &Arc<TenantArtifacts>,
        codes: &SharedCodes,
        artifact: Artifact,
    ) -> Result<Option<Code>, LoadError> {
        let shared = match &artifact.form {
            Form::Whole => None,
            Form::State { code } => match codes.get(engine, artifacts, code)? {
                Some(shared) => Some(shared),
                None => return Ok(None),
            },
            Form::Code { .. } => return Ok(None),
        };

        Self::try_map(engine, artifact, shared)
            .map(Some)
            .map_err(|error| LoadError::new(Stage::Link, format!("{error:#}")))
    }

    /// The slots that an instance takes.
    pub fn room(&self) -> &SlotRequest {
        &self.room
    }

    fn try_map(
        engine: &Engine,
        artifact: Artifact,
        shared: Option<Arc<SharedCode>>,
    ) -> wasmtime::Result<Code> {
        let sidecars = artifact.sidecars.into_iter();
        let sidecars =
            sidecars.map(|(name, StoredFile { path, size })| (name, Sidecar::File(path, size)));

        let compiled_size = std::fs::metadata(&artifact.code)?.len();
        let linked = match &shared {
            None => Linked::whole(engine, &artifact.code)?,
            Some(shared) => Linked::with_state(engine, shared, &artifact.code)?,
        };
        let interfaces = Interfaces::find(&linked.component, &linked.pre)?;
        let needs = linked.needs;
        let resetter = match engine.reset() {
            MemoryReset::DirtyPages => Resetter::new(&linked.component),
            MemoryReset::Unmap => None,
        };

        Ok(Code {
            room: SlotRequest::new(engine.slots().clone(), config::slots_needed(&needs)),
            engine: engine.clone(),
            interfaces,
            resetter,
            pre: linked.pre,
            metadata: Arc::new(artifact.info.metadata),
            snapshot: artifact.info.snapshot,
            sidecars: Sidecars::new(sidecars.collect(), Some(artifact.lease.tenant().clone())),
            initial_memory: needs.max_initial_memory_size.unwrap_or(0) * PAGE,
            compiled_size,
            _shared: shared,
            _lease: artifact.lease,
        })
    }
}

/// A compiled file that is mapped and linked, its memory image prepared: at once, so that the first
/// request does not pay for it.
struct Linked {
    component: Component,
    pre: InstancePre<State>,
    needs: ResourcesRequired,
}

impl Linked {
    fn whole(engine: &Engine, file: &Path) -> wasmtime::Result<Self> {
        let component = map_artifact::map_artifact(engine.wasmtime(), file)?;
        component.initialize_copy_on_write_image()?;
        let pre = engine.linker().instantiate_pre(&component)?;
        let needs = component.resources_required().context("it imports core modules")?;
        Ok(Linked { component, pre, needs })
    }

    fn with_state(engine: &Engine, code: &SharedCode, file: &Path) -> wasmtime::Result<Self> {
        let state = map_artifact::map_state(engine.wasmtime(), file)?;
        state.initialize_copy_on_write_image()?;
        let pre = engine.link_state(&code.component, &state)?;
        // The code has the tables, and the state has the only memory.
        let needs = ResourcesRequired { num_tables: code.tables, ..state.resources_required() };
        Ok(Linked { component: code.component.clone(), pre, needs })
    }
}

/// Bytes of a page of WebAssembly memory.
const PAGE: u64 = 64 << 10;

/// Code with the grants and limits of one version: everything an instance needs. A clone is
/// shallow.
#[derive(Clone)]
pub struct Template {
    inner: Arc<TemplateInner>,
}

struct TemplateInner {
    code: Arc<Code>,
    grants: Grants,
    runtime: Option<RuntimeInfo>,
    memory_limit: u64,
    response_limit: u64,
}

impl Template {
    /// A template of that code. The limits are in bytes. The artifact's sidecar files replace those
    /// of `grants`. `runtime` says which of them the component serves, if it is a runtime.
    pub fn new(
        code: Arc<Code>,
        grants: Grants,
        runtime: Option<RuntimeInfo>,
        memory_limit: u64,
        response_limit: u64,
    ) -> Self {
        let served = runtime.as_ref().map(|runtime| runtime.model_file.as_str());
        let sidecars = code.sidecars.clone().with_model_file(served);
        let grants = Grants { sidecars, ..grants };
        let inner = TemplateInner { code, grants, runtime, memory_limit, response_limit };
        Template { inner: Arc::new(inner) }
    }

    /// The runtime that the component is; `None` for a model.
    pub fn runtime(&self) -> Option<&RuntimeInfo> {
        self.inner.runtime.as_ref()
    }

    /// The metadata that the model reports.
    pub fn metadata(&self) -> &Arc<Metadata> {
        &self.inner.code.metadata
    }

    /// The state in which instances start.
    pub fn snapshot(&self) -> &Snapshot {
        &self.inner.code.snapshot
    }

    /// Bytes of an instance's initial memory. Instances share it until they write to it.
    pub fn initial_memory(&self) -> u64 {
        self.inner.code.initial_memory
    }

    /// The slots that an instance takes.
    pub fn room(&self) -> &SlotRequest {
        &self.inner.code.room
    }

    /// The size of the compiled file in bytes. It is mapped and contains the snapshot, and the
    /// machine code unless models share it.
    pub fn compiled_size(&self) -> u64 {
        self.inner.code.compiled_size
    }

    /// True if the component has that interface.
    pub fn has(&self, interface: Interface) -> bool {
        self.interfaces().has(interface)
    }

    /// True if the component exports `lifecycle`.
    pub fn has_lifecycle(&self) -> bool {
        self.has(Interface::Lifecycle)
    }

    /// True if the component exports `streaming`.
    pub fn has_streaming(&self) -> bool {
        self.has(Interface::Streaming)
    }

    /// The values that `wasi:config` returns to its instances.
    pub fn config(&self) -> &ConfigValues {
        &self.inner.grants.config
    }

    /// Writes a line about the guest into the guest's log.
    pub fn write_log(&self, line: LogLine) {
        (self.inner.grants.log)(line);
    }

    /// The tenant's database; `None` if `sql` is not granted.
    pub fn database(&self) -> Option<&Arc<Database>> {
        self.inner.grants.sql.as_ref()
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.inner.code.engine
    }

    pub(super) fn pre(&self) -> &InstancePre<State> {
        &self.inner.code.pre
    }

    pub(super) fn interfaces(&self) -> &Interfaces {
        &self.inner.code.interfaces
    }

    pub(super) fn resetter(&self) -> Option<&Resetter> {
        self.inner.code.resetter.as_ref()
    }

    pub(super) fn grants(&self) -> &Grants {
        &self.inner.grants
    }

    pub(super) fn memory_limit(&self) -> u64 {
        self.inner.memory_limit
    }

    pub(super) fn response_limit(&self) -> u64 {
        self.inner.response_limit
    }
}
