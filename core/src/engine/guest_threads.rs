//! The threads on which guests run.
//!
//! A call starts on the thread where its request arrived, because a hop between threads costs more
//! than a small model. If it does not finish within its first time slice (until a tick of the epoch
//! clock, or an import that waits), it moves to the guest threads. So no long call occupies a
//! thread that serves HTTP, and those threads notice disconnected clients at once. On a guest
//! thread a call runs only while it holds a turn of the process's [`FairScheduler`].

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::budget::ThreadKind;
use super::{Call, Engine};
use crate::model::InferError;
use crate::tenant::{CpuShare, FairScheduler, TurnTicket, set_idle_priority};

/// The threads to which long calls move.
pub struct GuestThreads {
    turns: Arc<FairScheduler>,
    // Taken on drop: a runtime must not be shut down blocking within another.
    runtime: Option<Runtime>,
}

impl GuestThreads {
    /// Starts as many threads as there are turns.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        Self::with_turns(engine.turns().clone())
    }

    fn with_turns(turns: Arc<FairScheduler>) -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder
            .worker_threads(turns.cores())
            .thread_name("guest")
            .enable_all()
            .on_thread_start(set_idle_priority);
        Ok(GuestThreads { turns, runtime: Some(builder.build()?) })
    }

    /// Runs a call, starting on the current thread if the tenant's turn permits it. Dropping the
    /// future ends the call at its next tick.
    // Boxed outside of the future: a call is large, and every enclosing future would otherwise
    // reserve room for it and be moved with it.
    pub fn run<T, F>(
        &self,
        call: &Call,
        work: F,
    ) -> impl Future<Output = Result<T, InferError>> + Send
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        let mut work = Box::pin(work);
        let call = call.clone();

        async move {
            if !self.turns.may_start(&call.share) {
                return self.run_on_guest_threads(call, work).await;
            }
            match poll_fn(|context| {
                Poll::Ready(self.poll_first_slice(&call, work.as_mut(), context))
            })
            .await
            {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => self.run_on_guest_threads(call, work).await,
            }
        }
    }

    /// Runs a call that is known to be long on the guest threads from its start.
    pub fn run_long<T, F>(
        &self,
        call: &Call,
        work: F,
    ) -> impl Future<Output = Result<T, InferError>> + Send
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        self.run_on_guest_threads(call.clone(), Box::pin(work))
    }

    /// Charges CPU time of the host's own work for a request to `share`.
    pub fn charge(&self, share: &CpuShare, time: Duration) {
        self.turns.charge(share, time);
    }

    fn poll_first_slice<F: Future>(
        &self,
        call: &Call,
        work: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        call.budget.resume(ThreadKind::Request);
        let outcome = work.poll(context);
        self.turns.charge(&call.share, call.budget.pause());
        outcome
    }

    async fn run_on_guest_threads<T, F>(
        &self,
        call: Call,
        work: Pin<Box<F>>,
    ) -> Result<T, InferError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        let Some(runtime) = &self.runtime else { return Err(InferError::Overloaded) };

        let deadline = call.budget.deadline();
        let late = call.budget.deadline_exceeded();
        let scheduled = ScheduledCall { turns: self.turns.clone(), call, ticket: None, work };
        let task = runtime.spawn(async move {
            // Ends a guest that waits, for its turn or in an import; the epoch clock ends one
            // that computes.
            tokio::time::timeout_at(deadline.into(), scheduled).await.unwrap_or(Err(late))
        });

        match AbortOnDrop(task).await {
            Ok(outcome) => outcome,
            Err(error) => Err(InferError::Internal(format!("a call's task ended early: {error}"))),
        }
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A call that runs only while it holds a turn, and is charged for its CPU time.
struct ScheduledCall<F> {
    turns: Arc<FairScheduler>,
    call: Call,
    /// `None` while the call waits for something other than a turn.
    ticket: Option<TurnTicket>,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for ScheduledCall<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let ticket = this.ticket.get_or_insert_with(|| this.turns.enqueue(&this.call.share));

        if !ticket.poll_granted(context) {
            return Poll::Pending;
        }

        this.call.budget.resume(ThreadKind::Guest);
        let outcome = this.work.as_mut().poll(context);
        this.turns.charge_in_turn(&this.call.share, this.call.budget.pause());

        if outcome.is_pending() && this.call.budget.take_yielded() {
            ticket.requeue(context);
        } else {
            this.ticket = None;
        }

        outcome
    }
}

/// Aborts the task on drop, when the request that waits for it is gone.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::capability::{CallContext, yield_if_large};
    use crate::engine::Budget;
    use crate::model::TenantName;
    use crate::tenant::{Tenant, TenantSettings};

    #[tokio::test]
    async fn a_call_moves_to_the_guest_threads_before_work_on_many_bytes() {
        let threads = GuestThreads::with_turns(FairScheduler::new(1)).unwrap();
        let tenant = Tenant::new(TenantName::default_tenant(), TenantSettings::default());
        let share = CpuShare::new(tenant.account().clone());
        let long = Duration::from_secs(600);

        for (bytes, moves) in [(100, false), (100 << 20, true)] {
            let budget = Budget::new(Instant::now(), long, long);
            let context = Arc::new(CallContext::default());
            let work = async move {
                yield_if_large(bytes).await;
                Ok(std::thread::current().name() == Some("guest"))
            };
            assert_eq!(
                threads.run(&Call { budget, share: share.clone(), context }, work).await,
                Ok(moves),
                "{bytes}"
            );
        }
    }
}
