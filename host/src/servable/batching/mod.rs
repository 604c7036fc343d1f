//! Requests that are grouped into one call.
//!
//! Requests wait in a [`queue`] ([`batcher`]). The first that finds nobody doing so becomes the
//! leader ([`leading`]): it lets the runtime read whatever else has arrived, waits for the right to
//! make a call, takes those that go together, and has them answered ([`run`]). So nobody waits for
//! company unless `max_queue_delay` says so: what goes together is what came in at the same time,
//! and what came while no call could be made.
//!
//! A model takes several requests in one of two ways ([`Form`]): joined along the first dimension
//! of their tensors ([`join`]), if its metadata has a `max-batch-size`, or side by side, if it
//! exports `batching`.

mod batcher;
mod caller;
mod crowd;
mod join;
mod leading;
mod queue;
mod run;
mod usual;

#[cfg(test)]
mod simulation;

pub(super) use batcher::Batcher;
pub(super) use caller::{Answers, Called, Caller};
pub(super) use run::twice;

use crate::engine::Template;
use crate::model::ModelSettings;

/// How a model takes several requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As one request, joined along the first dimension of its tensors.
    Joined,
    /// As a list of requests, which need not be alike.
    SideBySide,
}

/// How a model takes several requests, and how many at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimit {
    /// How it takes them.
    pub form: Form,
    /// The most that go into one call: rows where they are joined, requests where they are side by
    /// side. At least 2.
    pub items: u32,
}

/// Requests side by side where neither the model nor its settings say how many.
const SIDE_BY_SIDE: u32 = 32;

impl BatchLimit {
    /// What is in force for that model; `None` if it answers one request at a time.
    pub fn of(template: &Template, settings: &ModelSettings) -> Option<Self> {
        // What is left for later belongs to one request.
        if template.has_deferred() {
            return None;
        }
        Self::choose(
            template.has_batching(),
            template.metadata().max_batch_size,
            settings.batching.max_batch_size,
        )
    }

    fn choose(side_by_side: bool, promised: u32, configured: Option<u32>) -> Option<Self> {
        let promised = (promised > 0).then_some(promised);
        let least = promised.into_iter().chain(configured).min();
        let (form, items) = match side_by_side {
            true => (Form::SideBySide, least.unwrap_or(SIDE_BY_SIDE)),
            // Without its word no model's first dimension is a batch.
            false => (Form::Joined, promised.and(least)?),
        };
        (items > 1).then_some(BatchLimit { form, items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_lesser_of_what_the_model_takes_and_what_is_set() {
        let joined = |items| Some(BatchLimit { form: Form::Joined, items });
        let side_by_side = |items| Some(BatchLimit { form: Form::SideBySide, items });
        for (exports, promised, configured, limit) in [
            (false, 0, None, None),
            (false, 0, Some(8), None),
            (false, 1, Some(8), None),
            (false, 16, Some(1), None),
            (false, 16, None, joined(16)),
            (false, 16, Some(8), joined(8)),
            (false, 16, Some(100), joined(16)),
            (true, 0, None, side_by_side(32)),
            (true, 0, Some(100), side_by_side(100)),
            (true, 4, Some(100), side_by_side(4)),
            (true, 4, Some(1), None),
        ] {
            assert_eq!(
                BatchLimit::choose(exports, promised, configured),
                limit,
                "{exports} {promised} {configured:?}"
            );
        }
    }
}
