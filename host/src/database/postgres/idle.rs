//! What waits to be used again, for a while and no longer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

/// What waits to be used again. Whatever nobody has asked for in time is dropped then, also if
/// nobody ever asks again.
pub(super) struct Idle<T>(Arc<Mutex<Waiting<T>>>);

struct Waiting<T> {
    patience: Duration,
    /// With when they came, the oldest first.
    things: Vec<(T, Instant)>,
    /// Somebody drops those whose time is over.
    watched: bool,
}

impl<T: Send + 'static> Idle<T> {
    /// Keeps things for so long.
    pub(super) fn new(patience: Duration) -> Self {
        Idle(Arc::new(Mutex::new(Waiting { patience, things: Vec::new(), watched: false })))
    }

    /// The last that came.
    pub(super) fn take(&self) -> Option<T> {
        let mut waiting = lock(&self.0);
        waiting.retire(Instant::now());
        waiting.things.pop().map(|(thing, _)| thing)
    }

    /// Keeps something for a while.
    pub(super) fn put(&self, thing: T) {
        let mut waiting = lock(&self.0);
        waiting.things.push((thing, Instant::now()));
        if waiting.watched {
            return;
        }
        // Without a runtime there is nobody who could ask for it either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            waiting.watched = true;
            runtime.spawn(watch(Arc::downgrade(&self.0)));
        }
    }

    /// Drops everything.
    pub(super) fn clear(&self) {
        lock(&self.0).things.clear();
    }
}

impl<T> Waiting<T> {
    /// Drops what has waited for too long. Tells when that is so of the next.
    fn retire(&mut self, now: Instant) -> Option<Instant> {
        self.things.retain(|(_, since)| now.duration_since(*since) < self.patience);
        self.things.first().map(|(_, since)| *since + self.patience)
    }
}

async fn watch<T>(waiting: Weak<Mutex<Waiting<T>>>) {
    while let Some(next) = retire(&waiting) {
        tokio::time::sleep_until(next).await;
    }
}

/// As [`Waiting::retire`]; `None` once nothing waits, and nobody watches any more.
fn retire<T>(waiting: &Weak<Mutex<Waiting<T>>>) -> Option<Instant> {
    let waiting = waiting.upgrade()?;
    let mut waiting = lock(&waiting);
    let next = waiting.retire(Instant::now());
    waiting.watched = next.is_some();
    next
}

fn lock<T>(waiting: &Mutex<Waiting<T>>) -> MutexGuard<'_, Waiting<T>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_asks_for_goes_by_itself() {
        let (idle, thing) = (Idle::new(Duration::from_millis(5)), Arc::new(()));
        // Also what comes when nothing was left to watch.
        for _ in 0..3 {
            idle.put(thing.clone());
            idle.put(thing.clone());
            while Arc::strong_count(&thing) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    #[tokio::test]
    async fn the_last_that_came_is_taken_first() {
        let idle = Idle::new(Duration::from_secs(3600));
        [1, 2].into_iter().for_each(|thing| idle.put(thing));
        assert_eq!((idle.take(), idle.take(), idle.take()), (Some(2), Some(1), None));
        idle.put(3);
        idle.clear();
        assert_eq!(idle.take(), None);
    }
}
