//! Runs one chain: one try after another until each task is done, has failed for good or is
//! cancelled.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Deferred, End, Live, Phase};
use crate::model::InferError;
use crate::servable::{ServableHandle, TaskChain, Tried};
use crate::store::{StoreError, since_1970, tasks};

/// Delay after a try was prevented by something other than the task.
const PAUSE: Duration = Duration::from_millis(200);

/// The result of a step of a chain.
enum Step {
    /// The chain goes on with its next task.
    Next,
    /// The server is stopping; the remaining tasks stay on disk.
    Leave,
}

impl Deferred {
    pub(super) async fn work_off(self, mut chain: TaskChain, live: Arc<Live>, end: End) {
        let work = async {
            chain.may_begin().await;
            loop {
                let step = match self.next(&chain).await {
                    Some(Some(next)) => self.step(&chain, &live, next).await,
                    Some(None) => return Step::Next,
                    None => Step::Leave,
                };
                if let Step::Leave = step {
                    return step;
                }
            }
        };

        let step = tokio::select! {
            step = work => step,
            () = live.dismissed.notified() => Step::Next,
            () = self.until_phase(Phase::Stopped) => Step::Leave,
        };

        drop(end);
        if let Step::Leave = step {
            self.leave(chain);
        }
    }

    /// Reads the next task; returns `Some(None)` after the last, and `None` if the store cannot be
    /// read and the server is stopping.
    async fn next(&self, chain: &TaskChain) -> Option<Option<tasks::Next>> {
        loop {
            match chain.next().await {
                Ok(next) => return Some(next),
                Err(error) => tell(chain, &error),
            }
            if *self.inner.phase.borrow() > Phase::Serving {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until a task is due and tries it, unless it is cancelled first.
    async fn step(&self, chain: &TaskChain, live: &Live, next: tasks::Next) -> Step {
        let id = next.id;

        let mut attempt = pin!(self.attempt(chain, live, next));
        loop {
            tokio::select! {
                step = &mut attempt => return step,
                () = live.touched.notified() => {
                    // The cancelled task may be another one of the chain.
                    if let Ok(false) = chain.has(id).await {
                        live.running.store(0, Ordering::Relaxed);
                        return Step::Next;
                    }
                }
            }
        }
    }

    async fn attempt(&self, chain: &TaskChain, live: &Live, next: tasks::Next) -> Step {
        if !self.until(next.due).await {
            return Step::Leave;
        }
        let Some(servable) = self.serving(chain).await else { return Step::Leave };
        let instances = servable.settings().instances.max;
        // Waiting must not keep the version from draining.
        drop(servable);
        let _place = self.inner.places.take(chain.tenant().name(), chain.model(), instances).await;
        let Some(servable) = self.serving(chain).await else { return Step::Leave };

        live.running.store(next.id, Ordering::Relaxed);
        let tried = servable.try_task(chain, next.id).await;
        live.running.store(0, Ordering::Relaxed);
        drop(servable);
        self.conclude(chain, next.id, tried).await
    }

    async fn conclude(
        &self,
        chain: &TaskChain,
        task: i64,
        tried: Result<Tried, InferError>,
    ) -> Step {
        let (tenant, model, request) = (chain.tenant().name(), chain.model(), chain.id());
        match tried {
            Ok(Tried::GivenUp) => {
                tracing::warn!(%tenant, %model, task, chain = request, "a deferred task was given up")
            }
            Ok(outcome) => {
                tracing::debug!(%tenant, %model, task, chain = request, ?outcome, "a deferred task")
            }
            Err(error) => {
                tracing::debug!(%tenant, %model, task, %error, detail = error.private(), "a deferred task has to wait");
                tokio::time::sleep(PAUSE).await;
            }
        }
        Step::Next
    }

    /// Waits until the host's clock reaches `due`. Returns false if the server drains before that.
    async fn until(&self, due: i64) -> bool {
        let left = due.saturating_sub(since_1970());
        let Ok(left @ 1..) = u64::try_from(left) else { return true };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(left)) => true,
            () = self.until_phase(Phase::Draining) => false,
        }
    }

    /// Waits until a version of the chain's model serves. Returns `None` if the server drains
    /// before that.
    async fn serving(&self, chain: &TaskChain) -> Option<ServableHandle> {
        let mut changes = self.inner.registry.changes();
        loop {
            changes.borrow_and_update();
            if let Ok(servable) =
                self.inner.registry.find(chain.tenant().name(), chain.model().as_str(), None)
            {
                // A later tenant with the same name finds these tasks on disk. This chain is about
                // to be dismissed.
                if Arc::ptr_eq(servable.maker().tenant(), chain.tenant()) {
                    return Some(servable);
                }
            }
            tokio::select! {
                changed = changes.changed() => changed.ok()?,
                () = self.until_phase(Phase::Draining) => return None,
            }
        }
    }
}

fn tell(chain: &TaskChain, error: &StoreError) {
    let (tenant, model) = (chain.tenant().name(), chain.model());
    tracing::warn!(%tenant, %model, %error, "cannot read which task comes next");
}
