//! The machine code of candidates: in use already, in the artifact store, or compiled now.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::blocking;
use crate::capability::LogSink;
use crate::engine::compile::{
    CompileConfig, Compiler, InputFile, InputSource, Job, LoadLimits, StorageLeft,
};
use crate::engine::{
    ArtifactKey, ArtifactStore, Code, Engine, EngineConfig, Role, SharedCodes, TenantArtifacts,
    write_error,
};
use crate::model::{LoadError, Stage, TenantName};
use crate::mutex::lock;
use crate::repository::{Candidate, ComponentSource, Digest, ModelFile};
use crate::tenant::{SlotRequest, Slots, Tenant};

/// Artifacts that are read or written at the same time. Such an operation waits for nothing else.
const MAX_FILE_OPERATIONS: usize = 16;

/// Time for which an artifact is kept although no version uses it, so that a rollback does not
/// compile.
const MAX_UNUSED_AGE: Duration = Duration::from_secs(24 * 3600);

/// Held while an artifact is made.
type ArtifactLock = Arc<tokio::sync::Mutex<()>>;

/// Loads the code of candidates, at most once for all that have the same.
pub struct CodeLoader {
    engine: Engine,
    fingerprint: String,
    /// The compile process must build the same engine.
    engine_config: EngineConfig,
    compile_config: CompileConfig,
    store: ArtifactStore,
    compiler: Compiler,
    /// Permits to read or write an artifact.
    file_operations: Semaphore,
    /// Mapped code in use, shared between models with the same artifact.
    loaded_code: Mutex<HashMap<ArtifactKey, Weak<Code>>>,
    /// Mapped code that models with different artifacts share.
    shared_codes: Arc<SharedCodes>,
    /// Components that were compiled since the start, by [`component_key`](Self::component_key).
    /// The store has their shared code.
    compiled: Mutex<HashSet<ArtifactKey>>,
    /// Locks that keep an artifact from being made twice. An artifact belongs to one tenant, so
    /// tenants do not wait for each other.
    artifact_locks: Mutex<HashMap<ArtifactKey, ArtifactLock>>,
}

impl CodeLoader {
    /// Makes a loader that compiles with `compiler` and keeps artifacts in `store`. The
    /// configurations are those that the engine and the compiler were built from.
    pub fn new(
        engine: Engine,
        engine_config: EngineConfig,
        compiler: Compiler,
        compile_config: CompileConfig,
        store: ArtifactStore,
    ) -> Self {
        CodeLoader {
            fingerprint: engine.fingerprint(),
            engine,
            engine_config,
            compile_config,
            store,
            compiler,
            file_operations: Semaphore::new(MAX_FILE_OPERATIONS),
            loaded_code: Mutex::default(),
            shared_codes: Arc::default(),
            compiled: Mutex::default(),
            artifact_locks: Mutex::default(),
        }
    }

    /// The engine's slots, shared by all tenants.
    pub(super) fn slots(&self) -> &Arc<Slots> {
        self.engine.slots()
    }

    /// Fails if the tenant can never hold that many slots at once.
    pub(super) fn check_slots(&self, tenant: &Tenant, room: &SlotRequest) -> Result<(), LoadError> {
        let needed = room.count();
        let most = self.slots().max_for_tenant(tenant.name());
        let all = self.engine_config.instances;
        if u64::from(needed) <= most {
            return Ok(());
        }

        let reason = format!(
            "an instance needs {needed} slots for its memories and tables, and this tenant can have \
             at most {most} of the {all} of engine.instances; raise engine.instances in wardian.toml"
        );
        Err(LoadError::new(Stage::Quota, reason))
    }

    /// Returns the candidate's code: already in use, from the artifact store, or compiled now.
    pub(super) async fn load(
        &self,
        tenant: &Arc<Tenant>,
        candidate: &Candidate,
        progress: &(dyn Fn(Stage) + Send + Sync),
        log: &LogSink,
    ) -> Result<Arc<Code>, LoadError> {
        let key = self.artifact_key(tenant.name(), candidate);
        let turn = self.artifact_lock(&key);
        let _turn = turn.lock().await;

        if let Some(code) = lock(&self.loaded_code).get(&key).and_then(Weak::upgrade) {
            return Ok(code);
        }

        let artifacts = self.artifacts(tenant).await?;
        let code = match self.map_artifact(&artifacts, &key).await? {
            Some(code) => code,
            None => self.compile_artifact(&artifacts, &key, candidate, progress, log).await?,
        };
        let code = Arc::new(code);

        lock(&self.loaded_code).insert(key, Arc::downgrade(&code));
        Ok(code)
    }

    fn artifact_key(&self, tenant: &TenantName, candidate: &Candidate) -> ArtifactKey {
        let sidecars =
            candidate.sidecars.iter().map(|file| (file.name.as_str(), file.digest.as_bytes()));
        let granted = &candidate.settings.capabilities;
        let component = candidate.component_digest.as_bytes();
        let role = Role::from_name(&candidate.name);

        ArtifactKey::new(
            tenant,
            &self.fingerprint,
            role,
            component,
            sidecars,
            model_file_name(candidate),
            &granted.config,
            &granted.granted(),
        )
    }

    async fn artifacts(&self, tenant: &Arc<Tenant>) -> Result<Arc<TenantArtifacts>, LoadError> {
        let store = self.store.clone();
        let tenant = tenant.clone();
        self.run_file_operation(move || store.for_tenant(&tenant)).await?.map_err(write_error)
    }

    /// A key for the code of a component, whatever its sidecars and settings are. No artifact has
    /// it.
    fn component_key(&self, tenant: &TenantName, candidate: &Candidate) -> ArtifactKey {
        let role = Role::from_name(&candidate.name);
        let component = candidate.component_digest.as_bytes();
        let engine = format!("code for {}", self.fingerprint);
        ArtifactKey::new(tenant, &engine, role, component, [], None, &BTreeMap::new(), &[])
    }

    fn artifact_lock(&self, key: &ArtifactKey) -> ArtifactLock {
        lock(&self.artifact_locks).entry(key.clone()).or_default().clone()
    }

    /// Reads an artifact and maps it; `None` if there is none, or not all of it.
    async fn map_artifact(
        &self,
        artifacts: &Arc<TenantArtifacts>,
        key: &ArtifactKey,
    ) -> Result<Option<Code>, LoadError> {
        let (engine, codes) = (self.engine.clone(), self.shared_codes.clone());
        let (artifacts, key) = (artifacts.clone(), key.clone());
        self.run_file_operation(move || match artifacts.get(&key)? {
            Some(artifact) => Code::map(&engine, &artifacts, &codes, artifact),
            None => Ok(None),
        })
        .await?
    }

    /// Runs a blocking operation on artifacts, a bounded number at a time.
    async fn run_file_operation<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LoadError> {
        let _permit = self.file_operations.acquire().await;
        run_blocking(work).await
    }

    async fn compile_artifact(
        &self,
        artifacts: &Arc<TenantArtifacts>,
        key: &ArtifactKey,
        candidate: &Candidate,
        progress: &(dyn Fn(Stage) + Send + Sync),
        log: &LogSink,
    ) -> Result<Code, LoadError> {
        // Models of one component that is not compiled yet wait for the first of them.
        let component = self.component_key(artifacts.tenant().name(), candidate);
        let turn = self.artifact_lock(&component);
        let turn = turn.lock().await;
        let turn = (!lock(&self.compiled).contains(&component)).then_some(turn);

        let tenant = artifacts.tenant();
        let storage =
            StorageLeft { left: artifacts.room_for(key)?, quota: tenant.settings().quota.storage };
        let staged = artifacts.stage().map_err(write_error)?;
        let job = self.job(tenant, candidate, staged.path().to_owned(), storage);
        let made = self.compiler.run(tenant, &job, progress, log).await.inspect_err(|error| {
            if error.stage == Stage::Quota {
                artifacts.record_refused(key, storage.left, error);
            }
        });

        let (publisher, key, succeeded) = (artifacts.clone(), key.clone(), made.is_ok());
        let (published, key) = self
            .run_file_operation(move || {
                // Code is of use to other models even if this one fails to load.
                let shared = publisher.publish_shared_code(staged.path());
                let published = match (shared, succeeded) {
                    (Ok(_), true) => publisher.publish(&key, staged).map(|()| true),
                    (shared, _) => shared,
                };
                (published, key)
            })
            .await?;
        if matches!(published, Ok(true)) {
            remember(&self.compiled, component);
        }
        drop(turn);
        made?;
        published?;

        self.map_artifact(artifacts, &key).await?.ok_or_else(|| {
            LoadError::new(Stage::Host, "the artifact was damaged while it was written")
        })
    }

    fn job(
        &self,
        tenant: &Tenant,
        candidate: &Candidate,
        output: PathBuf,
        storage: StorageLeft,
    ) -> Job {
        let input =
            |source: InputSource, digest: &Digest| InputFile { sha256: digest.to_string(), source };
        let sidecars = candidate.sidecars.iter();
        let sidecars = sidecars.map(|sidecar| {
            let source = InputSource::File(sidecar.file.clone());
            (sidecar.name.clone(), input(source, &sidecar.digest))
        });
        let sidecars: BTreeMap<_, _> = sidecars.collect();
        let load = LoadLimits {
            memory: candidate.settings.limits.memory,
            deadline_ms: self.compile_config.load_deadline.as_millis() as u64,
        };

        let output = std::path::absolute(&output).unwrap_or(output);
        Job {
            role: Role::from_name(&candidate.name),
            component: input(component_input(&candidate.component), &candidate.component_digest),
            sidecars,
            model_file: model_file_name(candidate).map(str::to_owned),
            config: candidate.settings.capabilities.config.clone(),
            granted: candidate.settings.capabilities.granted(),
            artifacts: output.parent().map(Path::to_owned).unwrap_or_default(),
            code_scope: ArtifactKey::code_scope(tenant.name(), &self.fingerprint),
            output,
            storage,
            load,
            limits: self.compile_config.limits.clone(),
            max_memory: self.engine_config.max_memory,
            stack: self.engine_config.stack,
        }
    }

    /// Removes the artifacts of a tenant that no wanted version uses, and those of tenants that are
    /// not configured.
    pub(super) async fn collect(
        self: Arc<Self>,
        tenant: TenantName,
        wanted: Vec<Candidate>,
        configured: HashSet<TenantName>,
    ) {
        lock(&self.loaded_code).retain(|_, code| code.strong_count() > 0);
        lock(&self.artifact_locks).retain(|_, lock| Arc::strong_count(lock) > 1);
        self.shared_codes.forget_unused();

        let removed = run_blocking(move || {
            let keys = wanted.iter().map(|candidate| self.artifact_key(&tenant, candidate));
            let keep: HashSet<_> = keys.collect();
            self.store.collect(&tenant, &configured, &keep, MAX_UNUSED_AGE)
        });
        match removed.await {
            Ok(Ok(removed)) if removed > 0 => tracing::info!(removed, "collected unused artifacts"),
            Ok(Err(error)) => tracing::warn!(%error, "cannot collect unused artifacts"),
            _ => {}
        }
    }
}

/// The content of a version's component.
fn component_input(component: &ComponentSource) -> InputSource {
    match component {
        ComponentSource::File(file) => InputSource::File(file.clone()),
        ComponentSource::Runtime(ModelFile { runtime, .. }) => {
            InputSource::Content(runtime.component().clone())
        }
    }
}

/// The name of the sidecar that a runtime serves; `None` for a component that is a model itself.
fn model_file_name(candidate: &Candidate) -> Option<&str> {
    candidate.component.model_file().map(|file| file.name.as_str())
}

/// The most components that are remembered as compiled. One that was forgotten is compiled by one
/// model at a time for once.
const MAX_COMPILED: usize = 10_000;

fn remember(compiled: &Mutex<HashSet<ArtifactKey>>, component: ArtifactKey) {
    let mut compiled = lock(compiled);
    if compiled.len() >= MAX_COMPILED {
        compiled.clear();
    }
    compiled.insert(component);
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    blocking::run(work)
        .await
        .map_err(|error| LoadError::new(Stage::Host, format!("the load ended early: {error}")))
}
