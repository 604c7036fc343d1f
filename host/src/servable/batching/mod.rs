//! Dynamic batching: groups concurrent requests into one guest call.
//!
//! Requests wait in a [`queue`] ([`batcher`]). The first request without a leader becomes the
//! leader ([`leader`]): it yields so that the runtime reads further requests, waits for the permit
//! to execute a call, takes the requests that fit together and executes them ([`execute`]). Unless
//! `max_queue_delay` is set, no request waits for others: a batch holds the requests that arrived
//! at the same time, or while no call could be made. After a streak of batches of one request
//! ([`lone_streak`]), a request that finds the queue empty is called without it.
//!
//! A model takes several requests in one of two forms ([`BatchForm`]): joined along the first
//! dimension of their tensors ([`join`]) if its metadata has a `max-batch-size`, or side by side if
//! it exports `batching`.

mod batcher;
mod call_time_estimate;
mod execute;
mod infer;
mod join;
mod leader;
mod lone_streak;
mod queue;
mod runner;

#[cfg(test)]
mod simulation;

pub(super) use batcher::Batcher;
pub(super) use execute::self_check_batch;
pub(super) use runner::{BatchResponses, Runner};

use crate::engine::{Interface, Template};
use crate::model::ModelSettings;

/// The form in which a model takes several requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchForm {
    /// As one request, joined along the first dimension of its tensors.
    Joined,
    /// As a list of requests with independent shapes.
    SideBySide,
}

/// The form and the largest size of a model's batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimit {
    /// Layout of a batch for the guest.
    pub form: BatchForm,
    /// The most items in one call, at least 2: rows if joined, requests if side by side.
    pub items: u32,
}

/// The most requests side by side if neither the model nor its settings limit them.
const DEFAULT_SIDE_BY_SIDE: u32 = 32;

impl BatchLimit {
    /// Returns the limit in effect for a model; `None` if it takes one request at a time.
    pub fn for_model(template: &Template, settings: &ModelSettings) -> Option<Self> {
        // A deferred task belongs to one request.
        if template.has(Interface::Deferred) {
            return None;
        }
        Self::choose(
            template.has(Interface::Batching),
            template.metadata().max_batch_size,
            settings.batching.max_batch_size,
        )
    }

    fn choose(side_by_side: bool, promised: u32, configured: Option<u32>) -> Option<Self> {
        let promised = (promised > 0).then_some(promised);
        let least = promised.into_iter().chain(configured).min();
        let (form, items) = match side_by_side {
            true => (BatchForm::SideBySide, least.unwrap_or(DEFAULT_SIDE_BY_SIDE)),
            // Only the metadata says that the first dimension is a batch.
            false => (BatchForm::Joined, promised.and(least)?),
        };
        (items > 1).then_some(BatchLimit { form, items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_lesser_of_metadata_and_settings() {
        let joined = |items| Some(BatchLimit { form: BatchForm::Joined, items });
        let side_by_side = |items| Some(BatchLimit { form: BatchForm::SideBySide, items });
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
