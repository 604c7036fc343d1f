//! Moves a call with much host work off the thread that serves HTTP.

use crate::tenant::INLINE_LIMIT;

/// Yields before work on more than [`INLINE_LIMIT`] bytes. A call that is still on the thread where
/// its request arrived then moves to the guest threads, as it does for an import that waits.
pub async fn yield_if_large(bytes: u64) {
    if bytes > INLINE_LIMIT as u64 {
        tokio::task::yield_now().await;
    }
}
