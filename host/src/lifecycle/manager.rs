//! What others see of the tasks that decide what serves: commands in, events in, answers out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::sync::{mpsc, oneshot, watch};

use super::index::IndexEntry;
use super::loader::Loader;
use super::metrics::Metrics;
use super::readiness::Readiness;
use super::record::Loaded;
use super::task::{Task, TaskParts};
use super::tenants::TenantRecord;
use crate::essential;
use crate::model::{InferError, LoadError, ModelName, TenantName, Version};
use crate::registry::Registry;
use crate::repository::{Aspired, Degraded, Digest, Source};
use crate::servable::{Chain, Wrapping};
use crate::tenant::Tenant;

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The repository holds no such model.
    #[error("there is no such model in the repository")]
    NotFound,
    /// What the repository holds cannot serve.
    #[error("{0}")]
    Failed(LoadError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// Why a repository was not refreshed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// It could not be, or not whole.
    #[error("{0}")]
    Degraded(String),
    /// It is under way still.
    #[error("the refresh takes longer than {} s and goes on", REFRESH_PATIENCE.as_secs())]
    TooSlow,
    /// It cannot be now.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// How long somebody waits for a refresh. Fetching a large model takes minutes, and goes on without
/// them.
const REFRESH_PATIENCE: Duration = Duration::from_secs(60);

/// What a manager works with.
pub struct ManagerParts {
    /// Makes candidates serve.
    pub loader: Arc<Loader>,
    /// Where what serves is published.
    pub registry: Registry,
    /// The tenants there are at the start, each with the source of its candidates.
    pub sources: Vec<(Arc<Tenant>, Source)>,
    /// Set once every wanted model has been tried, or the time for that is over.
    pub ready: Arc<AtomicBool>,
    /// How long one tenant's models may keep the server from being ready.
    pub ready_timeout: Duration,
}

/// Tells the tenants' tasks what to do, and what they have done. A clone is shallow; the tasks end
/// when the last is gone or when told to [`stop`](Manager::stop).
#[derive(Clone)]
pub struct Manager {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) loader: Arc<Loader>,
    registry: Registry,
    metrics: Metrics,
    readiness: Arc<Readiness>,
    tenants: ArcSwap<HashMap<TenantName, Arc<Managed>>>,
    /// Every task watches it, those of tenants that are gone included, until it ends.
    phase: watch::Sender<Phase>,
}

/// What the server as a whole is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// To serve.
    Open,
    /// To stop soon: what serves goes on, and nothing comes.
    Closed,
    /// To unload everything.
    Stopping,
}

/// A tenant whose models are served, as others see it.
struct Managed {
    tenant: Arc<Tenant>,
    /// The mailbox of its task.
    events: mpsc::Sender<Event>,
    source: ArcSwap<Source>,
    degraded: Arc<ArcSwapOption<Degraded>>,
    /// What wraps its models.
    wrapping: Wrapping,
}

/// Everything a tenant's task wakes up for.
pub(super) enum Event {
    /// A source has announced what it sees.
    Aspired(Arc<Aspired>),
    /// The tenant has another repository, which the source of that number watches.
    Moved { source: u64 },
    /// The tenant is no more.
    Dismissed { reply: oneshot::Sender<()> },
    /// A version was taken out of service because it keeps failing.
    Tripped { name: ModelName, version: Version, digest: Digest },
    /// A version has shown that it can serve, and asks whether it is to go live.
    Proved { name: ModelName, version: Version, reply: oneshot::Sender<bool> },
    /// A load has ended; with nothing if the version was not to go live.
    Loaded {
        name: ModelName,
        version: Version,
        digest: Digest,
        outcome: Result<Option<Loaded>, LoadError>,
    },
    /// A version has answered its last request and is gone.
    Drained { name: ModelName, version: Version },
    /// Somebody wants a model loaded, and has had the repository looked at for it.
    Load {
        name: ModelName,
        aspired: Arc<Aspired>,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Somebody has put a version into the repository, or removed one, and wants to know what
    /// becomes of it.
    Follow {
        name: ModelName,
        version: Version,
        aspired: Arc<Aspired>,
        reply: oneshot::Sender<Option<IndexEntry>>,
    },
    /// Somebody wants a model unloaded.
    Unload { name: ModelName, reply: oneshot::Sender<Result<(), CommandError>> },
    /// Somebody wants to know how things are.
    Index { reply: oneshot::Sender<Arc<Vec<IndexEntry>>> },
}

/// Events that may wait for one tenant's task. Senders wait in turn, so nothing is lost.
const MAX_EVENTS: usize = 256;

impl Manager {
    /// Starts a task for every tenant, and one for its source.
    pub fn start(parts: ManagerParts, metrics: &mut MetricsRegistry) -> Manager {
        let ManagerParts { loader, registry, sources, ready, ready_timeout } = parts;
        let names = sources.iter().map(|(tenant, _)| tenant.name().clone());
        let readiness = Arc::new(Readiness::new(ready, names));
        let metrics = Metrics::register(metrics);
        let (tenants, phase) = (ArcSwap::default(), watch::Sender::new(Phase::Open));
        let shared =
            Shared { loader, registry, metrics, readiness: readiness.clone(), tenants, phase };
        let manager = Manager { shared: Arc::new(shared) };

        sources.into_iter().for_each(|(tenant, source)| manager.begin(tenant, source));
        tokio::spawn(async move {
            tokio::time::sleep(ready_timeout).await;
            readiness.stop_waiting();
        });
        manager
    }

    /// Serves another tenant's models too, or the same tenant's from another repository.
    pub async fn adopt(&self, tenant: Arc<Tenant>, source: Source) {
        match self.managed(tenant.name()).filter(|managed| Arc::ptr_eq(&managed.tenant, &tenant)) {
            Some(managed) => {
                let moved = Event::Moved { source: source.number() };
                let _ = managed.events.send(moved).await;
                managed.watch(source);
            }
            None => self.begin(tenant, source),
        }
    }

    /// Serves a tenant's models no more: they drain.
    pub async fn dismiss(&self, tenant: TenantName) {
        let Some(managed) = self.managed(&tenant) else { return };
        self.shared.change_tenants(|tenants| drop(tenants.remove(&tenant)));
        self.shared.loader.forget_tenant(&tenant);
        let (reply, done) = oneshot::channel();
        if managed.events.send(Event::Dismissed { reply }).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Starts a tenant's task.
    fn begin(&self, tenant: Arc<Tenant>, source: Source) {
        let Shared { loader, registry, metrics, readiness, phase, .. } = &*self.shared;
        let (events, inbox) = mpsc::channel(MAX_EVENTS);
        let (degraded, name) = (Arc::<ArcSwapOption<Degraded>>::default(), tenant.name().clone());
        let record = TenantRecord::new(tenant.clone(), source.number(), metrics.of(&name));
        let wrapping = record.interceptors.wrapping().clone();
        let task = Task::new(TaskParts {
            registry: registry.clone(),
            loader: loader.clone(),
            readiness: readiness.clone(),
            events: events.downgrade(),
            record,
            degraded: degraded.clone(),
        });
        essential::spawn("manager", task.run(inbox, phase.subscribe()));

        let source = Arc::new(source);
        let managed =
            Arc::new(Managed { tenant, events, source: source.clone().into(), degraded, wrapping });
        managed.follow(&source);
        self.shared.change_tenants(|tenants| drop(tenants.insert(name.clone(), managed.clone())));
    }

    /// What there is to say of each version of a tenant's models, by name. Empty once the server
    /// stops.
    pub async fn index(&self, tenant: &TenantName) -> Arc<Vec<IndexEntry>> {
        let (reply, answer) = oneshot::channel();
        let asked = self.send(tenant, Event::Index { reply }).await;
        if asked.is_ok() { answer.await.unwrap_or_default() } else { Arc::default() }
    }

    /// Why what serves is not what a tenant's repository holds at present, if so.
    pub fn degraded(&self, tenant: &TenantName) -> Option<Degraded> {
        let managed = self.managed(tenant)?;
        // Where there is a mirror, that it is missing is no news beside why.
        let trouble = managed.source.load().trouble().map(Degraded::from);
        trouble.or_else(|| managed.degraded.load().as_deref().cloned())
    }

    /// Looks at the repository now. Fails with why what is known of it is not what it holds.
    pub async fn refresh(&self, tenant: &TenantName) -> Result<(), RefreshError> {
        let source = self.source(tenant)?;
        let refreshed = tokio::time::timeout(REFRESH_PATIENCE, source.refresh()).await;
        let trouble =
            refreshed.map_err(|_| RefreshError::TooSlow)?.map_err(|_| CommandError::Stopping)?;
        source.rescan().await.map_err(|_| CommandError::Stopping)?;
        trouble.map_or(Ok(()), |why| Err(RefreshError::Degraded(why)))
    }

    /// Why no call of a tenant's may pass its interceptors at present, if none may.
    pub fn shut(&self, tenant: &TenantName) -> Option<String> {
        match self.chain(tenant).check_open() {
            Err(InferError::NotReady(reason)) => Some(reason),
            _ => None,
        }
    }

    /// What wraps a tenant's models now.
    pub(super) fn chain(&self, tenant: &TenantName) -> Arc<Chain> {
        self.managed(tenant).map(|managed| managed.wrapping.chain()).unwrap_or_default()
    }

    /// Looks at the repository now, tries again what failed, and waits until the model serves or
    /// has failed. Fails if its newest content does not serve then.
    pub async fn load(&self, tenant: &TenantName, name: &ModelName) -> Result<(), CommandError> {
        // What is mirrored can be loaded also if the mirror cannot be refreshed.
        let _ = self.refresh(tenant).await;
        let aspired = self.source(tenant)?.rescan().await.map_err(|_| CommandError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        self.send(tenant, Event::Load { name: name.clone(), aspired, reply }).await?;
        answer.await.map_err(|_| CommandError::Stopping)?
    }

    /// Lets a model drain, and keeps it unloaded until it is asked for again. Returns before it has
    /// drained. Unloading what is not loaded succeeds.
    pub async fn unload(&self, tenant: &TenantName, name: &ModelName) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        self.send(tenant, Event::Unload { name: name.clone(), reply }).await?;
        answer.await.map_err(|_| CommandError::Stopping)?
    }

    /// Loads and replaces nothing any more. What serves goes on.
    pub fn close(&self) {
        self.enter(Phase::Closed);
    }

    /// Unloads everything and waits until it is gone.
    pub async fn stop(&self) {
        self.enter(Phase::Stopping);
        // Each task holds a receiver until it ends.
        self.shared.phase.closed().await;
    }

    fn enter(&self, phase: Phase) {
        self.shared.phase.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    fn managed(&self, tenant: &TenantName) -> Option<Arc<Managed>> {
        self.shared.tenants.load().get(tenant).cloned()
    }

    pub(super) fn source(&self, tenant: &TenantName) -> Result<Arc<Source>, CommandError> {
        self.managed(tenant).map(|managed| managed.source.load_full()).ok_or(CommandError::NotFound)
    }

    pub(super) async fn send(&self, tenant: &TenantName, event: Event) -> Result<(), CommandError> {
        let managed = self.managed(tenant).ok_or(CommandError::NotFound)?;
        managed.events.send(event).await.map_err(|_| CommandError::Stopping)
    }
}

impl Shared {
    fn change_tenants(&self, change: impl Fn(&mut HashMap<TenantName, Arc<Managed>>)) {
        self.tenants.rcu(|tenants| {
            let mut tenants = HashMap::clone(tenants);
            change(&mut tenants);
            tenants
        });
    }
}

impl Managed {
    /// Has its task hear of what another source sees.
    fn watch(&self, source: Source) {
        let source = Arc::new(source);
        self.follow(&source);
        self.source.store(source);
    }

    fn follow(&self, source: &Source) {
        tokio::spawn(announce(source.subscribe(), self.events.clone()));
        if let Ok(uploads) = source.uploads().cloned() {
            tokio::task::spawn_blocking(move || uploads.clear_leftovers());
        }
    }
}

/// Tells a task whatever a source announces, until there is no more of either.
async fn announce(mut source: watch::Receiver<Arc<Aspired>>, events: mpsc::Sender<Event>) {
    loop {
        let aspired = source.borrow_and_update().clone();
        if events.send(Event::Aspired(aspired)).await.is_err() || source.changed().await.is_err() {
            return;
        }
    }
}
