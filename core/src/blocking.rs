//! Work that blocks, on threads that may.
//!
//! The threads are those of the runtime for blocking work. Work that takes CPU time for a tenant
//! runs on [`crate::tenant::Workers`] instead, in the tenant's turns.

use std::future::Future;

use tokio::task::{JoinError, spawn_blocking};

/// The work has no result: it panicked, or the runtime is shutting down.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Ended(#[from] JoinError);

/// Starts work at once, and returns a future of its result. The work runs to its end, even if the
/// future is dropped.
pub fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, Ended>> + Send {
    let task = spawn_blocking(work);
    async move { Ok(task.await?) }
}

/// Drops a value whose destructor blocks, such as one that unmaps much memory.
pub async fn drop_value<T: Send + 'static>(value: T) {
    // A panic of the destructor is already logged.
    let _ = run(move || drop(value)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_even_if_its_future_is_dropped() {
        let (sender, done) = tokio::sync::oneshot::channel();
        drop(run(move || sender.send(7)));
        assert_eq!(done.await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let ended = run(|| panic!("as the test wants")).await.unwrap_err();
        assert!(ended.to_string().contains("as the test wants"), "{ended}");
    }
}
