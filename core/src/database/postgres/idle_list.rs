//! A list of idle items for reuse. It drops items that are not reused in time.

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
    pub(super) fn new(timeout: Duration) -> Self {
        IdleList(Arc::new(Mutex::new(IdleItems { timeout, items: Vec::new(), has_dropper: false })))
    }

    /// Removes the most recently returned item.
    pub(super) fn take(&self) -> Option<T> {
        let mut idle = lock(&self.0);
        idle.drop_expired(Instant::now());
        idle.items.pop().map(|(item, _)| item)
    }

    /// Returns an item to the list.
    pub(super) fn put(&self, item: T) {
        let mut idle = lock(&self.0);
        idle.items.push((item, Instant::now()));

        if idle.has_dropper {
            return;
        }

        // Without a runtime the program is ending, and the list is not used again.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            idle.has_dropper = true;
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

async fn drop_expired_loop<T>(idle: Weak<Mutex<IdleItems<T>>>) {
    while let Some(next) = drop_expired_if_alive(&idle) {
        tokio::time::sleep_until(next).await;
    }
}

/// Drops expired items. Returns `None` if the list is empty or gone, which ends the task.
fn drop_expired_if_alive<T>(idle: &Weak<Mutex<IdleItems<T>>>) -> Option<Instant> {
    let idle = idle.upgrade()?;
    let mut idle = lock(&idle);
    let next = idle.drop_expired(Instant::now());

    idle.has_dropper = next.is_some();

    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn expired_items_are_dropped() {
        let (idle, item) = (IdleList::new(Duration::from_millis(5)), Arc::new(()));
        // Also after the task has ended once.
        for _ in 0..3 {
            idle.put(item.clone());
            idle.put(item.clone());

            while Arc::strong_count(&item) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    #[tokio::test]
    async fn most_recent_item_is_taken_first() {
        let idle = IdleList::new(Duration::from_secs(3600));
        [1, 2].into_iter().for_each(|item| idle.put(item));
        assert_eq!((idle.take(), idle.take(), idle.take()), (Some(2), Some(1), None));
        idle.put(3);
        idle.clear();
        assert_eq!(idle.take(), None);
    }
}
