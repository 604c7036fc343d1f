//! The interface to the tenants' tasks: commands in, events in, replies out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::sync::{mpsc, oneshot, watch};

use super::error::{CommandError, REFRESH_TIMEOUT, RefreshError};
use super::event::{Event, Phase};
use super::index_entry::IndexEntry;
use super::loader_traits::Loader;
use super::metrics::LifecycleMetrics;
use super::pruner::{Pruner, SourcePruner};
use super::readiness::Readiness;
use super::reconciler::{Reconciler, ReconcilerParts};
use super::tenant_record::TenantRecord;
use crate::model::{InferError, ModelName, TenantName};
use crate::registry::Registry;
use crate::repository::{AspiredVersions, Degraded, Source};
use crate::servable::{InterceptorChain, InterceptorChainHandle};
use crate::tenant::Tenant;
use crate::{blocking, essential};

/// The parts that a manager works with.
pub struct ManagerParts {
    /// Loads candidates.
    pub loader: Arc<dyn Loader>,
    /// The registry in which serving versions are published.
    pub registry: Registry,
    /// The tenants at the start, each with the source of its candidates.
    pub sources: Vec<(Arc<Tenant>, Source)>,
    /// Set once every wanted model has been tried, or `ready_timeout` has passed.
    pub ready: Arc<AtomicBool>,
    /// Longest time for which one tenant's models delay the server's readiness.
    pub ready_timeout: Duration,
    /// True if old versions are deleted from repositories where `prune` asks for it.
    pub prune: bool,
}

/// The handle to the tenants' tasks. A clone is shallow; the tasks end when the last clone is
/// dropped or by [`stop`](Manager::stop).
#[derive(Clone)]
pub struct Manager {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) loader: Arc<dyn Loader>,
    pub(super) registry: Registry,
    metrics: LifecycleMetrics,
    readiness: Arc<Readiness>,
    prune: bool,
    tenants: ArcSwap<HashMap<TenantName, Arc<ManagedTenant>>>,
    /// Watched by every task until it ends, those of removed tenants included.
    phase: watch::Sender<Phase>,
}

/// The manager's handle to one tenant's task.
struct ManagedTenant {
    tenant: Arc<Tenant>,
    /// The event queue of the tenant's task.
    events: mpsc::Sender<Event>,
    source: Arc<ArcSwap<Source>>,
    degraded: Arc<ArcSwapOption<Degraded>>,
    /// The interceptor chain of the tenant's models.
    interceptors: InterceptorChainHandle,
}

/// Capacity of one task's event queue. Senders wait in order, so no event is lost.
const EVENT_QUEUE_CAPACITY: usize = 256;

impl Manager {
    /// Starts a task for every tenant and one for its source.
    pub fn start(parts: ManagerParts, metrics: &mut MetricsRegistry) -> Manager {
        let ManagerParts { loader, registry, sources, ready, ready_timeout, prune } = parts;
        let names = sources.iter().map(|(tenant, _)| tenant.name().clone());
        let readiness = Arc::new(Readiness::new(ready, names));
        let metrics = LifecycleMetrics::register(metrics);
        let tenants = ArcSwap::default();
        let phase = watch::Sender::new(Phase::Running);
        let shared = Shared { loader, registry, metrics, readiness, prune, tenants, phase };
        let manager = Manager { shared: Arc::new(shared) };

        sources.into_iter().for_each(|(tenant, source)| manager.start_tenant(tenant, source));
        manager.shared.readiness.clone().expire_after(ready_timeout);
        manager
    }

    /// Starts to serve a tenant, or serves a tenant's models from another repository from now on.
    pub async fn add_tenant(&self, tenant: Arc<Tenant>, source: Source) {
        let managed = self.managed_tenant(tenant.name());
        match managed.filter(|managed| Arc::ptr_eq(&managed.tenant, &tenant)) {
            Some(managed) => {
                let event = Event::SourceReplaced { source: source.number() };
                let _ = managed.events.send(event).await;
                managed.replace_source(source);
            }
            None => self.start_tenant(tenant, source),
        }
    }

    /// Removes a tenant. Its models drain.
    pub async fn remove_tenant(&self, tenant: TenantName) {
        let Some(managed) = self.managed_tenant(&tenant) else { return };

        self.shared.update_tenants(|tenants| drop(tenants.remove(&tenant)));
        self.shared.loader.forget_tenant(&tenant);

        let (reply, done) = oneshot::channel();
        if managed.events.send(Event::TenantRemoved { reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Starts a tenant's task.
    fn start_tenant(&self, tenant: Arc<Tenant>, source: Source) {
        let Shared { loader, registry, metrics, readiness, prune, phase, .. } = &*self.shared;
        let (events, inbox) = mpsc::channel(EVENT_QUEUE_CAPACITY);
        let degraded = Arc::<ArcSwapOption<Degraded>>::default();
        let name = tenant.name().clone();
        let record = TenantRecord::new(tenant.clone(), source.number(), metrics.for_tenant(&name));
        let interceptors = record.interceptors.chain_handle().clone();
        let source = Arc::new(source);
        let present = Arc::new(ArcSwap::new(source.clone()));
        let pruner = || Arc::new(SourcePruner::new(&present)) as Arc<dyn Pruner>;
        let reconciler = Reconciler::new(ReconcilerParts {
            registry: registry.clone(),
            loader: loader.clone(),
            pruner: prune.then(pruner),
            readiness: readiness.clone(),
            events: events.downgrade(),
            record,
            degraded: degraded.clone(),
        });
        essential::spawn("manager", reconciler.run(inbox, phase.subscribe()));

        let managed =
            Arc::new(ManagedTenant { tenant, events, source: present, degraded, interceptors });
        managed.subscribe_to(&source);
        self.shared.update_tenants(|tenants| drop(tenants.insert(name.clone(), managed.clone())));
    }

    /// The index entries of a tenant's models, sorted by name. Empty once the server stops.
    pub async fn index(&self, tenant: &TenantName) -> Arc<Vec<IndexEntry>> {
        let (reply, answer) = oneshot::channel();
        let sent = self.send(tenant, Event::Index { reply }).await;
        if sent.is_ok() { answer.await.unwrap_or_default() } else { Arc::default() }
    }

    /// The reason for which the serving versions may differ from the tenant's repository; `None` if
    /// they do not.
    pub fn degraded(&self, tenant: &TenantName) -> Option<Degraded> {
        let managed = self.managed_tenant(tenant)?;
        // The reason of a mirror's failure is more useful than the absence of the mirror.
        let mirror = managed.source.load().degraded_reason().map(Degraded::from);
        mirror.or_else(|| managed.degraded.load().as_deref().cloned())
    }

    /// Scans the repository now. Fails with `Degraded` if the scan did not cover all of it, and
    /// with `TimedOut` if it takes longer than a minute.
    pub async fn refresh(&self, tenant: &TenantName) -> Result<(), RefreshError> {
        let source = self.source(tenant)?;
        let refreshed = tokio::time::timeout(REFRESH_TIMEOUT, source.refresh()).await;
        let fault =
            refreshed.map_err(|_| RefreshError::TimedOut)?.map_err(|_| CommandError::Stopping)?;
        source.rescan().await.map_err(|_| CommandError::Stopping)?;
        fault.map_or(Ok(()), |reason| Err(RefreshError::Degraded(reason)))
    }

    /// The reason for which the tenant's interceptors block all calls; `None` if they do not.
    pub fn blocked_reason(&self, tenant: &TenantName) -> Option<String> {
        match self.interceptor_chain(tenant).check_open() {
            Err(InferError::NotReady(reason)) => Some(reason),
            _ => None,
        }
    }

    /// The interceptor chain of a tenant, as of now.
    pub(super) fn interceptor_chain(&self, tenant: &TenantName) -> Arc<InterceptorChain> {
        self.managed_tenant(tenant).map(|managed| managed.interceptors.chain()).unwrap_or_default()
    }

    /// Scans the repository now, retries failed versions, and waits until the model serves or has
    /// failed. Fails with `Failed` if its newest content does not serve then.
    pub async fn load(&self, tenant: &TenantName, name: &ModelName) -> Result<(), CommandError> {
        // A model in the mirror can be loaded even if the mirror cannot be refreshed.
        let _ = self.refresh(tenant).await;
        let aspired = self.source(tenant)?.rescan().await.map_err(|_| CommandError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        self.send(tenant, Event::Load { name: name.clone(), aspired, reply }).await?;
        answer.await.map_err(|_| CommandError::Stopping)?
    }

    /// Drains a model and keeps it unloaded until it is loaded on request. Returns before it has
    /// drained. Unloading a model that is not loaded succeeds.
    pub async fn unload(&self, tenant: &TenantName, name: &ModelName) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        self.send(tenant, Event::Unload { name: name.clone(), reply }).await?;
        answer.await.map_err(|_| CommandError::Stopping)?
    }

    /// Stops loading and replacing versions. Serving versions stay.
    pub fn freeze(&self) {
        self.enter_phase(Phase::Frozen);
    }

    /// Unloads everything and waits until it is gone.
    pub async fn stop(&self) {
        self.enter_phase(Phase::Stopping);
        // Each task holds a receiver until it ends.
        self.shared.phase.closed().await;
    }

    fn enter_phase(&self, phase: Phase) {
        self.shared.phase.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    fn managed_tenant(&self, tenant: &TenantName) -> Option<Arc<ManagedTenant>> {
        self.shared.tenants.load().get(tenant).cloned()
    }

    pub(super) fn source(&self, tenant: &TenantName) -> Result<Arc<Source>, CommandError> {
        self.managed_tenant(tenant)
            .map(|managed| managed.source.load_full())
            .ok_or(CommandError::NotFound)
    }

    pub(super) async fn send(&self, tenant: &TenantName, event: Event) -> Result<(), CommandError> {
        let managed = self.managed_tenant(tenant).ok_or(CommandError::NotFound)?;
        managed.events.send(event).await.map_err(|_| CommandError::Stopping)
    }
}

impl Shared {
    fn update_tenants(&self, change: impl Fn(&mut HashMap<TenantName, Arc<ManagedTenant>>)) {
        self.tenants.rcu(|tenants| {
            let mut tenants = HashMap::clone(tenants);
            change(&mut tenants);
            tenants
        });
    }
}

impl ManagedTenant {
    /// Replaces the tenant's source.
    fn replace_source(&self, source: Source) {
        let source = Arc::new(source);
        self.subscribe_to(&source);
        self.source.store(source);
    }

    fn subscribe_to(&self, source: &Source) {
        tokio::spawn(forward_announcements(source.subscribe(), self.events.clone()));
        if let Ok(uploads) = source.uploads().cloned() {
            drop(blocking::run(move || uploads.remove_abandoned()));
        }
    }
}

/// Forwards the announcements of a source to a task until either ends.
async fn forward_announcements(
    mut source: watch::Receiver<Arc<AspiredVersions>>,
    events: mpsc::Sender<Event>,
) {
    loop {
        let aspired = source.borrow_and_update().clone();
        if events.send(Event::Aspired(aspired)).await.is_err() || source.changed().await.is_err() {
            return;
        }
    }
}
