//! The times at which models are looked at again for versions to prune.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use crate::model::ModelName;

/// One time for each model.
#[derive(Default)]
pub(super) struct PruneSchedule {
    by_time: BTreeSet<(Instant, ModelName)>,
    by_model: HashMap<ModelName, Instant>,
}

impl PruneSchedule {
    /// Replaces the time of a model; `None` removes it.
    pub(super) fn set(&mut self, name: &ModelName, due: Option<Instant>) {
        if let Some(before) = self.by_model.remove(name) {
            self.by_time.remove(&(before, name.clone()));
        }
        if let Some(due) = due {
            self.by_model.insert(name.clone(), due);
            self.by_time.insert((due, name.clone()));
        }
    }

    /// Waits until a model is due; for ever if there is none.
    pub(super) async fn wait_until_due(&self) {
        match self.by_time.first() {
            Some((due, _)) => tokio::time::sleep_until(*due).await,
            None => std::future::pending().await,
        }
    }

    /// Removes and returns the models that are due at `now`.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<ModelName> {
        let due = self.by_time.iter().take_while(|(due, _)| *due <= now);
        let due: Vec<_> = due.map(|(_, name)| name.clone()).collect();
        due.iter().for_each(|name| self.set(name, None));
        due
    }

    /// Removes all models.
    pub(super) fn clear(&mut self) {
        *self = PruneSchedule::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_model_is_due_once_at_its_last_time() {
        let mut schedule = PruneSchedule::default();
        let [iris, rent] = ["iris", "rent"].map(|name| ModelName::new(name).unwrap());
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);

        schedule.set(&iris, Some(at(0)));
        schedule.set(&iris, Some(at(5)));
        schedule.set(&rent, Some(at(0)));
        schedule.wait_until_due().await;
        assert_eq!(schedule.take_due(at(0)), std::slice::from_ref(&rent));
        assert_eq!(schedule.take_due(at(4)), []);
        schedule.set(&rent, Some(at(7)));
        schedule.set(&rent, None);
        assert_eq!(schedule.take_due(at(9)), [iris]);
        assert_eq!(schedule.take_due(at(9)), []);
    }
}
