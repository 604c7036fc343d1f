//! Runs one chain: one try after another until each task is done, has failed for good or is
//! cancelled.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Phase, RunningChain, RunningChainGuard, TaskRunner};
use crate::model::InferError;
use crate::servable::{ServableHandle, TaskChain, TaskOutcome};
use crate::store::tasks::NextTask;
use crate::store::{StoreError, unix_millis};

/// Delay after a try was prevented by something other than the task.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The result of a step of a chain.
enum NextStep {
    /// The chain goes on with its next task.
    Next,
    /// The server is stopping; the remaining tasks stay on disk.
    Leave,
}

impl TaskRunner {
    pub(super) async fn run_chain(
        self,
        mut chain: TaskChain,
        running: Arc<RunningChain>,
        guard: RunningChainGuard,
    ) {
        let work = async {
            chain.wait_for_response().await;
            loop {
                let step = match self.next(&chain).await {
                    Some(Some(next)) => self.try_unless_cancelled(&chain, &running, next).await,
                    Some(None) => return NextStep::Next,
                    None => NextStep::Leave,
                };
                if let NextStep::Leave = step {
                    return step;
                }
            }
        };

        let step = tokio::select! {
            step = work => step,
            () = running.tenant_removed.notified() => NextStep::Next,
            () = self.wait_for_phase(Phase::Stopped) => NextStep::Leave,
        };

        drop(guard);
        if let NextStep::Leave = step {
            self.leave(chain);
        }
    }

    /// Reads the next task; returns `Some(None)` after the last, and `None` if the store cannot be
    /// read and the server is stopping.
    async fn next(&self, chain: &TaskChain) -> Option<Option<NextTask>> {
        loop {
            match chain.next().await {
                Ok(next) => return Some(next),
                Err(error) => log_read_failure(chain, &error),
            }
            if *self.inner.phase.borrow() > Phase::Serving {
                return None;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Waits until a task is due and tries it, unless it is cancelled first.
    async fn try_unless_cancelled(
        &self,
        chain: &TaskChain,
        running: &RunningChain,
        next: NextTask,
    ) -> NextStep {
        let id = next.id;

        let mut attempt = pin!(self.try_when_due(chain, running, next));
        loop {
            tokio::select! {
                step = &mut attempt => return step,
                () = running.task_cancelled.notified() => {
                    // The cancelled task may be another one of the chain.
                    if let Ok(false) = chain.is_pending(id).await {
                        running.running_task.store(0, Ordering::Relaxed);
                        return NextStep::Next;
                    }
                }
            }
        }
    }

    async fn try_when_due(
        &self,
        chain: &TaskChain,
        running: &RunningChain,
        next: NextTask,
    ) -> NextStep {
        if !self.wait_until_due(next.due).await {
            return NextStep::Leave;
        }
        let Some(servable) = self.wait_for_servable(chain).await else { return NextStep::Leave };
        let instances = servable.settings().instances.max;
        // Waiting must not keep the version from draining.
        drop(servable);
        let _permit =
            self.inner.concurrency.acquire(chain.tenant().name(), chain.model(), instances).await;
        let Some(servable) = self.wait_for_servable(chain).await else { return NextStep::Leave };

        running.running_task.store(next.id, Ordering::Relaxed);
        let tried = servable.try_task(chain, next.id).await;
        running.running_task.store(0, Ordering::Relaxed);
        drop(servable);

        self.log_try(chain, next.id, tried).await
    }

    /// Logs the outcome of a try. Pauses after a task that was not tried.
    async fn log_try(
        &self,
        chain: &TaskChain,
        task: i64,
        tried: Result<TaskOutcome, InferError>,
    ) -> NextStep {
        let tenant = chain.tenant().name();
        let model = chain.model();
        let id = chain.id();

        match tried {
            Ok(TaskOutcome::Failed) => {
                tracing::warn!(%tenant, %model, task, chain = id, "a deferred task failed for good")
            }
            Ok(outcome) => {
                tracing::debug!(%tenant, %model, task, chain = id, ?outcome, "a deferred task was tried")
            }
            Err(error) => {
                tracing::debug!(%tenant, %model, task, %error, detail = error.private_detail(), "a deferred task was not tried");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
        NextStep::Next
    }

    /// Waits until the host's clock reaches `due`. Returns false if the server drains before that.
    async fn wait_until_due(&self, due: i64) -> bool {
        let left = due.saturating_sub(unix_millis());
        let Ok(left @ 1..) = u64::try_from(left) else { return true };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(left)) => true,
            () = self.wait_for_phase(Phase::Draining) => false,
        }
    }

    /// Waits until a version of the chain's model serves. Returns `None` if the server drains
    /// before that.
    async fn wait_for_servable(&self, chain: &TaskChain) -> Option<ServableHandle> {
        let mut changes = self.inner.registry.changes();
        loop {
            changes.borrow_and_update();
            if let Ok(servable) =
                self.inner.registry.find(chain.tenant().name(), chain.model().as_str(), None)
            {
                // A later tenant with the same name finds these tasks on disk. This chain is about
                // to be dismissed.
                if Arc::ptr_eq(servable.factory().tenant(), chain.tenant()) {
                    return Some(servable);
                }
            }
            tokio::select! {
                changed = changes.changed() => changed.ok()?,
                () = self.wait_for_phase(Phase::Draining) => return None,
            }
        }
    }
}

fn log_read_failure(chain: &TaskChain, error: &StoreError) {
    let tenant = chain.tenant().name();
    let model = chain.model();
    tracing::warn!(%tenant, %model, %error, "cannot read the next deferred task");
}
