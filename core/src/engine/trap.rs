//! Mapping the end of a failed call to an error.

use wasmtime::PoolConcurrencyLimitError;

use super::store_state::{ExceededLimit, State, is_out_of_memory};
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
    if is_host_out_of_memory(error, state) {
        tracing::warn!(detail, "a guest got no memory from the system");
        return InferError::Overloaded;
    }

    match state.memory.exceeded() {
        Some(ExceededLimit::Tenant(refusal)) => InferError::QuotaExceeded(refusal),
        Some(ExceededLimit::Model) => {
            InferError::OutOfMemory { limit: state.memory.limit(), detail }
        }
        Some(ExceededLimit::Host) | None => InferError::Trapped { detail },
    }
}

/// True if a call failed because the system had no memory for the guest, which is no fault of the
/// model.
pub(super) fn is_host_out_of_memory(error: &wasmtime::Error, state: &State) -> bool {
    !error.is::<HostAbort>()
        && (matches!(state.memory.exceeded(), Some(ExceededLimit::Host)) || is_out_of_memory(error))
}

/// Returns the error's text with the end of the guest's standard error, for the model's owner.
pub(super) fn detail(error: &wasmtime::Error, state: &State) -> String {
    let stderr = state.ctx.stderr_tail();
    let written =
        if stderr.is_empty() { String::new() } else { format!("; it last wrote: {stderr}") };

    sanitize_line(&format!("{error:#}{written}").replace('\n', " "), MAX_DETAIL)
}
