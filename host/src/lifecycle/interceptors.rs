//! The effect of a tenant's interceptors on its models: the chain around their calls, and whether
//! models may be loaded.

use std::collections::BTreeSet;

use super::model_record::{LoadHold, ModelRecord};
use crate::model::ModelName;
use crate::servable::{InterceptorChain, InterceptorChainHandle};

/// The interceptor chain of one tenant, and the history it depends on.
#[derive(Default)]
pub(super) struct InterceptorState {
    chain_handle: InterceptorChainHandle,
    /// True once every interceptor that was present at the start has been loaded. From then on, an
    /// interceptor that is added later has no effect until it serves or fails.
    initialized: bool,
    /// Interceptors that failed to load. They block all calls until they serve or are removed.
    failed: BTreeSet<ModelName>,
    hold: Option<LoadHold>,
}

/// The result of an update.
pub(super) struct InterceptorChange {
    /// The chain consists of other versions than before.
    pub(super) chain_changed: bool,
    /// The reason that keeps models from being loaded has changed.
    pub(super) hold_changed: bool,
}

impl InterceptorState {
    /// The handle through which the tenant's models find the chain.
    pub(super) fn chain_handle(&self) -> &InterceptorChainHandle {
        &self.chain_handle
    }

    /// The reason that keeps models from being loaded, if there is one.
    pub(super) fn hold(&self) -> Option<&LoadHold> {
        self.hold.as_ref()
    }

    /// Updates the chain from the records of the interceptors, in the order of their names.
    /// `settled` is true once everything in the repository has been observed settled at least once.
    pub(super) fn update<'a>(
        &mut self,
        records: impl Iterator<Item = (&'a ModelName, &'a ModelRecord)>,
        settled: bool,
    ) -> InterceptorChange {
        let mut links = Vec::new();
        let mut idle = Vec::new();
        let mut undecided = false;
        for (name, record) in records.filter(|(_, record)| record.is_present()) {
            match record.newest_serving() {
                Some(version) => links.extend(version.servable().cloned()),
                None => {
                    undecided |= record.is_undecided();
                    idle.push((name, record));
                }
            }
        }

        self.update_failed(&idle);
        let reason = |(name, record): &(&ModelName, &ModelRecord)| {
            format!(
                "the interceptor '{}' does not serve: {}",
                name.base_name(),
                record.not_ready_reason()
            )
        };
        let blocks = |name: &ModelName| !self.initialized || self.failed.contains(name);
        let blocked_reason = idle.iter().find(|(name, _)| blocks(name)).map(reason);
        let hold = idle.first().map(|first| LoadHold { reason: reason(first), undecided });

        self.initialized |= settled && idle.is_empty();
        let hold_changed = self.hold != hold;
        self.hold = hold;

        InterceptorChange {
            chain_changed: self.replace_chain(InterceptorChain::new(links, blocked_reason)),
            hold_changed,
        }
    }

    /// Updates the set of interceptors that failed, from those that do not serve.
    fn update_failed(&mut self, idle: &[(&ModelName, &ModelRecord)]) {
        self.failed.retain(|name| idle.iter().any(|(other, _)| *other == name));
        let decided = idle.iter().filter(|(_, record)| !record.is_undecided());
        self.failed.extend(decided.map(|(name, _)| (*name).clone()));
    }

    /// Puts a chain in force. Returns true if it consists of other versions than the one before.
    fn replace_chain(&self, after: InterceptorChain) -> bool {
        let before = self.chain_handle.chain();
        let same = before.has_same_interceptors(&after);
        if !before.is_identical(&after) {
            self.chain_handle.set(after);
        }
        !same
    }
}
