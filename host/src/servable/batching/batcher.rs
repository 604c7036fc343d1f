//! Groups the requests of one version: they wait here for each other and for their responses.

use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, oneshot};

use super::caller::Caller;
use super::crowd::Crowd;
use super::queue::{Queue, Size, Ticket};
use super::usual::Usual;
use super::{BatchLimit, Form, join};
use crate::engine::{Budget, Call};
use crate::model::{InferError, InferRequest, Metadata, ModelSettings};
use crate::servable::Answer;
use crate::tenant::{Held, Resource, Tenant};

/// Limit on the tensor bytes that are joined. Copying them must not block an HTTP thread.
const MAX_BYTES: u64 = 4 << 20;

/// Groups the requests of one version into batches.
pub(in crate::servable) struct Batcher {
    pub(super) form: Form,
    /// The largest batch.
    pub(super) limit: Size,
    pub(super) delay: Duration,
    pub(super) max_queue: u32,
    pub(super) metadata: Arc<Metadata>,
    pub(super) tenant: Arc<Tenant>,
    /// Moving averages of a call's wall-clock and CPU time.
    pub(super) usual: Usual,
    pub(super) usual_cpu_time: Usual,
    /// Predicts whether waiting for further requests pays.
    pub(super) crowd: Crowd,
    state: Mutex<State>,
    /// One permit for each core. More concurrent batches would not finish sooner.
    pub(super) cores: Arc<Semaphore>,
    /// Signals that a batch is full, or that more requests wait than `max_queue`.
    pub(super) full: Notify,
    /// Signals that the queue is empty.
    pub(super) emptied: Notify,
}

pub(super) struct State {
    pub(super) queue: Queue<Item>,
    /// True while a leader is about to take a batch.
    pub(super) led: bool,
    /// True while no call can be made, so that queued requests count as waiting.
    pub(super) held_up: bool,
}

/// A queued request.
pub(super) struct Item {
    pub(super) request: InferRequest,
    pub(super) call: Call,
    pub(super) arrived: Instant,
    pub(super) reply: Reply,
    /// Its place in the tenant's queue quota, once it counts as waiting.
    pub(super) waiting: Option<Held>,
}

pub(super) type Reply = oneshot::Sender<Result<Answer, InferError>>;

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
            usual: Usual::default(),
            usual_cpu_time: Usual::default(),
            crowd: Crowd::default(),
            state: Mutex::new(State { queue: Queue::new(), led: false, held_up: false }),
            cores: Arc::new(Semaphore::new(cores)),
            full: Notify::new(),
            emptied: Notify::new(),
        })
    }

    /// Answers a request, in a batch with others if there are any. Fails with `QueueFull`, with the
    /// tenant's queue quota, or at the deadline of the call.
    pub(in crate::servable) async fn answer<C: Caller>(
        self: &Arc<Self>,
        caller: &Arc<C>,
        request: InferRequest,
        call: Call,
    ) -> Result<Answer, InferError> {
        let budget = call.budget.clone();
        let (mut waiter, leads) = self.line_up(request, call)?;
        if leads {
            tokio::select! {
                biased;
                answer = &mut waiter.answer => return waiter.end(answer.ok(), || budget.deadline_exceeded()),
                () = self.lead(caller, Some(budget.deadline())) => {}
            }
        }

        let answer = tokio::time::timeout_at(budget.deadline().into(), &mut waiter.answer).await;
        waiter.end(answer.ok().and_then(Result::ok), || budget.deadline_exceeded())
    }

    /// Records the time of a successful call with `requests` requests and that budget.
    pub(in crate::servable) fn note_usual(&self, requests: usize, took: Duration, budget: &Budget) {
        self.usual.note(requests, took);
        self.usual_cpu_time.note(requests, budget.used());
    }

    /// Adds a request to the queue. Returns true if the caller becomes the leader.
    fn line_up(&self, request: InferRequest, call: Call) -> Result<(Waiter<'_>, bool), InferError> {
        let (reply, answer) = oneshot::channel();

        let (priority, deadline, size) =
            (request.priority, call.budget.deadline(), self.size(&request));
        let mut state = self.lock();
        state.check_room(self)?;
        let waiting =
            if state.held_up { Some(self.tenant.take(Resource::Queue, 1)?) } else { None };

        let arrived = Instant::now();
        let item = Item { request, call, arrived, reply, waiting };
        let ticket = state.queue.push(item, priority, size, arrived, deadline);
        let leads = !std::mem::replace(&mut state.led, true);

        let full = state.is_full(self);
        drop(state);
        if full && !leads {
            self.full.notify_one();
        }
        Ok((Waiter { batcher: self, ticket, answer, answered: false }, leads))
    }

    fn size(&self, request: &InferRequest) -> Size {
        let items = match self.form {
            Form::Joined => join::rows(request).unwrap_or(1),
            Form::SideBySide => 1,
        };
        Size { items, bytes: join::bytes(request) }
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().is_full(self)
    }

    /// True if no request waits and no batch is led or at work.
    #[cfg(test)]
    pub(super) fn is_quiet(&self) -> bool {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let state = self.lock();
        state.queue.is_empty()
            && !state.led
            && !state.held_up
            && self.cores.available_permits() == cores
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn check_room(&self, batcher: &Batcher) -> Result<(), InferError> {
        let going = if self.held_up { 0 } else { batcher.limit.items };
        if self.queue.len() as u64 >= u64::from(batcher.max_queue) + going {
            return Err(InferError::QueueFull { limit: batcher.max_queue });
        }
        Ok(())
    }
}

/// A request in the queue, removed on drop.
struct Waiter<'a> {
    batcher: &'a Batcher,
    ticket: Ticket,
    answer: oneshot::Receiver<Result<Answer, InferError>>,
    answered: bool,
}

impl Waiter<'_> {
    /// Returns the response. Without one, the deadline has passed here or when a batch was taken.
    fn end(
        mut self,
        answer: Option<Result<Answer, InferError>>,
        late: impl FnOnce() -> InferError,
    ) -> Result<Answer, InferError> {
        self.answered = answer.is_some();
        answer.unwrap_or_else(|| Err(late()))
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let mut state = self.batcher.lock();

        let item = state.queue.remove(self.ticket);
        let emptied = item.is_some() && state.queue.is_empty();
        drop(state);
        if emptied {
            self.batcher.emptied.notify_one();
        }
    }
}
