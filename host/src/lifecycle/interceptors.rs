//! The effect of a tenant's interceptors on its models: the chain around their calls, and whether
//! models may be loaded.

use std::collections::BTreeSet;

use super::record::{Held, ModelRecord};
use crate::model::ModelName;
use crate::servable::{Chain, Wrapping};

/// The interceptor chain of one tenant, and the history it depends on.
#[derive(Default)]
pub(super) struct Interceptors {
    wrapping: Wrapping,
    /// True once every interceptor that was present at the start has been loaded. From then on, an
    /// interceptor that is added later has no effect until it serves or fails.
    opened: bool,
    /// Interceptors that failed to load. They block all calls until they serve or are removed.
    failed: BTreeSet<ModelName>,
    held: Option<Held>,
}

/// The result of an update.
pub(super) struct Change {
    /// The chain consists of other versions than before.
    pub(super) links: bool,
    /// The reason that keeps models from being loaded has changed.
    pub(super) held: bool,
}

impl Interceptors {
    /// The handle through which the tenant's models find the chain.
    pub(super) fn wrapping(&self) -> &Wrapping {
        &self.wrapping
    }

    /// The reason that keeps models from being loaded, if there is one.
    pub(super) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Updates the chain from the records of the interceptors, in the order of their names.
    /// `settled` is true once everything in the repository has been observed settled at least once.
    pub(super) fn update<'a>(
        &mut self,
        records: impl Iterator<Item = (&'a ModelName, &'a ModelRecord)>,
        settled: bool,
    ) -> Change {
        let (mut links, mut idle, mut undecided) = (Vec::new(), Vec::new(), false);
        for (name, record) in records.filter(|(_, record)| record.is_there()) {
            match record.newest() {
                Some(handle) => links.push(handle),
                None => {
                    undecided |= record.is_undecided();
                    idle.push((name, record));
                }
            }
        }

        self.remember(&idle);
        let reason = |(name, record): &(&ModelName, &ModelRecord)| {
            format!("the interceptor '{}' does not serve: {}", name.own(), record.note())
        };
        let shuts = |name: &ModelName| !self.opened || self.failed.contains(name);
        let shut = idle.iter().find(|(name, _)| shuts(name)).map(reason);
        let held = idle.first().map(|first| Held { reason: reason(first), passing: undecided });

        self.opened |= settled && idle.is_empty();
        let changed = self.held != held;
        self.held = held;

        Change { links: self.replace(Chain::new(links, shut)), held: changed }
    }

    /// Updates the set of interceptors that failed, from those that do not serve.
    fn remember(&mut self, idle: &[(&ModelName, &ModelRecord)]) {
        self.failed.retain(|name| idle.iter().any(|(other, _)| *other == name));
        let decided = idle.iter().filter(|(_, record)| !record.is_undecided());
        self.failed.extend(decided.map(|(name, _)| (*name).clone()));
    }

    /// Puts a chain in force. Returns true if it consists of other versions than the one before.
    fn replace(&self, after: Chain) -> bool {
        let before = self.wrapping.chain();
        let same_links = before.has_same_links(&after);
        if !before.is_same(&after) {
            self.wrapping.set(after);
        }
        !same_links
    }
}
