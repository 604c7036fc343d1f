//! Where guests run.
//!
//! A call starts on the thread where its request arrived, because a hop between threads costs more
//! than a small model. If it is not done within its first slice (a tick of the engine's clock, or an
//! import that has to wait) it moves to the guest threads, so nothing long ever sits on a thread that
//! serves HTTP, and the threads that serve HTTP notice at once when a client goes away.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::Budget;
use crate::model::InferError;

/// The threads that long calls move to.
pub struct GuestThreads {
    // Taken on drop: a runtime may not be waited for from within another.
    runtime: Option<Runtime>,
}

impl GuestThreads {
    /// Starts that many threads.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(threads).thread_name("guest").enable_all().build()?;
        Ok(GuestThreads { runtime: Some(runtime) })
    }

    /// Runs a call within its budget, beginning on the present thread. Dropping the future ends the
    /// call at its next tick.
    // Boxed at once and not within the future: a call is large, and every future around it would have
    // room for it and be moved with it.
    pub fn run<T, F>(&self, budget: Budget, call: F) -> impl Future<Output = Result<T, InferError>> + Send
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        let mut call = Metered { budget, call: Box::pin(call) };
        async move {
            match poll_fn(|context| Poll::Ready(Pin::new(&mut call).poll(context))).await {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => self.continue_elsewhere(call).await,
            }
        }
    }

    /// Runs a call that is known to be long, from its start, on the guest threads.
    pub fn run_long<T, F>(&self, budget: Budget, call: F) -> impl Future<Output = Result<T, InferError>> + Send
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        self.continue_elsewhere(Metered { budget, call: Box::pin(call) })
    }

    async fn continue_elsewhere<T, F>(&self, call: Metered<F>) -> Result<T, InferError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        let Some(runtime) = &self.runtime else { return Err(InferError::Overloaded) };
        let (deadline, late) = (call.budget.deadline(), call.budget.deadline_exceeded());
        let task = runtime.spawn(async move {
            // Ends a guest that waits inside an import; one that computes is stopped by its ticks.
            tokio::time::timeout_at(deadline.into(), call).await.unwrap_or(Err(late))
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

/// A call that counts the time it spends running.
struct Metered<F> {
    budget: Budget,
    call: Pin<Box<F>>,
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.budget.resume();
        let outcome = self.call.as_mut().poll(context);
        self.budget.pause();
        outcome
    }
}

/// Ends the task when the request that waits for it is gone.
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
