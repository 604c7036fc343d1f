//! The leader of a batch: decides when it is taken, and acquires the permit to run it.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, sleep_until};

use super::batcher::{Batcher, Item};
use super::runner::Runner;
use super::{BatchForm, execute, join};
use crate::box_future::box_future;
use crate::model::InferError;
use crate::tenant::{Resource, Tenant};

/// The least time that requests wait for a running batch to end before they start one beyond the
/// number of cores.
const MIN_CORE_WAIT: Duration = Duration::from_millis(10);

/// The permit to run a batch.
pub(super) struct RunPermit<P> {
    pub(super) permit: Result<P, InferError>,
    pub(super) core: Option<OwnedSemaphorePermit>,
}

impl Batcher {
    /// Takes the next batch as soon as a call can be made, and runs it until it would have to wait.
    /// Other leaders take the batches after it. Gives up at `deadline`.
    pub(super) async fn lead<C: Runner>(
        self: &Arc<Self>,
        runner: &Arc<C>,
        deadline: Option<Instant>,
    ) {
        let leader = LeaderGuard { batcher: self, runner };

        // Yields, so that the runtime runs ready tasks and polls its sockets, and requests that
        // have arrived join the queue. Short calls end before anything else is read, so without the
        // yield no batch would form: of 64 clients, some 16 are batched with it and one without. A
        // second yield gains nothing.
        if self.lone_streak.should_yield() {
            tokio::task::yield_now().await;
        }

        let Some(run) = with_deadline(deadline, self.collect_batch(&**runner)).await else {
            return;
        };

        let batch = self.take_batch();
        self.lone_streak.record(batch.len());

        drop(leader);
        let batcher = self.clone();
        let runner = runner.clone();

        let mut work = box_future(|| async move {
            let _core = run.core;
            execute::execute(&batcher, &runner, batch, run.permit).await;
        });

        // A short call ends here. A longer one must survive the request that leads it.
        if poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await.is_pending() {
            tokio::spawn(work);
        }
    }

    /// Waits up to `max_queue_delay` for more requests, then for the permit to run the batch.
    /// Returns `None` once the queue is empty.
    async fn collect_batch<C: Runner>(&self, runner: &C) -> Option<RunPermit<C::Permit>> {
        tokio::select! {
            biased;
            run = async {
                self.wait_for_queue_delay().await;
                match self.try_acquire_permit(runner) {
                    Some(run) => run,
                    None => self.acquire_permit(runner).await,
                }
            } => Some(run),
            () = self.until_empty() => None,
        }
    }

    async fn wait_for_queue_delay(&self) {
        if self.delay.is_zero() {
            return;
        }
        while let Some(until) = self.queue_delay_end().filter(|&until| Instant::now() < until) {
            tokio::select! {
                () = sleep_until(until.into()) => {}
                () = self.batch_full.notified() => {}
            }
        }
    }

    /// The end of the oldest request's queue delay; `None` if the batch is full.
    fn queue_delay_end(&self) -> Option<Instant> {
        let state = self.lock();
        if state.is_full(self) {
            None
        } else {
            state.queue.oldest_arrival().map(|arrived| arrived + self.delay)
        }
    }

    /// Returns the permit to run a batch; `None` if the caller would have to wait.
    pub(super) fn try_acquire_permit<C: Runner>(&self, runner: &C) -> Option<RunPermit<C::Permit>> {
        let core = self.core_permits.clone().try_acquire_owned().ok();
        if core.is_none() && !self.is_full() {
            return None;
        }
        runner.try_acquire().map(|permit| RunPermit { permit: Ok(permit), core })
    }

    async fn acquire_permit<C: Runner>(&self, runner: &C) -> RunPermit<C::Permit> {
        let core = self.acquire_core().await;
        if let Some(permit) = runner.try_acquire() {
            return RunPermit { permit: Ok(permit), core };
        }

        let _blocked = self.mark_blocked();
        RunPermit { permit: runner.acquire().await, core }
    }

    /// Waits until fewer batches run than there are cores. Returns `None` if a batch is full, or if
    /// the running calls take longer than usual: they may be waiting themselves.
    async fn acquire_core(&self) -> Option<OwnedSemaphorePermit> {
        let usual = self.call_time.estimate(self.limit.items as usize).unwrap_or_default();
        let timeout = sleep(MIN_CORE_WAIT.max(2 * usual));
        tokio::pin!(timeout);

        while !self.is_full() {
            tokio::select! {
                biased;
                core = self.core_permits.clone().acquire_owned() => return core.ok(),
                () = self.batch_full.notified() => {}
                () = &mut timeout => break,
            }
        }
        None
    }

    async fn until_empty(&self) {
        while !self.lock().queue.is_empty() {
            self.queue_emptied.notified().await;
        }
    }

    /// Marks that no call can be made. Queued requests count as waiting from now on; those beyond
    /// the limits are refused.
    fn mark_blocked(&self) -> BlockedGuard<'_> {
        let mut state = self.lock();
        state.is_blocked = true;

        let refused = state.queue.remove_where(|kept, item| {
            item.count_as_waiting(kept, self.max_queue, &self.tenant).err()
        });
        let emptied = state.queue.is_empty();
        drop(state);
        if emptied {
            self.queue_emptied.notify_one();
        }

        for (item, error) in refused {
            // The receiver is gone if the client has disconnected.
            let _ = item.reply.send(Err(error));
        }
        BlockedGuard(self)
    }

    fn take_batch(&self) -> Vec<Item> {
        let together = |one: &Item, other: &Item| match self.form {
            BatchForm::Joined => join::can_join(&one.request, &other.request),
            BatchForm::SideBySide => true,
        };
        self.lock().queue.take(self.limit, Instant::now(), together)
    }
}

impl Item {
    /// Counts the request as waiting behind `before` others. Fails with `QueueFull`, or with the
    /// tenant's queue quota.
    fn count_as_waiting(
        &mut self,
        before: usize,
        max_queue: u32,
        tenant: &Arc<Tenant>,
    ) -> Result<(), InferError> {
        if before >= max_queue as usize {
            return Err(InferError::QueueFull { limit: max_queue });
        }

        if self.queue_guard.is_none() {
            self.queue_guard = Some(tenant.take(Resource::Queue, 1)?);
        }
        Ok(())
    }
}

/// The right to take the next batch. On drop it passes to a new task if requests wait.
struct LeaderGuard<'a, C: Runner> {
    batcher: &'a Arc<Batcher>,
    runner: &'a Arc<C>,
}

impl<C: Runner> Drop for LeaderGuard<'_, C> {
    fn drop(&mut self) {
        let mut state = self.batcher.lock();
        state.has_leader = !state.queue.is_empty();
        let passes = state.has_leader;
        drop(state);

        if passes {
            let batcher = self.batcher.clone();
            let runner = self.runner.clone();
            // There is no runtime only if the server has stopped.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { batcher.lead(&runner, None).await });
            }
        }
    }
}

/// Marks that no call can be made, until drop.
struct BlockedGuard<'a>(&'a Batcher);

impl Drop for BlockedGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().is_blocked = false;
    }
}

async fn with_deadline<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = Option<T>>,
) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), work).await.ok().flatten(),
        None => work.await,
    }
}
