//! The threads for host work: decoding, encoding, hashing and other work that may take long.
//!
//! They have idle priority, like the guest threads, and their work takes turns with the guests of
//! all tenants. A few pieces of work of one tenant run at once; others wait in order and hold no
//! thread.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::pacer::{CancelOnDrop, Pacer, Stopped};
use super::{CpuShare, FairScheduler, Helpers, Payer, TurnFuture, set_idle_priority};

/// Bytes that the host reads or writes in about a millisecond. Below it, a switch to another thread
/// costs more than it saves the other tenants.
pub const INLINE_LIMIT: usize = 256 << 10;

/// Number of threads. Work beyond it waits for a thread.
const MAX_THREADS: usize = 128;

/// Time after which an idle thread ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The reason for which a piece of work was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// It ended early.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// It panicked, or the process is ending.
    #[error("{0}")]
    Failed(String),
}

/// The threads for host work. A clone shares them.
#[derive(Clone)]
pub struct Workers(Arc<Shared>);

struct Shared {
    turns: Arc<FairScheduler>,
    helpers: Helpers,
    host_payer: Payer,
    // Taken on drop: a runtime must not be shut down by waiting within another.
    runtime: Option<Runtime>,
}

impl Workers {
    /// Threads whose work takes these turns. None is started before there is work.
    pub fn new(turns: Arc<FairScheduler>) -> std::io::Result<Self> {
        let mut builder = Builder::new_current_thread();
        builder
            .max_blocking_threads(MAX_THREADS)
            .thread_keep_alive(IDLE_TIMEOUT)
            .thread_name("work")
            .on_thread_start(set_idle_priority);
        Ok(Workers(Arc::new(Shared {
            helpers: Helpers::new(turns.clone()),
            turns,
            host_payer: Payer::for_host(),
            runtime: Some(builder.build()?),
        })))
    }

    /// The turns that the work takes.
    pub fn turns(&self) -> &Arc<FairScheduler> {
        &self.0.turns
    }

    /// The threads that help calls, which take the same turns.
    pub fn helpers(&self) -> &Helpers {
        &self.0.helpers
    }

    /// The payer of work without a tenant.
    pub fn host_payer(&self) -> &Payer {
        &self.0.host_payer
    }

    /// Wraps a future so that it runs where it is polled, in the turns of its payer.
    pub fn run_in_turns<F: Future>(&self, payer: &Payer, work: F) -> TurnFuture<F> {
        TurnFuture::new(self.0.turns.clone(), payer.share().clone(), work)
    }

    /// Runs work for a payer, charged to `share`. Dropping the future ends the work at its next
    /// checkpoint. Fails if the work has not ended at `deadline`.
    pub async fn run<T: Send + 'static>(
        &self,
        payer: &Payer,
        share: &Arc<CpuShare>,
        deadline: Instant,
        work: impl FnOnce(&Pacer) -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        let permit = tokio::time::timeout_at(deadline.into(), payer.acquire()).await;
        let permit = permit.map_err(|_elapsed| Stopped::DeadlineExceeded)?;

        let cancel_on_drop = CancelOnDrop::new();
        let cancelled = cancel_on_drop.cancelled();
        let share = share.clone();
        let turns = self.0.turns.clone();
        let work = move || {
            // Released when the work ends, even if its caller is gone.
            let _permit = permit;
            let _ticking = turns.keep_ticking();
            Pacer::metered_by(turns, share, Some(deadline), cancelled).run(work)
        };

        let Some(runtime) = &self.0.runtime else { return Err(shutting_down()) };
        let outcome = runtime.spawn_blocking(work).await;
        drop(cancel_on_drop);
        Ok(outcome.map_err(|fault| WorkError::Failed(fault.to_string()))??)
    }

    /// Runs work while the current thread, which must be one that may block, waits for it. It needs
    /// no permit: each of its callers has one piece of work at a time. It ends at its next
    /// checkpoint once `cancelled` is true.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        share: &Arc<CpuShare>,
        cancelled: &Arc<AtomicBool>,
        work: impl FnOnce(&Pacer) -> T + Send + 'static,
    ) -> Result<T, WorkError> {
        let turns = self.0.turns.clone();
        let share = share.clone();
        let cancelled = cancelled.clone();
        let (reply, answer) = sync_channel(1);
        let work = move || {
            let _ticking = turns.keep_ticking();
            // The waiting thread may have ended.
            let _ = reply.send(Pacer::metered_by(turns, share, None, cancelled).run(work));
        };

        let Some(runtime) = &self.0.runtime else { return Err(shutting_down()) };
        drop(runtime.spawn_blocking(work));
        Ok(answer
            .recv()
            .map_err(|_lost| WorkError::Failed("the work ended unexpectedly".into()))??)
    }
}

fn shutting_down() -> WorkError {
    WorkError::Failed("the process is ending".into())
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::{Tenant, thread_time};
    use super::*;
    use crate::model::TenantName;

    fn tenant() -> Arc<Tenant> {
        Tenant::unlimited(TenantName::default_tenant())
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn work_runs_on_worker_threads_and_is_charged() {
        let workers = Workers::new(FairScheduler::new(1)).unwrap();
        let tenant = tenant();
        let work = |pace: &Pacer| {
            let start = thread_time();
            while thread_time() - start < Duration::from_millis(5) {
                pace.checkpoint().unwrap();
            }
            std::thread::current().name().map(str::to_owned)
        };
        let thread =
            workers.run(tenant.payer(), tenant.payer().share(), later(), work).await.unwrap();

        assert_eq!(thread.as_deref(), Some("work"));
        assert!(tenant.account().used() >= 5_000_000, "{}", tenant.account().used());
    }

    #[tokio::test]
    async fn work_ends_at_its_deadline_and_when_it_is_cancelled() {
        let workers = Workers::new(FairScheduler::new(1)).unwrap();
        let tenant = tenant();
        let endless = |pace: &Pacer| while pace.checkpoint().is_ok() {};
        let soon = Instant::now() + Duration::from_millis(20);
        let late = workers.run(tenant.payer(), tenant.payer().share(), soon, endless).await;

        assert_eq!(late, Err(WorkError::Stopped(Stopped::DeadlineExceeded)));

        let (begun, running) = tokio::sync::oneshot::channel();
        let (told, ended) = tokio::sync::oneshot::channel();
        let endless = move |pace: &Pacer| {
            begun.send(()).unwrap();
            while pace.checkpoint().is_ok() {}
            told.send(()).unwrap();
        };
        let waiting = workers.run(tenant.payer(), tenant.payer().share(), later(), endless);

        // Dropping the future cancels the work, which has started.
        tokio::select! {
            ended = waiting => panic!("endless work ended: {ended:?}"),
            running = running => running.unwrap(),
        }
        ended.await.unwrap();
    }

    #[tokio::test]
    async fn four_pieces_of_one_tenant_run_at_once_and_others_wait_in_order() {
        let workers = Workers::new(FairScheduler::new(1)).unwrap();
        let tenant = tenant();
        let order = Mutex::default();
        let at_once = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let all = Arc::new((order, at_once, most));
        let works = (0..20).map(|number| {
            let all = all.clone();
            let work = move |_: &Pacer| {
                let (order, at_once, most): &(Mutex<Vec<usize>>, _, _) = &all;
                order.lock().unwrap().push(number);
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                at_once.fetch_sub(1, Ordering::SeqCst);
            };
            workers.run(tenant.payer(), tenant.payer().share(), later(), work)
        });

        futures_util::future::join_all(works).await;
        let (order, _, most) = &*all;
        let order = order.lock().unwrap();

        assert_eq!(order.len(), 20);
        assert!(most.load(Ordering::SeqCst) <= 4);

        // At most three others run. Their threads may not have started yet, so earlier ones may be
        // missing.
        let earlier =
            |index: usize| order[..index].iter().filter(|&&before| before < order[index]).count();
        assert!((0..20).all(|index| order[index] - earlier(index) < 4), "{order:?}");
    }

    #[tokio::test]
    async fn a_panic_fails_only_its_own_work() {
        let workers = Workers::new(FairScheduler::new(1)).unwrap();
        let tenant = tenant();
        for _ in 0..8 {
            let work = |_: &Pacer| assert!(std::hint::black_box(false), "as it should");
            let failed = workers.run(tenant.payer(), tenant.payer().share(), later(), work).await;
            assert!(matches!(failed, Err(WorkError::Failed(_))), "{failed:?}");
        }

        assert_eq!(
            workers.run(tenant.payer(), tenant.payer().share(), later(), |_| 7).await,
            Ok(7)
        );
    }

    #[test]
    fn a_thread_can_wait_for_work_and_cancel_it() {
        let workers = Workers::new(FairScheduler::new(1)).unwrap();
        let tenant = tenant();
        let abandoned = Arc::new(AtomicBool::new(false));
        assert_eq!(workers.run_blocking(tenant.payer().share(), &abandoned, |_| 7), Ok(7));
        abandoned.store(true, Ordering::Relaxed);
        let stopped = workers.run_blocking(tenant.payer().share(), &abandoned, |_| 7);
        assert_eq!(stopped, Err(WorkError::Stopped(Stopped::Cancelled)));
    }
}
