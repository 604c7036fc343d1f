//! What handling a request costs the host, which its tenant pays for like for its guests' computing.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::servable::ServableHandle;

/// What the connection's side of a request takes: two system calls, reading the head, waking a thread. It is not
/// measured, because that would cost as much again; a bare handler takes 13 µs in all.
const EXCHANGE: Duration = Duration::from_micros(10);

/// Counts what handling a request takes, and charges it when dropped.
pub(in crate::api) struct Handling {
    servable: ServableHandle,
    time: Duration,
}

impl Handling {
    /// Begins to count a request for that version.
    pub(in crate::api) fn of(servable: &ServableHandle) -> Self {
        Handling { servable: servable.clone(), time: EXCHANGE }
    }

    /// Counts some of the work: it computes, here or where large bodies are worked on, and waits for nobody.
    pub(in crate::api) async fn count<T>(&mut self, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let outcome = work.await;
        self.time += started.elapsed();
        outcome
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.servable.charge_handling(self.time);
    }
}
