//! Moving calls with much host work off the threads that serve HTTP.

/// Bytes that the host processes in less than a millisecond.
const LARGE: u64 = 256 << 10;

/// Yields before work on more than [`LARGE`] bytes. A call that is still on the thread where its
/// request arrived then moves to the guest threads, as it does for an import that waits.
pub async fn yield_if_large(bytes: u64) {
    if bytes > LARGE {
        tokio::task::yield_now().await;
    }
}
