//! The end of a round of the loop: changed models are published, waiting callers get their answers,
//! and unused artifacts are removed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Reconciler;
use crate::lifecycle::index_entry::IndexEntry;
use crate::lifecycle::model_record::ModelRecord;
use crate::lifecycle::readiness::TenantProgress;
use crate::repository::Candidate;

/// Shortest time between two artifact collections of a tenant.
const COLLECT_INTERVAL: Duration = Duration::from_secs(60);

impl Reconciler {
    /// Publishes all changed models at once.
    pub(super) fn publish(&mut self) {
        let mut changes = Vec::new();
        for name in std::mem::take(&mut self.changed_models) {
            let Some(record) = self.models.get_mut(&name) else { continue };
            record.remove_empty_versions();
            match record.is_idle() {
                true => self.active_models.remove(&name),
                false => self.active_models.insert(name.clone()),
            };
            changes.push((name.clone(), record.registry_entry()));
            if record.is_empty() {
                self.models.remove(&name);
            }
        }

        if !changes.is_empty() {
            self.published.publish(changes);
        }
    }

    fn build_index(&self) -> Arc<Vec<IndexEntry>> {
        Arc::new(self.models.iter().flat_map(|(name, record)| record.index_entries(name)).collect())
    }

    /// Answers waiting callers and reports the tenant's progress.
    pub(super) fn report_progress(&mut self) {
        self.answer_waiters();
        if let Some(owner) = &self.owner_record {
            let settled = owner.is_settled();
            let degraded = owner.is_degraded();
            let loading = self.running_loads > 0;
            self.readiness
                .record_progress(&self.tenant, TenantProgress { settled, degraded, loading });
        }

        self.collect_artifacts();
    }

    fn answer_waiters(&mut self) {
        let mut index = self.index.take();
        for waiter in std::mem::take(&mut self.waiters) {
            let record = waiter.model().and_then(|name| self.models.get(name));
            let unanswered =
                waiter.answer(record, || index.get_or_insert_with(|| self.build_index()).clone());
            self.waiters.extend(unanswered);
        }

        self.index = index;
    }

    /// Starts an artifact collection, unless it would delay a load.
    fn collect_artifacts(&mut self) {
        let busy = self.running_loads > 0 || !self.readiness.is_ready();
        let recently = self.last_collection.is_some_and(|at| at.elapsed() < COLLECT_INTERVAL);
        if !self.collection_due || busy || recently {
            return;
        }

        self.last_collection = Some(Instant::now());
        self.collection_due = false;
        let candidates: Vec<Candidate> =
            self.models.values().flat_map(ModelRecord::candidates).cloned().collect();
        let loader = self.loader.clone();
        tokio::spawn(loader.collect_artifacts(self.tenant.clone(), candidates));
    }
}
