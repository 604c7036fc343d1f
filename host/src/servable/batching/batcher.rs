//! Where requests wait for each other and for their answers.

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

/// The most bytes that are joined: copying them must not hold up a thread that serves HTTP.
const MAX_BYTES: u64 = 4 << 20;

/// The requests of one version that are grouped.
pub(in crate::servable) struct Batcher {
    pub(super) form: Form,
    /// The most that go into one call.
    pub(super) limit: Size,
    pub(super) delay: Duration,
    pub(super) max_queue: u32,
    pub(super) metadata: Arc<Metadata>,
    pub(super) tenant: Arc<Tenant>,
    /// How long calls take, by the clock and in CPU time.
    pub(super) usual: Usual,
    pub(super) usual_cpu_time: Usual,
    /// Whether it is worth looking who else has come.
    pub(super) crowd: Crowd,
    state: Mutex<State>,
    /// Batches that may be at work while others fill: more than there are cores finish no sooner.
    pub(super) cores: Arc<Semaphore>,
    /// A batch has become full, or more wait than may.
    pub(super) full: Notify,
    /// Nobody waits any more.
    pub(super) emptied: Notify,
}

pub(super) struct State {
    pub(super) queue: Queue<Item>,
    /// Somebody is about to take a batch.
    pub(super) led: bool,
    /// No call can be made now, so that whoever is in the queue is really waiting.
    pub(super) held_up: bool,
}

/// One request that waits, or is being answered.
pub(super) struct Item {
    pub(super) request: InferRequest,
    pub(super) call: Call,
    pub(super) arrived: Instant,
    pub(super) reply: Reply,
    /// Its place among those of its tenant's requests that wait.
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
            // Together they are no more than one of them might be alone.
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

    /// Answers a request, together with others if there are any.
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

    /// Notes that a call with so many requests went well and took so long, within that budget.
    pub(in crate::servable) fn note_usual(&self, requests: usize, took: Duration, budget: &Budget) {
        self.usual.note(requests, took);
        self.usual_cpu_time.note(requests, budget.used());
    }

    /// Takes a place in the queue. Tells whether whoever takes it has to lead.
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

    /// Whether nobody waits, leads or is at work.
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
    /// Whether a batch need not wait for more: it is as large as may be, or more wait than may.
    pub(super) fn is_full(&self, batcher: &Batcher) -> bool {
        self.queue.items() >= batcher.limit.items || self.queue.len() > batcher.max_queue as usize
    }

    /// Fails if as many wait as may. What is about to go at once does not wait.
    fn check_room(&self, batcher: &Batcher) -> Result<(), InferError> {
        let going = if self.held_up { 0 } else { batcher.limit.items };
        if self.queue.len() as u64 >= u64::from(batcher.max_queue) + going {
            return Err(InferError::QueueFull { limit: batcher.max_queue });
        }
        Ok(())
    }
}

/// A request's place in the queue, given back on drop.
struct Waiter<'a> {
    batcher: &'a Batcher,
    ticket: Ticket,
    answer: oneshot::Receiver<Result<Answer, InferError>>,
    answered: bool,
}

impl Waiter<'_> {
    /// Waits no more. Without an answer its time was up, here or where it was to be taken.
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
