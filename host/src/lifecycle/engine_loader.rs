//! Loading: from a candidate to a validated servable.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::loader_traits::{Loader, ValidatedVersion};
use super::migrate::{self, Validated, validation_transaction};
use super::table_keys;
use super::validation::{ParseGolden, validate};
use crate::blocking;
use crate::capability::http::{Egress, HttpGrant, TlsRoots};
use crate::capability::{ConfigValues, Grants, KeyValueGrant, Level, LogLine, LogSink, Sidecars};
use crate::database::{Databases, ValidationTransaction};
use crate::engine::compile::{
    CompileConfig, Compiler, InputFile, InputSource, Job, LoadLimits, Role, StorageLeft,
};
use crate::engine::{
    ArtifactKey, ArtifactStore, Code, Engine, EngineConfig, GuestThreads, SharedCodes, Template,
    TenantArtifacts, write_error,
};
use crate::model::{LoadError, ModelId, ModelSettings, Origin, Stage, TenantName};
use crate::mutex::lock;
use crate::repository::{Candidate, ComponentSource, Digest, ModelFile};
use crate::servable::{InstanceFactory, Servable, ServableHandle, ServableMetrics, Sessions};
use crate::store::Stores;
use crate::tenant::{LogDecision, LogEntry, SlotRequest, Slots, Tenant, Tenants, Workers};

/// The limits of a load, and the parts of the host that a load uses.
#[derive(Clone)]
pub struct LoaderConfig {
    /// The engine's configuration. The compile process must build the same engine.
    pub engine: EngineConfig,
    /// Limits of a compile process, and of a guest's `load`.
    pub compile: CompileConfig,
    /// TLS root certificates for the models' outgoing calls.
    pub tls_roots: TlsRoots,
    /// Sessions, tasks and key-value data of the tenants.
    pub stores: Stores,
    /// The tenants' databases.
    pub databases: Databases,
    /// Threads for host work.
    pub workers: Workers,
    /// The configured tenants, whose artifacts are kept.
    pub tenants: Tenants,
}

/// Longest duration of warm-up and golden requests together. Compiling has limits of its own;
/// waiting for other loads has none.
const VALIDATION_DEADLINE: Duration = Duration::from_secs(900);

/// Artifacts that are read or written at the same time. Such an operation waits for nothing else.
const MAX_FILE_OPERATIONS: usize = 16;

/// Time for which an artifact is kept although no version uses it, so that a rollback does not
/// compile.
const MAX_UNUSED_AGE: Duration = Duration::from_secs(24 * 3600);

/// Held while an artifact is made.
type ArtifactLock = Arc<tokio::sync::Mutex<()>>;

/// Turns candidates into servables.
pub struct EngineLoader {
    config: LoaderConfig,
    engine: Engine,
    fingerprint: String,
    store: ArtifactStore,
    compiler: Compiler,
    threads: Arc<GuestThreads>,
    sessions: Sessions,
    metrics: ServableMetrics,
    parse_golden: ParseGolden,
    /// Permits to read or write an artifact.
    file_operations: Semaphore,
    /// One HTTP client for each tenant, made at its first use.
    egress: Mutex<HashMap<TenantName, Egress>>,
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

impl EngineLoader {
    /// Makes a loader that compiles with `compiler` and keeps artifacts in `store`.
    #[allow(clippy::too_many_arguments)] // Each is a part of the host that others use as well.
    pub fn new(
        config: LoaderConfig,
        engine: Engine,
        store: ArtifactStore,
        compiler: Compiler,
        threads: Arc<GuestThreads>,
        sessions: Sessions,
        metrics: ServableMetrics,
        parse_golden: ParseGolden,
    ) -> Self {
        EngineLoader {
            config,
            fingerprint: engine.fingerprint(),
            engine,
            store,
            compiler,
            threads,
            sessions,
            metrics,
            parse_golden,
            file_operations: Semaphore::new(MAX_FILE_OPERATIONS),
            egress: Mutex::default(),
            loaded_code: Mutex::default(),
            shared_codes: Arc::default(),
            compiled: Mutex::default(),
            artifact_locks: Mutex::default(),
        }
    }

    /// Loads a candidate and validates it. Calls `progress` at the start of each stage.
    pub async fn load_with_progress(
        &self,
        tenant: &Arc<Tenant>,
        candidate: &Candidate,
        progress: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<Validated, LoadError> {
        let _turn = tenant.acquire_load().await;
        let settings = Arc::new(effective_settings(tenant, candidate)?);
        let template = self.prepare(tenant, candidate, progress).await?;
        let id = model_id(tenant, candidate);
        let digest = candidate.digest.to_string();
        let factory = InstanceFactory::new(
            template,
            self.threads.clone(),
            tenant.clone(),
            settings.limits.clone(),
        );
        let (servable, drained) =
            Servable::new(id, digest, settings, factory, &self.sessions, &self.metrics);

        if let Some(line) = table_keys::warning(servable.metadata()) {
            log_sink(tenant, servable.id())(line);
        }

        let transaction = validation_transaction(&servable);
        let validation = self.validate(&servable, candidate, transaction.as_ref(), progress);
        let outcome = tokio::time::timeout(VALIDATION_DEADLINE, validation).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let reason =
                format!("warm-up and golden requests took longer than {VALIDATION_DEADLINE:?}");
            Err(LoadError::new(Stage::Golden, reason))
        });

        if let Some(transaction) = &transaction {
            transaction.finish(outcome.is_ok()).await;
        }
        outcome.map(|()| Validated::new(servable, drained, transaction))
    }

    /// The threads for host work.
    pub fn workers(&self) -> &Workers {
        &self.config.workers
    }

    async fn validate(
        &self,
        servable: &ServableHandle,
        candidate: &Candidate,
        transaction: Option<&Arc<ValidationTransaction>>,
        progress: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<(), LoadError> {
        if let Some(transaction) = transaction {
            migrate::migrate(servable, transaction, progress).await?;
        }
        let golden = candidate.golden.as_ref();
        validate(servable, golden, self.parse_golden, self.workers(), transaction, progress).await
    }

    /// Compiles, loads and links a candidate without validating it. Returns the template of its
    /// instances. Calls `progress` at the start of each stage.
    pub async fn prepare(
        &self,
        tenant: &Arc<Tenant>,
        candidate: &Candidate,
        progress: &(dyn Fn(Stage) + Send + Sync),
    ) -> Result<Template, LoadError> {
        let settings = effective_settings(tenant, candidate)?;
        let log = log_sink(tenant, &model_id(tenant, candidate));
        let code = self.code(tenant, candidate, progress, &log).await?;

        self.check_slots(tenant, code.room())?;
        let config =
            ConfigValues::new(settings.capabilities.config.clone(), candidate.live.values.clone());
        let http = self.http_grant(tenant, &settings.capabilities.http);
        let key_value = settings.capabilities.key_value.then(|| self.key_value_grant(tenant));
        let sql = settings.capabilities.sql.then(|| self.config.databases.for_tenant(tenant));
        let kernels = settings.capabilities.kernels;
        let sidecars = Sidecars::default();
        let grants = Grants { config, sidecars, http, key_value, sql, kernels, log };

        let runtime = candidate.runtime();
        Ok(Template::new(code, grants, runtime, settings.limits.memory, settings.limits.response))
    }

    /// The engine's slots, shared by all tenants.
    pub fn slots(&self) -> &Arc<Slots> {
        self.engine.slots()
    }

    /// Fails if the tenant can never hold that many slots at once.
    fn check_slots(&self, tenant: &Tenant, room: &SlotRequest) -> Result<(), LoadError> {
        let needed = room.count();
        let most = self.slots().max_for_tenant(tenant.name());
        let all = self.config.engine.instances;
        if u64::from(needed) <= most {
            return Ok(());
        }

        let reason = format!(
            "an instance needs {needed} slots for its memories and tables, and this tenant can have \
             at most {most} of the {all} of engine.instances; raise engine.instances in wardian.toml"
        );
        Err(LoadError::new(Stage::Quota, reason))
    }

    /// The grant to call these origins with the tenant's client; `None` if there are none.
    fn http_grant(&self, tenant: &Arc<Tenant>, origins: &[Origin]) -> Option<Arc<HttpGrant>> {
        if origins.is_empty() {
            return None;
        }

        let mut clients = lock(&self.egress);
        let egress = clients
            .entry(tenant.name().clone())
            .or_insert_with(|| Egress::new(&self.config.tls_roots))
            .clone();
        Some(Arc::new(HttpGrant::new(egress, origins.to_vec(), tenant.clone())))
    }

    /// The grant to use the tenant's key-value store.
    fn key_value_grant(&self, tenant: &Arc<Tenant>) -> Arc<KeyValueGrant> {
        Arc::new(KeyValueGrant::new(&self.config.stores, tenant.clone()))
    }

    /// The candidate's code: already in use, from the artifact store, or compiled now.
    async fn code(
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
        output: std::path::PathBuf,
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
            deadline_ms: self.config.compile.load_deadline.as_millis() as u64,
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
            limits: self.config.compile.limits.clone(),
            max_memory: self.config.engine.max_memory,
            stack: self.config.engine.stack,
        }
    }

    async fn collect(self: Arc<Self>, tenant: TenantName, wanted: Vec<Candidate>) {
        lock(&self.loaded_code).retain(|_, code| code.strong_count() > 0);
        lock(&self.artifact_locks).retain(|_, lock| Arc::strong_count(lock) > 1);
        self.shared_codes.forget_unused();

        let removed = run_blocking(move || {
            let keys = wanted.iter().map(|candidate| self.artifact_key(&tenant, candidate));
            let keep: HashSet<_> = keys.collect();
            let configured = self.config.tenants.names();
            self.store.collect(&tenant, &configured, &keep, MAX_UNUSED_AGE)
        });
        match removed.await {
            Ok(Ok(removed)) if removed > 0 => tracing::info!(removed, "collected unused artifacts"),
            Ok(Err(error)) => tracing::warn!(%error, "cannot collect unused artifacts"),
            _ => {}
        }
    }
}

impl Loader for EngineLoader {
    fn load<'a>(
        &'a self,
        tenant: &'a Arc<Tenant>,
        candidate: &'a Candidate,
    ) -> BoxFuture<'a, Result<Box<dyn ValidatedVersion>, LoadError>> {
        Box::pin(async move {
            let validated = self.load_with_progress(tenant, candidate, &|_| {}).await?;
            Ok(Box::new(validated) as Box<dyn ValidatedVersion>)
        })
    }

    fn collect_artifacts(
        self: Arc<Self>,
        tenant: TenantName,
        wanted: Vec<Candidate>,
    ) -> BoxFuture<'static, ()> {
        Box::pin(self.collect(tenant, wanted))
    }

    fn forget_metrics(&self, id: &ModelId) {
        self.metrics.forget(id);
    }

    fn forget_tenant(&self, tenant: &TenantName) {
        lock(&self.egress).remove(tenant);
        self.config.stores.remove(tenant);
        self.config.databases.remove(tenant);
    }
}

/// The candidate's settings within the ceilings of its tenant. Fails with `Stage::Quota` if they
/// exceed them, or if the tenant may not use the candidate's runtime.
fn effective_settings(tenant: &Tenant, candidate: &Candidate) -> Result<ModelSettings, LoadError> {
    let settings = &*candidate.settings;
    let allowed = tenant.settings();
    let too_much = |reason| LoadError::new(Stage::Quota, reason);
    let limits = allowed.ceilings.apply(&settings.limits).map_err(too_much)?;
    let streaming = allowed.ceilings.apply_to_streaming(&settings.streaming).map_err(too_much)?;

    allowed.grants.http.check(&settings.capabilities.http).map_err(too_much)?;
    let deferred = allowed.ceilings.apply_to_deferred(&settings.deferred).map_err(too_much)?;
    if let Some(model_file) = candidate.component.model_file() {
        allowed.runtimes.check(model_file.runtime.name()).map_err(too_much)?;
    }

    Ok(ModelSettings { limits, streaming, deferred, ..settings.clone() })
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

fn model_id(tenant: &Tenant, candidate: &Candidate) -> ModelId {
    ModelId {
        tenant: tenant.name().clone(),
        name: candidate.name.clone(),
        version: candidate.version,
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    blocking::run(work)
        .await
        .map_err(|error| LoadError::new(Stage::Host, format!("the load ended early: {error}")))
}

/// Writes a guest's log lines to its tenant's log and to the host's.
fn log_sink(tenant: &Arc<Tenant>, id: &ModelId) -> LogSink {
    let tenant = tenant.clone();
    let id = id.clone();
    Arc::new(move |line: LogLine| {
        let entry = LogEntry {
            time: SystemTime::now(),
            model: id.name.clone(),
            version: id.version,
            request_id: line.request_id.to_string(),
            level: line.level.name(),
            context: line.context,
            message: line.message,
        };
        match tenant.log().push(&entry) {
            LogDecision::Write => log_guest_line(&id, line.level, &entry),
            LogDecision::DropAndReport => {
                tracing::warn!(tenant = %id.tenant, "its guests exceed the rate limit of the log; lines are dropped")
            }
            LogDecision::Drop => {}
        }
    })
}

fn log_guest_line(id: &ModelId, level: Level, entry: &LogEntry) {
    let ModelId { tenant, name, version } = id;
    let LogEntry { request_id, context, message, .. } = entry;

    macro_rules! write {
        ($level:ident) => {
            tracing::$level!(
                target: "wardian::guest", %tenant, model = %name, %version, request_id, context, "{message}"
            )
        };
    }

    match level {
        Level::Trace => write!(trace),
        Level::Debug => write!(debug),
        Level::Info => write!(info),
        Level::Warn => write!(warn),
        Level::Error => write!(error),
    }
}
