//! What a tenant's interceptors mean for its models: what wraps their calls, and whether they may
//! be loaded.

use std::collections::BTreeSet;

use super::record::{Held, ModelRecord};
use crate::model::ModelName;
use crate::servable::{Chain, Wrapping};

/// What wraps one tenant's calls, and what has to be remembered to know it.
#[derive(Default)]
pub(super) struct Interceptors {
    wrapping: Wrapping,
    /// Since everything that was there at the start has been decided, calls pass. What is put
    /// beside it later changes nothing until it serves, or turns out not to.
    opened: bool,
    /// Those that turned out not to serve. They shut calls off until they serve or are gone.
    failed: BTreeSet<ModelName>,
    held: Option<Held>,
}

/// What an update has changed.
pub(super) struct Change {
    /// Other versions wrap calls than before.
    pub(super) links: bool,
    /// Whether models may be loaded, or for what reason they may not.
    pub(super) held: bool,
}

impl Interceptors {
    /// Where the tenant's models find what wraps their calls.
    pub(super) fn wrapping(&self) -> &Wrapping {
        &self.wrapping
    }

    /// Why models may not be loaded for now, if they may not.
    pub(super) fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Puts in force what these records, one for each interceptor in the order of their names, say.
    /// `settled` tells that everything in the repository has been seen at least once.
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

    /// Keeps in mind which of those that do not serve have been found not to.
    fn remember(&mut self, idle: &[(&ModelName, &ModelRecord)]) {
        self.failed.retain(|name| idle.iter().any(|(other, _)| *other == name));
        let decided = idle.iter().filter(|(_, record)| !record.is_undecided());
        self.failed.extend(decided.map(|(name, _)| (*name).clone()));
    }

    /// Has that chain wrap calls from now on. Tells whether it consists of other versions than the
    /// one before.
    fn replace(&self, after: Chain) -> bool {
        let before = self.wrapping.chain();
        let same_links = before.has_same_links(&after);
        if !before.is_same(&after) {
            self.wrapping.set(after);
        }
        !same_links
    }
}
