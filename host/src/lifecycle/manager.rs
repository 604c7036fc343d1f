//! What others see of the task that decides what serves: commands in, events in, answers out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::sync::{mpsc, oneshot};

use super::index::IndexEntry;
use super::loader::Loader;
use super::record::Loaded;
use super::task::Task;
use crate::essential;
use crate::model::{InferError, LoadError, ModelName, TenantName, Version};
use crate::registry::Registry;
use crate::repository::{Aspired, Digest, Source};
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

/// How long somebody waits for a refresh. Fetching a large model takes minutes, and goes on without them.
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

/// Tells the manager's task what to do, and what it has done. A clone is shallow; the task ends when
/// the last is gone or when told to [`stop`](Manager::stop).
#[derive(Clone)]
pub struct Manager {
    events: mpsc::Sender<Event>,
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) loader: Arc<Loader>,
    pub(super) sources: ArcSwap<HashMap<TenantName, Arc<Source>>>,
    pub(super) degraded: ArcSwap<HashMap<TenantName, String>>,
    /// What wraps each tenant's models.
    pub(super) wrappings: ArcSwap<HashMap<TenantName, Wrapping>>,
}

/// Everything the manager wakes up for.
pub(super) enum Event {
    /// A source has announced what it sees.
    Aspired(Arc<Aspired>),
    /// There is a new tenant, or an old one has another repository.
    Adopt { tenant: Arc<Tenant>, source: Source },
    /// A tenant is no more.
    Dismiss { tenant: TenantName },
    /// A version was taken out of service because it keeps failing.
    Tripped { key: Key, version: Version, digest: Digest },
    /// A version of that tenant's has shown that it can serve, and asks whether it is to go live.
    Proved { tenant: Arc<Tenant>, key: Key, version: Version, reply: oneshot::Sender<bool> },
    /// A load has ended, for that tenant; with nothing if the version was not to go live.
    Loaded {
        tenant: Arc<Tenant>,
        key: Key,
        version: Version,
        digest: Digest,
        outcome: Result<Option<Loaded>, LoadError>,
    },
    /// What made a load fail may have passed.
    Retry { key: Key, version: Version },
    /// The server has been started so long ago that it does not wait for slow tenants any more.
    Overdue,
    /// A version has answered its last request and is gone.
    Drained { key: Key, version: Version },
    /// Somebody wants a model loaded, and has had the repository looked at for it.
    Load { key: Key, aspired: Arc<Aspired>, reply: oneshot::Sender<Result<(), CommandError>> },
    /// Somebody has put a version into the repository, or removed one, and wants to know what becomes of it.
    Follow { key: Key, version: Version, aspired: Arc<Aspired>, reply: oneshot::Sender<Option<IndexEntry>> },
    /// Somebody wants a model unloaded.
    Unload { key: Key, reply: oneshot::Sender<Result<(), CommandError>> },
    /// Somebody wants to know how things are.
    Index { tenant: TenantName, reply: oneshot::Sender<Vec<IndexEntry>> },
    /// The server is about to stop: what serves goes on, and nothing comes.
    Close,
    /// The server is stopping: everything is to be unloaded.
    Stop { reply: oneshot::Sender<()> },
}

pub(super) type Key = (TenantName, ModelName);

/// Events that may wait. Senders wait in turn, so nothing is lost.
const MAX_EVENTS: usize = 256;

impl Manager {
    /// Starts the manager's task, and one for every source.
    pub fn start(parts: ManagerParts, metrics: &mut MetricsRegistry) -> Manager {
        let (events, inbox) = mpsc::channel(MAX_EVENTS);
        let ManagerParts { loader, registry, sources, ready, ready_timeout } = parts;
        let (sources_of, degraded, wrappings) = Default::default();
        let shared = Arc::new(Shared { loader, sources: sources_of, degraded, wrappings });
        let mut task = Task::new(registry, ready, shared.clone(), events.downgrade(), metrics);
        sources.into_iter().for_each(|(tenant, source)| task.adopt(tenant, source));
        essential::spawn("manager", task.run(inbox));
        let overdue = events.downgrade();
        tokio::spawn(async move {
            tokio::time::sleep(ready_timeout).await;
            if let Some(events) = overdue.upgrade() {
                let _ = events.send(Event::Overdue).await;
            }
        });
        Manager { events, shared }
    }

    /// Serves another tenant's models too, or the same tenant's from another repository.
    pub async fn adopt(&self, tenant: Arc<Tenant>, source: Source) {
        let _ = self.send(Event::Adopt { tenant, source }).await;
    }

    /// Serves a tenant's models no more: they drain.
    pub async fn dismiss(&self, tenant: TenantName) {
        let _ = self.send(Event::Dismiss { tenant }).await;
    }

    /// What there is to say of each version of a tenant's models, by name. Empty once the server stops.
    pub async fn index(&self, tenant: &TenantName) -> Vec<IndexEntry> {
        let (reply, answer) = oneshot::channel();
        let asked = self.send(Event::Index { tenant: tenant.clone(), reply }).await;
        if asked.is_ok() { answer.await.unwrap_or_default() } else { Vec::new() }
    }

    /// Why what serves is not what a tenant's repository holds at present, if so.
    pub fn degraded(&self, tenant: &TenantName) -> Option<String> {
        // Where there is a mirror, that it is missing is no news beside why.
        let trouble = self.shared.sources.load().get(tenant).and_then(|source| source.trouble());
        trouble.or_else(|| self.shared.degraded.load().get(tenant).cloned())
    }

    /// Looks at the repository now. Fails with why what is known of it is not what it holds.
    pub async fn refresh(&self, tenant: &TenantName) -> Result<(), RefreshError> {
        let source = self.source(tenant)?;
        let refreshed = tokio::time::timeout(REFRESH_PATIENCE, source.refresh()).await;
        let trouble = refreshed.map_err(|_| RefreshError::TooSlow)?.map_err(|_| CommandError::Stopping)?;
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
        self.shared.wrappings.load().get(tenant).map(Wrapping::chain).unwrap_or_default()
    }

    /// Looks at the repository now, tries again what failed, and waits until the model serves or has
    /// failed. Fails if its newest content does not serve then.
    pub async fn load(&self, tenant: &TenantName, name: &ModelName) -> Result<(), CommandError> {
        // What is mirrored can be loaded also if the mirror cannot be refreshed.
        let _ = self.refresh(tenant).await;
        let aspired = self.source(tenant)?.rescan().await.map_err(|_| CommandError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        self.send(Event::Load { key: (tenant.clone(), name.clone()), aspired, reply }).await?;
        answer.await.map_err(|_| CommandError::Stopping)?
    }

    /// Lets a model drain, and keeps it unloaded until it is asked for again. Returns before it has
    /// drained. Unloading what is not loaded succeeds.
    pub async fn unload(&self, tenant: &TenantName, name: &ModelName) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        self.send(Event::Unload { key: (tenant.clone(), name.clone()), reply }).await?;
        answer.await.map_err(|_| CommandError::Stopping)?
    }

    /// Loads and replaces nothing any more. What serves goes on.
    pub async fn close(&self) {
        let _ = self.send(Event::Close).await;
    }

    /// Unloads everything and waits until it is gone.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.send(Event::Stop { reply }).await.is_ok() {
            let _ = answer.await;
        }
    }

    pub(super) fn source(&self, tenant: &TenantName) -> Result<Arc<Source>, CommandError> {
        self.shared.sources.load().get(tenant).cloned().ok_or(CommandError::NotFound)
    }

    pub(super) async fn send(&self, event: Event) -> Result<(), CommandError> {
        self.events.send(event).await.map_err(|_| CommandError::Stopping)
    }
}

pub(super) async fn announce(mut source: tokio::sync::watch::Receiver<Arc<Aspired>>, events: mpsc::Sender<Event>) {
    loop {
        let aspired = source.borrow_and_update().clone();
        if events.send(Event::Aspired(aspired)).await.is_err() || source.changed().await.is_err() {
            return;
        }
    }
}
