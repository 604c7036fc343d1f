//! Mapping the end of a failed call to an error.

use wasmtime::PoolConcurrencyLimitError;

use super::store_state::{ExceededLimit, State};
use crate::capability::{HostAbort, sanitize_line};
use crate::model::InferError;

/// The longest private detail kept, in bytes.
const MAX_DETAIL: usize = 8 << 10;

/// Returns the reason why a call into the guest failed.
pub(super) fn classify(error: &wasmtime::Error, state: &State) -> InferError {
    if let Some(HostAbort(reason)) = error.downcast_ref() {
        return reason.clone();
    }

    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return InferError::Overloaded;
    }

    let detail = detail(error, state);
    match state.memory.exceeded() {
        Some(ExceededLimit::Tenant(refusal)) => InferError::QuotaExceeded(refusal),
        Some(ExceededLimit::Model) => {
            InferError::OutOfMemory { limit: state.memory.limit(), detail }
        }
        None => InferError::Trapped { detail },
    }
}

fn detail(error: &wasmtime::Error, state: &State) -> String {
    let last_words = state.ctx.stderr_tail();
    let said = if last_words.is_empty() {
        String::new()
    } else {
        format!("; it last wrote: {last_words}")
    };
    sanitize_line(&format!("{error:#}{said}").replace('\n', " "), MAX_DETAIL)
}
