//! Work of the host's own within a call.

/// Looking at so many bytes takes less than a millisecond.
const SHORT: u64 = 256 << 10;

/// Before work on so many bytes: if that is much, and the call is still on the thread where its
/// request arrived, it moves to the guest threads, as with an import that has to wait.
pub async fn step_aside(bytes: u64) {
    if bytes > SHORT {
        tokio::task::yield_now().await;
    }
}
