//! Limits the number of concurrent deferred tasks of each model.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::{ModelName, TenantName};
use crate::mutex::lock;

/// One semaphore for each model with running tasks. Its size is fixed when the first of them
/// starts.
#[derive(Default)]
pub(super) struct TaskConcurrency {
    models: Mutex<HashMap<(TenantName, ModelName), Weak<Semaphore>>>,
}

/// The permit to run a task, returned on drop.
pub(super) struct TaskPermit {
    _permit: Option<OwnedSemaphorePermit>,
    _semaphore: Arc<Semaphore>,
}

impl TaskConcurrency {
    /// Waits for a permit, in order of arrival. Half of the model's instances, but at least one,
    /// may run tasks; the others are left for requests.
    pub(super) async fn acquire(
        &self,
        tenant: &TenantName,
        model: &ModelName,
        instances: u32,
    ) -> TaskPermit {
        let semaphore = self.semaphore(tenant, model, instances);
        // The semaphore is never closed.
        TaskPermit { _permit: semaphore.clone().acquire_owned().await.ok(), _semaphore: semaphore }
    }

    fn semaphore(&self, tenant: &TenantName, model: &ModelName, instances: u32) -> Arc<Semaphore> {
        let mut models = lock(&self.models);
        let key = (tenant.clone(), model.clone());
        if let Some(known) = models.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        models.retain(|_, semaphore| semaphore.strong_count() > 0);

        let semaphore = Arc::new(Semaphore::new((instances / 2).max(1) as usize));
        models.insert(key, Arc::downgrade(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn half_of_the_instances_but_at_least_one_run_tasks() {
        let places = TaskConcurrency::default();
        let tenant = TenantName::default_tenant();
        for (model, instances, at_once) in [("a", 8, 4), ("b", 1, 1)] {
            let model = ModelName::new(model).unwrap();
            let take = || places.acquire(&tenant, &model, instances).now_or_never();
            let taken: Vec<_> = (0..10).filter_map(|_| take()).collect();
            assert_eq!(taken.len(), at_once);
            drop(taken);
            assert!(take().is_some());
        }
    }
}
