//! Loading: from a candidate to a validated servable.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::code_loader::CodeLoader;
use super::guest_log_sink::guest_log_sink;
use super::loader_traits::{Loader, ValidatedVersion};
use super::migrate::{self, Validated, validation_transaction};
use super::table_keys;
use super::validation::{ParseGolden, validate};
use crate::blocking;
use crate::capability::http::{HttpGrant, TenantClient, TlsRoots};
use crate::capability::{ConfigValues, Grants, KernelGrant, KeyValueGrant, Sidecars};
use crate::database::{Databases, ValidationTransaction};
use crate::engine::{GuestThreads, Template};
use crate::model::{
    LoadError, Metadata, ModelId, ModelRoutes, ModelSettings, Origin, Stage, TenantName,
};
use crate::mutex::lock;
use crate::repository::Candidate;
use crate::servable::{InstanceFactory, Servable, ServableHandle, ServableMetrics, Sessions};
use crate::store::Stores;
use crate::tenant::{Slots, Tenant, Tenants, Workers};

/// Compares the routes of a model with its metadata. Fails with the reason that one cannot work.
/// The parts of a request are mapped in the module `api`.
pub type CheckRoutes = fn(&Metadata, &ModelRoutes) -> Result<(), String>;

/// The parts of the host that a load uses.
#[derive(Clone)]
pub struct LoaderConfig {
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

/// Turns candidates into servables.
pub struct EngineLoader {
    config: LoaderConfig,
    code: Arc<CodeLoader>,
    threads: Arc<GuestThreads>,
    sessions: Sessions,
    metrics: ServableMetrics,
    parse_golden: ParseGolden,
    check_routes: CheckRoutes,
    /// One HTTP client for each tenant, made at its first use.
    http_clients: Mutex<HashMap<TenantName, TenantClient>>,
}

impl EngineLoader {
    /// Makes a loader that gets code from `code`.
    pub fn new(
        config: LoaderConfig,
        code: CodeLoader,
        threads: Arc<GuestThreads>,
        sessions: Sessions,
        metrics: ServableMetrics,
        parse_golden: ParseGolden,
        check_routes: CheckRoutes,
    ) -> Self {
        EngineLoader {
            config,
            code: Arc::new(code),
            threads,
            sessions,
            metrics,
            parse_golden,
            check_routes,
            http_clients: Mutex::default(),
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
            guest_log_sink(tenant, servable.id())(line);
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
        let log = guest_log_sink(tenant, &model_id(tenant, candidate));
        let code = self.code.load(tenant, candidate, progress, &log).await?;

        self.code.check_slots(tenant, code.room())?;
        let config =
            ConfigValues::new(settings.capabilities.config.clone(), candidate.live.values.clone());
        let http = self.http_grant(tenant, &settings.capabilities.http);
        let key_value = settings.capabilities.key_value.then(|| self.key_value_grant(tenant));
        let sql = settings.capabilities.sql.then(|| self.config.databases.for_tenant(tenant));
        let threads = settings.instances.threads as usize;
        let kernels = settings.capabilities.kernels;
        let kernels = kernels.then(|| KernelGrant::new(threads, self.workers().helpers()));
        let sidecars = Sidecars::default();
        let grants = Grants { config, sidecars, http, key_value, sql, kernels, log };

        let runtime = candidate.runtime();
        let template =
            Template::new(code, grants, runtime, settings.limits.memory, settings.limits.response);
        self.check_routes(candidate, &template).await?;

        Ok(template)
    }

    async fn check_routes(
        &self,
        candidate: &Candidate,
        template: &Template,
    ) -> Result<(), LoadError> {
        let refused = |reason| LoadError::new(Stage::Routes, reason);
        if candidate.settings.routes.is_empty() {
            return Ok(());
        }
        if candidate.name.is_interceptor() {
            let reason = "an interceptor has no routes; remove [[routes]] from its model.toml";
            return Err(refused(reason.to_owned()));
        }

        // Many names and a wide matrix take their time.
        let (check, template) = (self.check_routes, template.clone());
        let settings = candidate.settings.clone();
        let checked = blocking::run(move || check(template.metadata(), &settings.routes)).await;
        let ended = |error| LoadError::new(Stage::Host, format!("the load ended early: {error}"));
        checked.map_err(ended)?.map_err(refused)
    }

    /// The engine's slots, shared by all tenants.
    pub fn slots(&self) -> &Arc<Slots> {
        self.code.slots()
    }

    /// The grant to call these origins with the tenant's client; `None` if there are none.
    fn http_grant(&self, tenant: &Arc<Tenant>, origins: &[Origin]) -> Option<Arc<HttpGrant>> {
        if origins.is_empty() {
            return None;
        }

        let mut clients = lock(&self.http_clients);
        let client = clients
            .entry(tenant.name().clone())
            .or_insert_with(|| TenantClient::new(&self.config.tls_roots))
            .clone();
        Some(Arc::new(HttpGrant::new(client, origins.to_vec(), tenant.clone())))
    }

    /// The grant to use the tenant's key-value store.
    fn key_value_grant(&self, tenant: &Arc<Tenant>) -> Arc<KeyValueGrant> {
        Arc::new(KeyValueGrant::new(&self.config.stores, tenant.clone()))
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
        let code = self.code.clone();
        let configured = self.config.tenants.names();
        Box::pin(code.collect(tenant, wanted, configured))
    }

    fn forget_metrics(&self, id: &ModelId) {
        self.metrics.forget(id);
    }

    fn forget_tenant(&self, tenant: &TenantName) {
        lock(&self.http_clients).remove(tenant);
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

fn model_id(tenant: &Tenant, candidate: &Candidate) -> ModelId {
    ModelId {
        tenant: tenant.name().clone(),
        name: candidate.name.clone(),
        version: candidate.version,
    }
}
