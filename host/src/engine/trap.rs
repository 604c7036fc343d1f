//! Mapping the end of a failed call to an error.

use wasmtime::PoolConcurrencyLimitError;

use super::state::{Exceeded, State};
use crate::capability::{Interrupted, clean};
use crate::model::InferError;

/// The longest private detail kept, in bytes.
const MAX_DETAIL: usize = 8 << 10;

/// Returns the reason why a call into the guest failed.
pub(super) fn classify(error: &wasmtime::Error, state: &State) -> InferError {
    if let Some(Interrupted(reason)) = error.downcast_ref() {
        return reason.clone();
    }

    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return InferError::Overloaded;
    }

    let detail = detail(error, state);
    match state.memory.exceeded() {
        Some(Exceeded::Tenant(refusal)) => InferError::QuotaExceeded(refusal),
        Some(Exceeded::Model) => InferError::OutOfMemory { limit: state.memory.limit(), detail },
        None => InferError::Trapped { detail },
    }
}

fn detail(error: &wasmtime::Error, state: &State) -> String {
    let last_words = state.ctx.last_words();
    let said = if last_words.is_empty() {
        String::new()
    } else {
        format!("; it last wrote: {last_words}")
    };
    clean(&format!("{error:#}{said}").replace('\n', " "), MAX_DETAIL)
}
