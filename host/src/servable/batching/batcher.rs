//! Groups the requests of one version: they wait here for each other and for their responses.

use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, oneshot};

use super::call_time_estimate::CallTimeEstimate;
use super::lone_streak::LoneStreak;
use super::queue::{Queue, Size, Ticket};
use super::{BatchForm, BatchLimit, join};
use crate::engine::{Budget, Call};
use crate::model::{InferError, InferRequest, Metadata, ModelSettings};
use crate::mutex::lock;
use crate::servable::Inference;
use crate::tenant::{QuotaGuard, Resource, Tenant};

/// Limit on the tensor bytes that are joined. Copying them must not block an HTTP thread.
const MAX_BYTES: u64 = 4 << 20;

/// Groups the requests of one version into batches.
pub(in crate::servable) struct Batcher {
    pub(super) form: BatchForm,
    /// The largest batch.
    pub(super) limit: Size,
    pub(super) delay: Duration,
    pub(super) max_queue: u32,
    pub(super) metadata: Arc<Metadata>,
    pub(super) tenant: Arc<Tenant>,
    /// Moving averages of a call's wall-clock and CPU time.
    pub(super) call_time: CallTimeEstimate,
    pub(super) cpu_time: CallTimeEstimate,
    /// Predicts whether waiting for further requests pays.
    pub(super) lone_streak: LoneStreak,
    state: Mutex<State>,
    /// One permit for each core. More concurrent batches would not finish sooner.
    pub(super) core_permits: Arc<Semaphore>,
    /// Signals that a batch is full, or that more requests wait than `max_queue`.
    pub(super) batch_full: Notify,
    /// Signals that the queue is empty.
    pub(super) queue_emptied: Notify,
}

pub(super) struct State {
    pub(super) queue: Queue<Item>,
    /// True while a leader is about to take a batch.
    pub(super) has_leader: bool,
    /// True while no call can be made, so that queued requests count as waiting.
    pub(super) is_blocked: bool,
}

/// A queued request.
pub(super) struct Item {
    pub(super) request: InferRequest,
    pub(super) call: Call,
    pub(super) arrived: Instant,
    pub(super) reply: Reply,
    /// Its guard of the tenant's queue quota, once it counts as waiting.
    pub(super) queue_guard: Option<QuotaGuard>,
}

pub(super) type Reply = oneshot::Sender<Result<Inference, InferError>>;

impl Batcher {
    pub(in crate::servable) fn new(
        BatchLimit { form, items }: BatchLimit,
        settings: &ModelSettings,
        metadata: Arc<Metadata>,
        tenant: Arc<Tenant>,
    ) -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Arc::new(Batcher {
            form,
            // A batch is no larger than a single request may be.
            limit: Size { items: u64::from(items), bytes: settings.limits.request.min(MAX_BYTES) },
            delay: settings.batching.max_queue_delay,
            max_queue: settings.batching.max_queue,
            metadata,
            tenant,
            call_time: CallTimeEstimate::default(),
            cpu_time: CallTimeEstimate::default(),
            lone_streak: LoneStreak::default(),
            state: Mutex::new(State { queue: Queue::new(), has_leader: false, is_blocked: false }),
            core_permits: Arc::new(Semaphore::new(cores)),
            batch_full: Notify::new(),
            queue_emptied: Notify::new(),
        })
    }

    /// Records the time of a successful call with `requests` requests and that budget.
    pub(in crate::servable) fn record_call_time(
        &self,
        requests: usize,
        took: Duration,
        budget: &Budget,
    ) {
        self.call_time.record(requests, took);
        self.cpu_time.record(requests, budget.used());
    }

    /// Adds a request to the queue. Returns true if the caller becomes the leader.
    pub(super) fn enqueue(
        &self,
        request: InferRequest,
        call: Call,
        arrived: Instant,
    ) -> Result<(QueuedRequest<'_>, bool), InferError> {
        let priority = request.priority;
        let deadline = call.budget.deadline();
        let size = self.size(&request);

        let (reply, response) = oneshot::channel();
        let mut state = self.lock();
        state.check_queue_limit(self)?;
        let queue_guard =
            if state.is_blocked { Some(self.tenant.take(Resource::Queue, 1)?) } else { None };

        let item = Item { request, call, arrived, reply, queue_guard };
        let ticket = state.queue.push(item, priority, size, arrived, deadline);
        let leads = !std::mem::replace(&mut state.has_leader, true);

        let full = state.is_full(self);
        drop(state);
        if full && !leads {
            self.batch_full.notify_one();
        }
        Ok((QueuedRequest { batcher: self, ticket, response, answered: false }, leads))
    }

    fn size(&self, request: &InferRequest) -> Size {
        let items = match self.form {
            BatchForm::Joined => join::rows(request).unwrap_or(1),
            BatchForm::SideBySide => 1,
        };
        Size { items, bytes: join::bytes(request) }
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().is_full(self)
    }

    /// True if no request waits and no batch is led or at work.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let state = self.lock();
        state.queue.is_empty()
            && !state.has_leader
            && !state.is_blocked
            && self.core_permits.available_permits() == cores
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// True if a batch need not wait for more requests: it is as large as allowed, or more requests
    /// wait than `max_queue`.
    pub(super) fn is_full(&self, batcher: &Batcher) -> bool {
        self.queue.items() >= batcher.limit.items || self.queue.len() > batcher.max_queue as usize
    }

    /// Fails with `QueueFull` if `max_queue` requests wait. Requests of the next batch do not count
    /// as waiting while calls can be made.
    fn check_queue_limit(&self, batcher: &Batcher) -> Result<(), InferError> {
        let going = if self.is_blocked { 0 } else { batcher.limit.items };
        if self.queue.len() as u64 >= u64::from(batcher.max_queue) + going {
            return Err(InferError::QueueFull { limit: batcher.max_queue });
        }
        Ok(())
    }
}

/// A request in the queue, removed on drop.
pub(super) struct QueuedRequest<'a> {
    batcher: &'a Batcher,
    ticket: Ticket,
    pub(super) response: oneshot::Receiver<Result<Inference, InferError>>,
    answered: bool,
}

impl QueuedRequest<'_> {
    /// Returns the response. Without one, the deadline has passed here or when a batch was taken.
    pub(super) fn finish(
        mut self,
        response: Option<Result<Inference, InferError>>,
        late: impl FnOnce() -> InferError,
    ) -> Result<Inference, InferError> {
        self.answered = response.is_some();
        response.unwrap_or_else(|| Err(late()))
    }
}

impl Drop for QueuedRequest<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let mut state = self.batcher.lock();

        let item = state.queue.remove(self.ticket);
        let emptied = item.is_some() && state.queue.is_empty();
        drop(state);
        if emptied {
            self.batcher.queue_emptied.notify_one();
        }
    }
}
