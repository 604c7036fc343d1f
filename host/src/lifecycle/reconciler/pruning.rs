//! Events of pruning: a model has versions to prune, and their deletion has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::super::event::Event;
use super::super::prune_policy::PrunePlan;
use super::super::pruner::PruneOutcome;
use super::Reconciler;
use super::versions::log_version;
use crate::model::{ModelName, Version};
use crate::tenant::LogDecision;

/// Versions deleted, at most, before the repository is scanned again.
const MAX_PRUNED_AT_ONCE: usize = 32;

/// Time after which a model is looked at again while its repository cannot be read, or has not been
/// read completely yet.
const UNTRUSTED_WAIT: Duration = Duration::from_secs(10);

/// Longest time after which a model is looked at again. The clock of the machine may be set, and
/// timers do not follow it.
const MAX_PRUNE_WAIT: Duration = Duration::from_secs(3600);

impl Reconciler {
    /// Starts to delete the versions of a model that are to be pruned now, or sets the time at
    /// which it is to be looked at again.
    pub(super) fn prune(&mut self, name: &ModelName) {
        let (owner, is_running) = (self.owner_record.as_ref(), self.is_running());
        let (Some(owner), Some(pruner), true) = (owner, &self.pruner, is_running) else { return };
        let Some(record) = self.models.get_mut(name) else { return };

        let PrunePlan { now: mut versions, next_in } = record.prune_plan(SystemTime::now());
        let next = next_in.map(|next| Instant::now() + next.min(MAX_PRUNE_WAIT));
        let retry_at = record.prune_retry_at().filter(|at| *at > Instant::now());
        if versions.is_empty() || retry_at.is_some() {
            return self.prune_schedule.set(name, retry_at.or(next));
        }
        if !owner.is_trusted() {
            let again = Instant::now() + UNTRUSTED_WAIT;
            return self.prune_schedule.set(name, Some(again));
        }

        let Some(events) = self.events.upgrade() else { return };
        versions.truncate(MAX_PRUNED_AT_ONCE);
        record.start_pruning();
        let deletion = pruner.prune(owner.source(), name.clone(), versions.clone());
        self.prune_schedule.set(name, None);
        let name = name.clone();
        tokio::spawn(async move {
            // Spawned, so that a panic does not stop the pruning for ever.
            let outcome = tokio::spawn(deletion).await.unwrap_or_default();
            let _ = events.send(Event::Pruned { name, versions, outcome }).await;
        });
    }

    /// Looks at the models that are due for pruning.
    pub(super) fn prune_due(&mut self) {
        for name in self.prune_schedule.take_due(Instant::now()) {
            self.prune(&name);
        }
    }

    pub(super) async fn handle_pruned(
        &mut self,
        name: ModelName,
        versions: Vec<Version>,
        outcome: PruneOutcome,
    ) {
        let PruneOutcome { faults, aspired } = outcome;
        let Some(aspired) = aspired else { return self.abandon_pruning(&name) };
        let mut deleted = BTreeSet::from_iter(versions);
        deleted.retain(|version| !faults.contains_key(version));
        for version in &deleted {
            self.increment(|metrics| &metrics.pruned);
            log_version!(self, info, name, version, "pruned");
        }

        // Merged before the next plan is made, which must not hold what was deleted.
        self.merge_aspired(aspired).await;
        self.end_pruning(&name, deleted, faults);
    }

    /// Ends the pruning of a source that has stopped or was replaced.
    fn abandon_pruning(&mut self, name: &ModelName) {
        let Some(record) = self.models.get_mut(name) else { return };
        record.end_pruning(BTreeSet::new(), BTreeMap::new());
        self.prune_schedule.set(name, Some(Instant::now() + MAX_PRUNE_WAIT));
    }

    fn end_pruning(
        &mut self,
        name: &ModelName,
        deleted: BTreeSet<Version>,
        faults: BTreeMap<Version, String>,
    ) {
        let Some(record) = self.models.get_mut(name) else { return };
        let first = faults.iter().next().map(|(version, why)| (*version, why.clone()));
        let failures = record.end_pruning(deleted, faults);

        if let Some((version, why)) = first {
            self.increment(|metrics| &metrics.prune_failures);
            // A repeated failure is logged once.
            if failures == 1 {
                log_version!(self, warn, name, version, error = %why, "cannot be pruned");
            }
        }

        self.changed_models.insert(name.clone());
        self.prune(name);
    }
}
