//! Versions with transient failures, and the times of their next tries.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{ModelName, Version};

/// Versions due within this time of the first are retried together with it.
const COALESCE_WINDOW: Duration = Duration::from_millis(500);

/// Versions to retry, the next one first.
#[derive(Default)]
pub(super) struct RetryQueue {
    due: BTreeSet<(Instant, ModelName, Version)>,
}

impl RetryQueue {
    /// Adds a version to retry at `due`.
    pub(super) fn add(&mut self, due: Instant, name: ModelName, version: Version) {
        self.due.insert((due, name, version));
    }

    /// Waits until a version is due; for ever if there is none.
    pub(super) async fn wait_until_due(&self) {
        match self.due.first() {
            Some((due, ..)) => tokio::time::sleep_until(*due).await,
            None => std::future::pending().await,
        }
    }

    /// Removes and returns the versions due at `now` or shortly after.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(ModelName, Version)> {
        let limit = now + COALESCE_WINDOW;
        let mut taken = Vec::new();
        while let Some(next) = self.due.pop_first() {
            if next.0 > limit {
                self.due.insert(next);
                break;
            }
            taken.push((next.1, next.2));
        }

        taken
    }

    /// Removes all versions.
    pub(super) fn clear(&mut self) {
        self.due.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn versions_due_at_about_the_same_time_are_retried_together() {
        let mut retries = RetryQueue::default();
        let iris = ModelName::new("iris").unwrap();
        let first = Version::new(1).unwrap();
        let now = Instant::now();
        let at = |millis| now + Duration::from_millis(millis);

        [0, 400, 2000].into_iter().for_each(|millis| retries.add(at(millis), iris.clone(), first));
        retries.wait_until_due().await;
        assert_eq!(retries.take_due(at(0)).len(), 2);
        assert_eq!(retries.take_due(at(1000)).len(), 0);
        assert_eq!(retries.take_due(at(2000)).len(), 1);
    }
}
