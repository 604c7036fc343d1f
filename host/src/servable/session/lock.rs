//! Session locks: at most one request or task chain works with a session, in order of arrival.
//!
//! A session has an entry only while it is locked or awaited. A waiter counts as a queued request,
//! so the number of waiters is bounded by the queue limits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::mutex::lock;

/// The locked sessions of one model.
#[derive(Default)]
pub(super) struct SessionLocks {
    sessions: Mutex<HashMap<Arc<str>, Arc<AsyncMutex<()>>>>,
}

/// Exclusive access to a session. On drop it passes to the longest waiter.
pub(super) struct SessionGuard {
    // Dropped first: the entry is removed only once its lock is free.
    _lock: OwnedMutexGuard<()>,
    _entry: LockEntry,
}

/// A reference to a session's entry, for its owner or a waiter.
struct LockEntry {
    locks: Arc<SessionLocks>,
    id: Arc<str>,
}

impl SessionLocks {
    /// Locks a session; returns `None` if it is locked or awaited.
    pub(super) fn try_lock(self: &Arc<Self>, id: &str) -> Option<SessionGuard> {
        let (entry, lock) = self.enter(id);
        Some(SessionGuard { _lock: lock.try_lock_owned().ok()?, _entry: entry })
    }

    /// Waits for a session's lock, in order of arrival. Dropping the future leaves the queue.
    pub(super) async fn lock(self: &Arc<Self>, id: &str) -> SessionGuard {
        let (entry, lock) = self.enter(id);
        // Tokio's mutex is fair and skips waiters that were dropped.
        SessionGuard { _lock: lock.lock_owned().await, _entry: entry }
    }

    /// True if a session is locked or awaited.
    pub(super) fn is_in_use(&self, id: &str) -> bool {
        self.entries().contains_key(id)
    }

    fn enter(self: &Arc<Self>, id: &str) -> (LockEntry, Arc<AsyncMutex<()>>) {
        let mut sessions = self.entries();

        let id = sessions.get_key_value(id).map_or_else(|| Arc::from(id), |(id, _)| id.clone());
        let lock = sessions.entry(id.clone()).or_default().clone();
        (LockEntry { locks: self.clone(), id }, lock)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<AsyncMutex<()>>>> {
        lock(&self.sessions)
    }
}

impl Drop for LockEntry {
    fn drop(&mut self) {
        let mut sessions = self.locks.entries();
        // Entries are only referenced under the map's lock, so a count of one means that no other
        // waiter exists.
        if sessions.get(&self.id).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            sessions.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;

    type Waiting = std::pin::Pin<Box<dyn Future<Output = SessionGuard>>>;

    /// A waiter, an owner, or neither.
    enum TestClient {
        Waits(Waiting),
        Owns(#[allow(dead_code)] SessionGuard),
        Gone,
    }

    fn poll(visitor: &mut TestClient) {
        let mut context = Context::from_waker(Waker::noop());
        if let TestClient::Waits(waiting) = visitor
            && let Poll::Ready(owner) = waiting.as_mut().poll(&mut context)
        {
            *visitor = TestClient::Owns(owner);
        }
    }

    proptest! {
        /// Waiters arrive, leave without the lock or release it, in any order: the first waiter
        /// present owns the session, and no entry remains once all are gone.
        #[test]
        fn the_first_waiter_owns_the_session(steps in prop::collection::vec((0..3_u8, any::<prop::sample::Index>()), 1..60)) {
            let locks = Arc::new(SessionLocks::default());
            let mut visitors: Vec<TestClient> = Vec::new();
            for (step, which) in steps {
                if step == 0 || visitors.is_empty() {
                    let locks = locks.clone();
                    visitors.push(TestClient::Waits(Box::pin(async move { locks.lock("s").await })));
                    // It joins the queue at the first poll.
                    poll(visitors.last_mut().unwrap());
                } else {
                    let index = which.index(visitors.len());
                    visitors[index] = TestClient::Gone;
                }
                visitors.iter_mut().for_each(poll);
                let there: Vec<_> = visitors.iter().filter(|visitor| !matches!(visitor, TestClient::Gone)).collect();
                let owners = there.iter().filter(|visitor| matches!(visitor, TestClient::Owns(_))).count();
                prop_assert_eq!(owners, usize::from(!there.is_empty()));
                prop_assert!(there.first().is_none_or(|first| matches!(first, TestClient::Owns(_))));
                prop_assert_eq!(locks.is_in_use("s"), !there.is_empty());
            }
            visitors.clear();
            prop_assert!(!locks.is_in_use("s"));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn every_waiter_gets_the_lock_alone() {
        let locks = Arc::new(SessionLocks::default());
        let inside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let visits = (0..2000).map(|number| {
            let locks = locks.clone();
            let inside = inside.clone();
            tokio::spawn(async move {
                let mut waiting = pin!(locks.lock(["a", "b", "c"][number % 3]));
                if number % 7 == 0 {
                    // Joins the queue and leaves at once.
                    let _ = futures_util::poll!(waiting.as_mut());
                    return;
                }
                let _owner = waiting.await;
                if number % 3 == 0 {
                    assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                }
            })
        });
        for visit in visits.collect::<Vec<_>>() {
            visit.await.unwrap();
        }
        assert!(locks.entries().is_empty());
    }

    #[test]
    fn sessions_do_not_wait_for_each_other() {
        let locks = Arc::new(SessionLocks::default());
        let one = locks.try_lock("one");
        let other = locks.try_lock("other");
        assert!(one.is_some() && other.is_some() && locks.try_lock("one").is_none());
        drop(one);
        assert!(locks.try_lock("one").is_some());
    }
}
