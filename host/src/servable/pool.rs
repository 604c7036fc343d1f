//! The instance pool of one version: concurrency limit, wait queue and idle instances.
//!
//! A [`Checkout`] is the permit to run one instance; it is returned on drop, whatever happens to
//! the call. An instance returns to the pool only through [`PoolPermit::give_back`], and only if it
//! is fit for another call: with the isolation `request` it must have been reset, so that it is as
//! good as a new one. No instance stays idle while another model waits for the memory or slot that
//! it occupies.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::InstanceFactory;
use crate::engine::{Budget, Instance};
use crate::model::{InferError, Isolation, ModelSettings};
use crate::mutex::lock;
use crate::tenant::{InstancePermit, Reclaim, Resource, Slots, Tenant};

pub(super) struct InstancePool {
    tenant: Arc<Tenant>,
    slots: Arc<Slots>,
    isolation: Isolation,
    min: usize,
    max: usize,
    idle_timeout: Duration,
    /// An instance whose memory has grown beyond this many bytes is dropped after its call, because
    /// guest memory never shrinks.
    high_water: u64,
    max_queue: u32,
    permits: Arc<Semaphore>,
    waiting: AtomicU32,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    instance: Instance,
    since: Instant,
}

/// The longest time that an instance with the isolation `request` stays idle. A new one takes some
/// ten microseconds more, which a request notices only among many.
const RESET_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The permit to run one instance, and where that instance comes from.
pub(super) struct Checkout {
    pub(super) source: InstanceSource,
    pub(super) permit: PoolPermit,
}

/// The origin of a request's instance.
pub(super) enum InstanceSource {
    /// An instance that has answered other requests.
    Idle(Box<Instance>),
    /// The permit to create an instance.
    New(InstancePermit),
}

/// One of the `instances.max` permits of a pool, returned on drop.
pub(super) struct PoolPermit {
    pool: Arc<InstancePool>,
    /// `None` for a call beside another one, which is not limited by `instances.max`.
    permit: Option<OwnedSemaphorePermit>,
}

impl InstancePool {
    pub(super) fn new(settings: &ModelSettings, factory: &InstanceFactory) -> Arc<Self> {
        let max = settings.instances.max as usize;
        let idle_timeout = match settings.isolation {
            Isolation::Pooled => settings.instances.idle_timeout,
            Isolation::Request => settings.instances.idle_timeout.min(RESET_IDLE_TIMEOUT),
        };

        Arc::new(InstancePool {
            tenant: factory.tenant().clone(),
            slots: factory.template().room().slots().clone(),
            isolation: settings.isolation,
            min: settings.instances.min as usize,
            max,
            idle_timeout,
            high_water: settings.limits.memory / 2,
            max_queue: settings.batching.max_queue,
            permits: Arc::new(Semaphore::new(max)),
            waiting: AtomicU32::new(0),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Waits for a checkout within the budget's deadline. Fails with `QueueFull` if `max_queue`
    /// requests wait already, with the tenant's queue quota, or at the deadline.
    pub(super) async fn check_out(
        self: &Arc<Self>,
        factory: &InstanceFactory,
        budget: &Budget,
    ) -> Result<Checkout, InferError> {
        match self.try_check_out(factory) {
            Some(checkout) => Ok(checkout),
            None => self.wait(factory, budget).await,
        }
    }

    /// Counts a request that waits for something else than an instance, such as its session, in the
    /// wait queue. Fails with `QueueFull`.
    pub(super) fn enter_queue(&self) -> Result<impl Drop + '_, InferError> {
        QueueGuard::enter(self)
    }

    /// Returns a checkout; `None` if the caller would have to wait.
    pub(super) fn try_check_out(self: &Arc<Self>, factory: &InstanceFactory) -> Option<Checkout> {
        let permit = PoolPermit {
            permit: Some(self.permits.clone().try_acquire_owned().ok()?),
            pool: self.clone(),
        };

        let source = match self.take_idle() {
            Some(idle) => idle,
            None => InstanceSource::New(factory.try_acquire_permit()?),
        };
        Some(Checkout { source, permit })
    }

    async fn wait(
        self: &Arc<Self>,
        factory: &InstanceFactory,
        budget: &Budget,
    ) -> Result<Checkout, InferError> {
        let _in_queue = QueueGuard::enter(self)?;
        let _in_tenant_queue = factory.tenant().take(Resource::Queue, 1)?;

        let taken = tokio::time::timeout_at(budget.deadline().into(), self.acquire(factory)).await;
        taken.unwrap_or_else(|_elapsed| Err(budget.deadline_exceeded()))
    }

    /// Waits for a checkout without a deadline and without being counted in the wait queue.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        factory: &InstanceFactory,
    ) -> Result<Checkout, InferError> {
        let permits = self.permits.clone();
        let permit = permits.acquire_owned().await.map_err(|_closed| InferError::Overloaded)?;
        let permit = PoolPermit { pool: self.clone(), permit: Some(permit) };

        let source = match self.take_idle() {
            Some(idle) => idle,
            None => InstanceSource::New(factory.acquire_permit().await),
        };
        Ok(Checkout { source, permit })
    }

    /// Returns a checkout for a call that runs while another version's instance is held for the
    /// same request. Never waits; see [`Tenant::acquire_extra_instance`]. Fails with `Overloaded`.
    pub(super) fn try_check_out_extra(
        self: &Arc<Self>,
        factory: &InstanceFactory,
    ) -> Result<Checkout, InferError> {
        let extra = || {
            let source = InstanceSource::New(factory.try_acquire_extra_permit()?);
            Some(Checkout { source, permit: PoolPermit { pool: self.clone(), permit: None } })
        };
        self.try_check_out(factory).or_else(extra).ok_or(InferError::Overloaded)
    }

    /// Takes the most recently used idle instance; `None` if there is none.
    fn take_idle(&self) -> Option<InstanceSource> {
        self.lock().pop().map(|idle| InstanceSource::Idle(Box::new(idle.instance)))
    }

    /// Returns the numbers of idle and of busy instances.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.lock().len(), self.max - self.permits.available_permits())
    }

    /// Returns the bytes of memory of the idle instances.
    pub(super) fn idle_memory(&self) -> u64 {
        self.lock().iter().map(|idle| idle.instance.memory()).sum()
    }

    /// Drops instances that have been idle for longer than `idle_timeout`, and keeps at least
    /// `instances.min`.
    pub(super) fn retire_idle(&self, now: Instant) {
        let mut idle = self.lock();
        let surplus = idle.len().saturating_sub(self.min);

        // The longest idle are at the front, because checkouts take from the back.
        let expired = idle
            .iter()
            .take(surplus)
            .take_while(|idle| now.duration_since(idle.since) > self.idle_timeout);
        let count = expired.count();

        let retired: Vec<_> = idle.drain(..count).collect();
        drop(idle);
        drop(retired);
    }

    /// The number of instances to create before the first request.
    pub(super) fn min_idle(&self) -> usize {
        if self.isolation == Isolation::Pooled { self.min.min(self.max) } else { 0 }
    }

    /// Adds an idle instance.
    pub(super) fn add_idle(&self, instance: Instance) {
        self.lock().push(Idle { instance, since: Instant::now() });

        // Another model may be waiting for this instance's permit. This version's next request can
        // wait too.
        if self.tenant.has_instance_waiters() || self.slots.has_waiters_for(self.tenant.name()) {
            self.reclaim();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        lock(&self.idle)
    }
}

impl PoolPermit {
    /// Returns an instance to the pool if it is fit for another request; drops it otherwise.
    pub(super) async fn give_back(self, mut instance: Instance) {
        let pool = &self.pool;
        let fit = match pool.isolation {
            Isolation::Pooled => instance.is_reusable() && instance.memory() <= pool.high_water,
            Isolation::Request => instance.reset().await,
        };

        if fit && self.permit.is_some() {
            instance.end_call();
            pool.add_idle(instance);
        }
    }
}

impl Reclaim for InstancePool {
    /// Drops the longest idle instance. Returns false if none is idle.
    fn reclaim(&self) -> bool {
        let mut idle = self.lock();
        let oldest = (!idle.is_empty()).then(|| idle.remove(0));
        drop(idle);
        oldest.is_some()
    }
}

/// One entry of the wait queue, removed on drop.
struct QueueGuard<'a>(&'a AtomicU32);

impl<'a> QueueGuard<'a> {
    fn enter(pool: &'a InstancePool) -> Result<Self, InferError> {
        let guard = QueueGuard(&pool.waiting);
        if pool.waiting.fetch_add(1, Ordering::Relaxed) >= pool.max_queue {
            return Err(InferError::QueueFull { limit: pool.max_queue });
        }
        Ok(guard)
    }
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
