//! Events of sources: announcements, a replaced repository, a removed tenant.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::interceptors::Change;
use super::super::tenants::TenantRecord;
use super::{MODELS_IN_A_ROW, Task};
use crate::model::ModelName;
use crate::repository::{Aspired, Degraded};

impl Task {
    /// Accepts announcements from another source from now on.
    pub(super) fn move_to(&mut self, source: u64) {
        self.owner = self.owner.take().map(|before| before.moved(source));
        self.merged = None;
    }

    /// Removes the tenant: all its models are unloaded.
    pub(super) async fn leave(&mut self) {
        self.owner = None;
        // The task is the last sender, and must still receive the events of its drains.
        self.own_mailbox = self.events.upgrade();
        self.retries.clear();
        self.readiness.forget(&self.tenant);

        for record in self.models.values_mut() {
            record.see(std::iter::empty());
            record.leave_place();
        }

        let names: Vec<_> = self.models.keys().cloned().collect();
        self.drive_all(names).await;
    }

    /// Merges an announcement. Models that it does not hold keep their records until they are
    /// unloaded.
    pub(super) async fn merge(&mut self, aspired: Arc<Aspired>) {
        if self.merged.as_ref().is_some_and(|merged| Arc::ptr_eq(merged, &aspired)) {
            return;
        }
        if !self.owner.as_mut().is_some_and(|record| record.see(&aspired)) {
            return;
        }
        self.merged = Some(aspired.clone());
        let degraded =
            aspired.degraded.clone().or_else(|| aspired.partial.clone().map(Degraded::from));
        self.degraded.store(degraded.map(Arc::new));
        if aspired.degraded.is_some() {
            return;
        }
        let names = aspired.seen.iter().map(|seen| seen.name().clone());
        let names: BTreeSet<_> = names.chain(self.models.keys().cloned()).collect();
        let (interceptors, models): (Vec<_>, Vec<_>) =
            names.into_iter().partition(ModelName::is_interceptor);

        self.see_all(&aspired, interceptors).await;
        // Interceptors come first: models are loaded only if they serve.
        self.rewrapped = true;
        self.rewrap().await;
        self.see_all(&aspired, models).await;
    }

    async fn see_all(&mut self, aspired: &Aspired, names: Vec<ModelName>) {
        for (count, name) in names.into_iter().enumerate() {
            self.see(aspired, name);
            if count % MODELS_IN_A_ROW == MODELS_IN_A_ROW - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Merges one model of an announcement.
    fn see(&mut self, aspired: &Aspired, name: ModelName) {
        let owner = self.owner.as_ref().filter(|_| !name.is_interceptor());
        let held = owner.and_then(|owner| owner.interceptors.held()).cloned();
        let record = self.models.entry(name.clone()).or_default();

        record.hold(held);
        if record.see(aspired.of(&name)) {
            self.drive(&name);
        }
    }

    /// Updates the tenant's models if its interceptors have changed.
    pub(super) async fn rewrap(&mut self) {
        if !std::mem::take(&mut self.rewrapped) {
            return;
        }
        if let Some(told) = self.update_interceptors() {
            self.drive_all(told).await;
        }
    }

    /// Updates the interceptor chain. Returns the models to reconcile, if it has changed.
    fn update_interceptors(&mut self) -> Option<Vec<ModelName>> {
        let owner: &mut TenantRecord = self.owner.as_mut()?;
        let own = self.models.iter().filter(|(name, _)| name.is_interceptor());
        let Change { links, held } = owner.update_interceptors(own);

        if !links && !held {
            return None;
        }

        let held = owner.interceptors.held().cloned();
        let models = self.models.iter_mut().filter(|(name, _)| !name.is_interceptor());
        let told = models.map(|(name, model)| {
            model.hold(held.clone());
            if links {
                model.forget_objections();
            }
            name.clone()
        });

        Some(told.collect())
    }
}
