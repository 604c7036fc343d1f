//! Answers a request in a batch, or without the queue if it is alone.

use std::sync::Arc;
use std::time::Instant;

use super::batcher::Batcher;
use super::execute;
use super::leader::RunPermit;
use super::runner::Runner;
use crate::engine::Call;
use crate::model::{InferError, InferRequest};
use crate::servable::Inference;

impl Batcher {
    /// Answers a request, in a batch with others if there are any. Fails with `QueueFull`, with the
    /// tenant's queue quota, or at the deadline of the call.
    pub(in crate::servable) async fn infer<C: Runner>(
        self: &Arc<Self>,
        runner: &Arc<C>,
        request: InferRequest,
        call: Call,
    ) -> Result<Inference, InferError> {
        let arrived = Instant::now();
        if arrived < call.budget.deadline()
            && let Some(RunPermit { permit: Ok(permit), core: _core }) = self.try_alone(&**runner)
        {
            self.lone_streak.record(1);
            return execute::run_alone(self, runner, request, call, arrived, permit).await;
        }

        let budget = call.budget.clone();
        let (mut queued, leads) = self.enqueue(request, call, arrived)?;
        if leads {
            tokio::select! {
                biased;
                response = &mut queued.response => return queued.finish(response.ok(), || budget.deadline_exceeded()),
                () = self.lead(runner, Some(budget.deadline())) => {}
            }
        }

        let response =
            tokio::time::timeout_at(budget.deadline().into(), &mut queued.response).await;
        queued.finish(response.ok().and_then(Result::ok), || budget.deadline_exceeded())
    }

    /// Returns the permit to run a request without the queue, if it is expected to be alone and no
    /// other request waits.
    fn try_alone<C: Runner>(&self, runner: &C) -> Option<RunPermit<C::Permit>> {
        if !self.delay.is_zero() || self.lone_streak.should_yield() {
            return None;
        }

        let state = self.lock();
        let waits = !state.queue.is_empty() || state.has_leader || state.is_blocked;
        drop(state);
        if waits { None } else { self.try_acquire_permit(runner) }
    }
}
