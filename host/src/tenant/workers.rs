//! The threads on which the host works for tenants: decoding, encoding, hashing, and whatever else may take long.
//!
//! They run where guests run, behind whoever reads requests, and the work takes turns with the guests of all tenants
//! ([`Meter`]). A few pieces of work of one tenant are under way at once; others wait in order and hold no thread.
//!
//! [`Meter`]: super::Meter

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::pace::{Pace, Stopped, Waiting};
use super::{InTurns, Payer, Share, Turns, step_back};

/// Threads in all. Work that has no thread waits for one.
const THREADS: usize = 128;

/// A thread ends when there has been no work for so long.
const IDLE: Duration = Duration::from_secs(10);

/// Why a piece of work was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undone {
    /// It ended early.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// It panicked, or the process is ending.
    #[error("{0}")]
    Failed(String),
}

/// The threads for the host's work. A clone shares them.
#[derive(Clone)]
pub struct Workers(Arc<Shared>);

struct Shared {
    turns: Arc<Turns>,
    nobody: Payer,
    // Taken on drop: a runtime may not be waited for from within another.
    runtime: Option<Runtime>,
}

impl Workers {
    /// Threads whose work takes these turns. None is started before there is work.
    pub fn new(turns: Arc<Turns>) -> std::io::Result<Self> {
        let mut builder = Builder::new_current_thread();
        builder.max_blocking_threads(THREADS).thread_keep_alive(IDLE).thread_name("work").on_thread_start(step_back);
        Ok(Workers(Arc::new(Shared { turns, nobody: Payer::nobody(), runtime: Some(builder.build()?) })))
    }

    /// The turns that the work takes.
    pub fn turns(&self) -> &Arc<Turns> {
        &self.0.turns
    }

    /// Who pays for work that is done for no tenant.
    pub fn nobody(&self) -> &Payer {
        &self.0.nobody
    }

    /// Has work go on where it is polled, in turns and at a payer's expense.
    pub fn in_turns<F: Future>(&self, payer: &Payer, work: F) -> InTurns<F> {
        InTurns::new(self.0.turns.clone(), payer.share().clone(), work)
    }

    /// Does work for a payer, charged to that share of its. Dropping the future ends the work at its next
    /// checkpoint. Fails if the work has not ended at `until`.
    pub async fn run<T: Send + 'static>(
        &self,
        payer: &Payer,
        share: &Arc<Share>,
        until: Instant,
        work: impl FnOnce(&Pace) -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let place = tokio::time::timeout_at(until.into(), payer.place()).await;
        let place = place.map_err(|_elapsed| Stopped::Late)?;
        let (waiting, share) = (Waiting::begin(), share.clone());
        let (turns, abandoned) = (self.0.turns.clone(), waiting.abandoned());
        let work = move || {
            // Given back when the work ends, whether somebody waits for it or not.
            let _place = place;
            let _ticking = turns.keep_ticking();
            Pace::in_turns(turns, share, Some(until), abandoned).run(work)
        };
        let Some(runtime) = &self.0.runtime else { return Err(ending()) };
        let outcome = runtime.spawn_blocking(work).await;
        drop(waiting);
        Ok(outcome.map_err(|fault| Undone::Failed(fault.to_string()))??)
    }

    /// Does work for a payer while the present thread waits for it, which must be one that may block. It takes no place:
    /// whoever asks so has one piece of work at a time. It ends at its next checkpoint once `abandoned` is true.
    pub fn run_and_wait<T: Send + 'static>(
        &self,
        share: &Arc<Share>,
        abandoned: &Arc<AtomicBool>,
        work: impl FnOnce(&Pace) -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let (turns, share, abandoned) = (self.0.turns.clone(), share.clone(), abandoned.clone());
        let (reply, answer) = sync_channel(1);
        let work = move || {
            let _ticking = turns.keep_ticking();
            // The thread that waits may have ended.
            let _ = reply.send(Pace::in_turns(turns, share, None, abandoned).run(work));
        };
        let Some(runtime) = &self.0.runtime else { return Err(ending()) };
        drop(runtime.spawn_blocking(work));
        Ok(answer.recv().map_err(|_lost| Undone::Failed("the work ended unexpectedly".into()))??)
    }
}

fn ending() -> Undone {
    Undone::Failed("the process is ending".into())
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
