//! Moving calls with much host work off the threads that serve HTTP.

/// Bytes that the host processes in less than a millisecond.
const SHORT: u64 = 256 << 10;

/// Yields before work on more than [`SHORT`] bytes. A call that is still on the thread where its
/// request arrived then moves to the guest threads, as it does for an import that waits.
pub async fn step_aside(bytes: u64) {
    if bytes > SHORT {
        tokio::task::yield_now().await;
    }
}
