//! The task of taking the next batch: when to, with whom, and what if it has to wait.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, sleep_until};

use super::batcher::{Batcher, Item};
use super::caller::Caller;
use super::{Form, join, run};
use crate::model::InferError;
use crate::tenant::{Resource, Tenant};

/// How long requests wait at least for a batch at work to end, rather than be one more at work.
const PATIENCE: Duration = Duration::from_millis(10);

/// The right to make a call.
struct Go<P> {
    place: Result<P, InferError>,
    core: Option<OwnedSemaphorePermit>,
}

impl Batcher {
    /// Takes the next batch as soon as a call can be made and has it answered, at least until it
    /// would have to wait. Others take the batches after that.
    pub(super) async fn lead<C: Caller>(
        self: &Arc<Self>,
        caller: &Arc<C>,
        deadline: Option<Instant>,
    ) {
        let lead = Lead { batcher: self, caller };
        // Lets the runtime run what is ready and look at its sockets, so that whoever has come by
        // now lines up too. Short calls end before anything else is read, so without this nobody
        // would ever meet: of 64 clients, some 16 go together with it, and one without. A second
        // time gains nothing.
        if self.crowd.is_likely() {
            tokio::task::yield_now().await;
        }
        let Some(go) = within(deadline, self.gather(&**caller)).await else { return };
        let batch = self.take();
        self.crowd.note(batch.len());
        drop(lead);
        let (batcher, caller) = (self.clone(), caller.clone());
        let mut work = Box::pin(async move {
            let _core = go.core;
            run::answer(&batcher, &caller, batch, go.place).await;
        });
        // A short call ends here and now. A longer one must go on if the request that leads goes
        // away.
        if poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await.is_pending() {
            tokio::spawn(work);
        }
    }

    /// Waits for company as long as it may, and then for the right to make a call. `None` if nobody
    /// waits any more.
    async fn gather<C: Caller>(&self, caller: &C) -> Option<Go<C::Place>> {
        tokio::select! {
            biased;
            go = async {
                self.wait_for_company().await;
                match self.try_go(caller) {
                    Some(go) => go,
                    None => self.wait_to_go(caller).await,
                }
            } => Some(go),
            () = self.until_empty() => None,
        }
    }

    async fn wait_for_company(&self) {
        if self.delay.is_zero() {
            return;
        }
        while let Some(until) = self.company_until().filter(|&until| Instant::now() < until) {
            tokio::select! {
                () = sleep_until(until.into()) => {}
                () = self.full.notified() => {}
            }
        }
    }

    /// Until when whoever waits may wait for more; `None` if there are enough.
    fn company_until(&self) -> Option<Instant> {
        let state = self.lock();
        if state.is_full(self) {
            None
        } else {
            state.queue.oldest().map(|arrived| arrived + self.delay)
        }
    }

    fn try_go<C: Caller>(&self, caller: &C) -> Option<Go<C::Place>> {
        let core = self.cores.clone().try_acquire_owned().ok();
        if core.is_none() && !self.is_full() {
            return None;
        }
        caller.try_place().map(|place| Go { place: Ok(place), core })
    }

    async fn wait_to_go<C: Caller>(&self, caller: &C) -> Go<C::Place> {
        let core = self.core().await;
        if let Some(place) = caller.try_place() {
            return Go { place: Ok(place), core };
        }
        let _held_up = self.hold_up();
        Go { place: caller.place().await, core }
    }

    /// Waits until fewer batches are at work than there are cores. Gives up when a batch is full,
    /// or when the calls at work take longer than calls usually do: they may be waiting for
    /// something themselves.
    async fn core(&self) -> Option<OwnedSemaphorePermit> {
        let usual = self.usual.of(self.limit.items as usize).unwrap_or_default();
        let patience = sleep(PATIENCE.max(2 * usual));
        tokio::pin!(patience);
        while !self.is_full() {
            tokio::select! {
                biased;
                core = self.cores.clone().acquire_owned() => return core.ok(),
                () = self.full.notified() => {}
                () = &mut patience => break,
            }
        }
        None
    }

    async fn until_empty(&self) {
        while !self.lock().queue.is_empty() {
            self.emptied.notified().await;
        }
    }

    /// Notes that no call can be made now. Whoever waits is counted as waiting from now on, and is
    /// refused if it is one too many.
    fn hold_up(&self) -> HeldUp<'_> {
        let mut state = self.lock();
        state.held_up = true;
        let refused =
            state.queue.sift(|kept, item| item.wait(kept, self.max_queue, &self.tenant).err());
        let emptied = state.queue.is_empty();
        drop(state);
        if emptied {
            self.emptied.notify_one();
        }
        for (item, error) in refused {
            // If the client has gone it does not matter.
            let _ = item.reply.send(Err(error));
        }
        HeldUp(self)
    }

    fn take(&self) -> Vec<Item> {
        let together = |one: &Item, other: &Item| match self.form {
            Form::Joined => join::together(&one.request, &other.request),
            Form::SideBySide => true,
        };
        self.lock().queue.take(self.limit, Instant::now(), together)
    }
}

impl Item {
    /// Counts it as waiting, if there is room behind so many others.
    fn wait(
        &mut self,
        before: usize,
        max_queue: u32,
        tenant: &Arc<Tenant>,
    ) -> Result<(), InferError> {
        if before >= max_queue as usize {
            return Err(InferError::QueueFull { limit: max_queue });
        }
        if self.waiting.is_none() {
            self.waiting = Some(tenant.take(Resource::Queue, 1)?);
        }
        Ok(())
    }
}

/// The task of taking a batch. On drop it passes to somebody else, if anybody waits.
struct Lead<'a, C: Caller> {
    batcher: &'a Arc<Batcher>,
    caller: &'a Arc<C>,
}

impl<C: Caller> Drop for Lead<'_, C> {
    fn drop(&mut self) {
        let mut state = self.batcher.lock();
        state.led = !state.queue.is_empty();
        let passes = state.led;
        drop(state);
        if passes {
            let (batcher, caller) = (self.batcher.clone(), self.caller.clone());
            // Without a runtime nobody waits any more: the server is down.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { batcher.lead(&caller, None).await });
            }
        }
    }
}

/// For as long as no call can be made.
struct HeldUp<'a>(&'a Batcher);

impl Drop for HeldUp<'_> {
    fn drop(&mut self) {
        self.0.lock().held_up = false;
    }
}

async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = Option<T>>) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), work).await.ok().flatten(),
        None => work.await,
    }
}
