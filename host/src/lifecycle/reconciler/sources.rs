//! Events of sources: announcements, a replaced repository, a removed tenant.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::interceptors::InterceptorChange;
use super::super::tenant_record::TenantRecord;
use super::{MODELS_PER_YIELD, Reconciler};
use crate::model::ModelName;
use crate::repository::{AspiredVersions, Degraded};

impl Reconciler {
    /// Accepts announcements from another source from now on.
    pub(super) fn replace_source(&mut self, source: u64) {
        self.owner_record = self.owner_record.take().map(|before| before.with_source(source));
        self.last_aspired = None;
    }

    /// Removes the tenant: all its models are unloaded.
    pub(super) async fn remove_tenant(&mut self) {
        self.owner_record = None;
        // The task is the last sender, and must still receive the events of its drains.
        self.own_events = self.events.upgrade();
        self.retries.clear();
        self.readiness.remove_tenant(&self.tenant);

        for record in self.models.values_mut() {
            record.observe(std::iter::empty());
            record.release_model_quota();
        }

        let names: Vec<_> = self.models.keys().cloned().collect();
        self.reconcile_all(names).await;
    }

    /// Merges an announcement. Models that it does not hold keep their records until they are
    /// unloaded.
    pub(super) async fn merge_aspired(&mut self, aspired: Arc<AspiredVersions>) {
        if self.last_aspired.as_ref().is_some_and(|merged| Arc::ptr_eq(merged, &aspired)) {
            return;
        }
        if !self.owner_record.as_mut().is_some_and(|record| record.observe(&aspired)) {
            return;
        }

        self.last_aspired = Some(aspired.clone());
        let degraded =
            aspired.degraded.clone().or_else(|| aspired.partial.clone().map(Degraded::from));
        self.degraded.store(degraded.map(Arc::new));
        if aspired.degraded.is_some() {
            return;
        }
        let names = aspired.observed.iter().map(|seen| seen.name().clone());
        let names: BTreeSet<_> = names.chain(self.models.keys().cloned()).collect();
        let (interceptors, models): (Vec<_>, Vec<_>) =
            names.into_iter().partition(ModelName::is_interceptor);

        self.observe_all(&aspired, interceptors).await;
        // Interceptors come first: models are loaded only if they serve.
        self.interceptors_changed = true;
        self.apply_interceptor_changes().await;
        self.observe_all(&aspired, models).await;
    }

    async fn observe_all(&mut self, aspired: &AspiredVersions, names: Vec<ModelName>) {
        for (count, name) in names.into_iter().enumerate() {
            self.observe(aspired, name);
            if count % MODELS_PER_YIELD == MODELS_PER_YIELD - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Merges one model of an announcement.
    fn observe(&mut self, aspired: &AspiredVersions, name: ModelName) {
        let owner = self.owner_record.as_ref().filter(|_| !name.is_interceptor());
        let hold = owner.and_then(|owner| owner.interceptors.hold()).cloned();
        let record = self.models.entry(name.clone()).or_default();

        record.set_hold(hold);
        if record.observe(aspired.for_model(&name)) {
            self.reconcile(&name);
        }
    }

    /// Updates the tenant's models if its interceptors have changed.
    pub(super) async fn apply_interceptor_changes(&mut self) {
        if !std::mem::take(&mut self.interceptors_changed) {
            return;
        }
        if let Some(affected) = self.update_interceptors() {
            self.reconcile_all(affected).await;
        }
    }

    /// Updates the interceptor chain. Returns the models to reconcile, if it has changed.
    fn update_interceptors(&mut self) -> Option<Vec<ModelName>> {
        let owner: &mut TenantRecord = self.owner_record.as_mut()?;
        let own = self.models.iter().filter(|(name, _)| name.is_interceptor());
        let InterceptorChange { chain_changed, hold_changed } = owner.update_interceptors(own);
        if !chain_changed && !hold_changed {
            return None;
        }

        let hold = owner.interceptors.hold().cloned();
        let models = self.models.iter_mut().filter(|(name, _)| !name.is_interceptor());
        let affected = models.map(|(name, model)| {
            model.set_hold(hold.clone());
            if chain_changed {
                model.clear_interceptor_failures();
            }
            name.clone()
        });

        Some(affected.collect())
    }
}
