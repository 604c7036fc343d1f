//! Keeps idle connections for reuse, for a limited time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

/// A list of idle items. Items that are not reused in time are dropped, even if the list is not
/// used again.
pub(super) struct Idle<T>(Arc<Mutex<Waiting<T>>>);

struct Waiting<T> {
    patience: Duration,
    /// Items with the time of their return, oldest first.
    things: Vec<(T, Instant)>,
    /// A task that drops expired items is running.
    watched: bool,
}

impl<T: Send + 'static> Idle<T> {
    /// Creates an empty list. Items expire after `patience`.
    pub(super) fn new(patience: Duration) -> Self {
        Idle(Arc::new(Mutex::new(Waiting { patience, things: Vec::new(), watched: false })))
    }

    /// Removes the most recently returned item.
    pub(super) fn take(&self) -> Option<T> {
        let mut waiting = lock(&self.0);
        waiting.retire(Instant::now());
        waiting.things.pop().map(|(thing, _)| thing)
    }

    /// Returns an item to the list.
    pub(super) fn put(&self, thing: T) {
        let mut waiting = lock(&self.0);
        waiting.things.push((thing, Instant::now()));

        if waiting.watched {
            return;
        }

        // Without a runtime, there is no caller that could reuse it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            waiting.watched = true;
            runtime.spawn(watch(Arc::downgrade(&self.0)));
        }
    }

    /// Drops all items.
    pub(super) fn clear(&self) {
        lock(&self.0).things.clear();
    }
}

impl<T> Waiting<T> {
    /// Drops expired items. Returns the expiry of the next one.
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

/// Drops expired items. Returns `None` if the list is empty or gone, which ends the task.
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
        // Also after the task has ended once.
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
