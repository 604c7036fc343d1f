//! The instances of one version: how many may work at once, who waits, and which are kept.
//!
//! A [`Checkout`] is the right to have one instance at work. It gives itself back on drop, whatever
//! happens to the call. An instance returns to the pool only through [`Desk::give_back`], only
//! where the model's isolation allows it, and only if it is fit for another call. None waits there
//! for work while another model waits for an instance that it keeps from it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Maker;
use crate::engine::{Budget, Instance};
use crate::model::{InferError, Isolation, ModelSettings};
use crate::tenant::{InstancePermit, Reclaim, Resource, Slots, Tenant};

pub(super) struct InstancePool {
    tenant: Arc<Tenant>,
    slots: Arc<Slots>,
    isolation: Isolation,
    min: usize,
    max: usize,
    idle_timeout: Duration,
    /// An instance that has grown beyond this many bytes is not kept: its memory never shrinks.
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

/// The right to have one instance at work, and the instance or the right to make it.
pub(super) struct Checkout {
    pub(super) source: Source,
    pub(super) place: Desk,
}

/// Where the instance of a request comes from.
pub(super) enum Source {
    /// It has waited for work.
    Idle(Box<Instance>),
    /// It is to be made.
    New(InstancePermit),
}

/// One of the places at which an instance may work; given back on drop.
pub(super) struct Desk {
    pool: Arc<InstancePool>,
    /// `None` for a place that is none of those.
    permit: Option<OwnedSemaphorePermit>,
}

impl InstancePool {
    pub(super) fn new(settings: &ModelSettings, maker: &Maker) -> Arc<Self> {
        let max = settings.instances.max as usize;
        Arc::new(InstancePool {
            tenant: maker.tenant().clone(),
            slots: maker.template().room().slots().clone(),
            isolation: settings.isolation,
            min: settings.instances.min as usize,
            max,
            idle_timeout: settings.instances.idle_timeout,
            high_water: settings.limits.memory / 2,
            max_queue: settings.batching.max_queue,
            permits: Arc::new(Semaphore::new(max)),
            waiting: AtomicU32::new(0),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Waits for the right to have an instance at work, no longer than the budget allows and only
    /// if there is room in the queue.
    pub(super) async fn check_out(
        self: &Arc<Self>,
        maker: &Maker,
        budget: &Budget,
    ) -> Result<Checkout, InferError> {
        match self.try_check_out(maker) {
            Some(checkout) => Ok(checkout),
            None => self.wait(maker, budget).await,
        }
    }

    /// A place in the queue, for a request that waits for something else than an instance.
    pub(super) fn place_in_queue(&self) -> Result<impl Drop + '_, InferError> {
        Waiting::take(self)
    }

    /// The right to have an instance at work, if it can be had at once.
    pub(super) fn try_check_out(self: &Arc<Self>, maker: &Maker) -> Option<Checkout> {
        let place = Desk {
            permit: Some(self.permits.clone().try_acquire_owned().ok()?),
            pool: self.clone(),
        };
        let source = match self.take_idle() {
            Some(idle) => idle,
            None => Source::New(maker.try_instance()?),
        };
        Some(Checkout { source, place })
    }

    async fn wait(
        self: &Arc<Self>,
        maker: &Maker,
        budget: &Budget,
    ) -> Result<Checkout, InferError> {
        let _in_queue = Waiting::take(self)?;
        let _in_tenant_s = maker.tenant().take(Resource::Queue, 1)?;
        let taken = tokio::time::timeout_at(budget.deadline().into(), self.take(maker)).await;
        taken.unwrap_or_else(|_elapsed| Err(budget.deadline_exceeded()))
    }

    /// Waits for the right to have an instance at work, without being counted among those who wait.
    pub(super) async fn take(self: &Arc<Self>, maker: &Maker) -> Result<Checkout, InferError> {
        let permit =
            self.permits.clone().acquire_owned().await.map_err(|_closed| InferError::Overloaded)?;
        let place = Desk { pool: self.clone(), permit: Some(permit) };
        let source = match self.take_idle() {
            Some(idle) => idle,
            None => Source::New(maker.instance().await),
        };
        Ok(Checkout { source, place })
    }

    /// The right to have an instance at work, for a call that holds one of another version already.
    /// It never waits: see [`Tenant::instance_beside`].
    pub(super) fn check_out_beside(
        self: &Arc<Self>,
        maker: &Maker,
    ) -> Result<Checkout, InferError> {
        let place = || Desk { pool: self.clone(), permit: None };
        let beside =
            || Some(Checkout { source: Source::New(maker.instance_beside()?), place: place() });
        self.try_check_out(maker).or_else(beside).ok_or(InferError::Overloaded)
    }

    /// An instance that waits for work, if there is one.
    fn take_idle(&self) -> Option<Source> {
        match self.isolation {
            Isolation::Request => None,
            Isolation::Pooled => {
                self.lock().pop().map(|idle| Source::Idle(Box::new(idle.instance)))
            }
        }
    }

    /// How many instances are idle, and how many at work.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.lock().len(), self.max - self.permits.available_permits())
    }

    /// Drops instances that have been idle for too long, but for the fewest that are to be kept.
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

    /// How many instances are to be there before the first request.
    pub(super) fn kept_ready(&self) -> usize {
        if self.isolation == Isolation::Pooled { self.min.min(self.max) } else { 0 }
    }

    /// Puts an instance where a request can take it.
    pub(super) fn put(&self, instance: Instance) {
        self.lock().push(Idle { instance, since: Instant::now() });
        // Another model may be waiting for just this one; this one's next request can wait too.
        if self.tenant.lacks_instances() || self.slots.wants_back(self.tenant.name()) {
            self.reclaim();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Keeps an instance for the next request if it is fit for one, and drops it if not.
    pub(super) fn give_back(self, mut instance: Instance) {
        let pool = &self.pool;
        let fit = instance.is_alive() && instance.memory() <= pool.high_water;
        if pool.isolation == Isolation::Pooled && fit && self.permit.is_some() {
            instance.end_call();
            pool.put(instance);
        }
    }
}

impl Reclaim for InstancePool {
    /// Lets go of the instance that has been idle for longest.
    fn reclaim(&self) -> bool {
        let mut idle = self.lock();
        let oldest = (!idle.is_empty()).then(|| idle.remove(0));
        drop(idle);
        oldest.is_some()
    }
}

/// A place in the queue, given back on drop.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn take(pool: &'a InstancePool) -> Result<Self, InferError> {
        let place = Waiting(&pool.waiting);
        if pool.waiting.fetch_add(1, Ordering::Relaxed) >= pool.max_queue {
            return Err(InferError::QueueFull { limit: pool.max_queue });
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
