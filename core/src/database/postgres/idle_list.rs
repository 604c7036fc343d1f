//! Keeps idle connections for reuse, for a limited time.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::mutex::lock;

/// A list of idle items. Items that are not reused in time are dropped, even if the list is not
/// used again.
pub(super) struct IdleList<T>(Arc<Mutex<IdleItems<T>>>);

struct IdleItems<T> {
    timeout: Duration,
    /// Items with the time of their return, oldest first.
    items: Vec<(T, Instant)>,
    /// A task that drops expired items is running.
    has_dropper: bool,
}

impl<T: Send + 'static> IdleList<T> {
    /// Creates an empty list. Items expire after `timeout`.
    pub(super) fn new(patience: Duration) -> Self {
        IdleList(Arc::new(Mutex::new(IdleItems {
            timeout: patience,
            items: Vec::new(),
            has_dropper: false,
        })))
    }

    /// Removes the most recently returned item.
    pub(super) fn take(&self) -> Option<T> {
        let mut waiting = lock(&self.0);
        waiting.drop_expired(Instant::now());
        waiting.items.pop().map(|(thing, _)| thing)
    }

    /// Returns an item to the list.
    pub(super) fn put(&self, thing: T) {
        let mut waiting = lock(&self.0);
        waiting.items.push((thing, Instant::now()));

        if waiting.has_dropper {
            return;
        }

        // Without a runtime, there is no caller that could reuse it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            waiting.has_dropper = true;
            runtime.spawn(drop_expired_loop(Arc::downgrade(&self.0)));
        }
    }

    /// Drops all items.
    pub(super) fn clear(&self) {
        lock(&self.0).items.clear();
    }
}

impl<T> IdleItems<T> {
    /// Drops expired items. Returns the expiry of the next one.
    fn drop_expired(&mut self, now: Instant) -> Option<Instant> {
        self.items.retain(|(_, since)| now.duration_since(*since) < self.timeout);
        self.items.first().map(|(_, since)| *since + self.timeout)
    }
}

async fn drop_expired_loop<T>(waiting: Weak<Mutex<IdleItems<T>>>) {
    while let Some(next) = drop_expired_if_alive(&waiting) {
        tokio::time::sleep_until(next).await;
    }
}

/// Drops expired items. Returns `None` if the list is empty or gone, which ends the task.
fn drop_expired_if_alive<T>(waiting: &Weak<Mutex<IdleItems<T>>>) -> Option<Instant> {
    let waiting = waiting.upgrade()?;
    let mut waiting = lock(&waiting);
    let next = waiting.drop_expired(Instant::now());

    waiting.has_dropper = next.is_some();

    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn expired_items_are_dropped() {
        let (idle, thing) = (IdleList::new(Duration::from_millis(5)), Arc::new(()));
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
    async fn most_recent_item_is_taken_first() {
        let idle = IdleList::new(Duration::from_secs(3600));
        [1, 2].into_iter().for_each(|thing| idle.put(thing));
        assert_eq!((idle.take(), idle.take(), idle.take()), (Some(2), Some(1), None));
        idle.put(3);
        idle.clear();
        assert_eq!(idle.take(), None);
    }
}
