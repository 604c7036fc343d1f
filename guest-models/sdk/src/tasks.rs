//! Work for after the response.

use crate::Error;

/// Defers a call of [`Deferred::run_deferred`](crate::Deferred::run_deferred) with this name and
/// payload until the response is sent, in the same session: durably, at least once, and after
/// earlier tasks. Does nothing if the call fails. Natively it is only recorded, see
/// [`take_deferred`].
///
/// # Errors
/// Failed if the model does not export [`Deferred`](crate::Deferred), if a limit is reached, or if
/// this is neither a request nor a deferred task.
pub fn defer(name: &str, payload: impl AsRef<[u8]>) -> Result<(), Error> {
    let deferred = imp::defer(name, payload.as_ref());
    deferred
        .map_err(|reason| Error::failed(format_args!("cannot leave {name:?} for later: {reason}")))
}

#[cfg(not(target_family = "wasm"))]
pub use imp::take_deferred;

#[cfg(target_family = "wasm")]
mod imp {
    use crate::bindings::model::wardian::model::tasks::{self, DeferError};

    pub(super) fn defer(name: &str, payload: &[u8]) -> Result<(), String> {
        tasks::defer(name, payload).map_err(|error| match error {
            DeferError::Unsupported => "the model does not export `deferred`".to_owned(),
            DeferError::Limit(text) => text,
            DeferError::NotNow => {
                "only a request or a deferred task can leave work behind".to_owned()
            }
        })
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    use std::cell::RefCell;

    thread_local! {
        static DEFERRED: RefCell<Vec<(String, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn defer(name: &str, payload: &[u8]) -> Result<(), String> {
        DEFERRED.with_borrow_mut(|deferred| deferred.push((name.to_owned(), payload.to_vec())));
        Ok(())
    }

    /// Removes and returns the tasks that this thread has deferred, oldest first; for a model's own
    /// tests.
    pub fn take_deferred() -> Vec<(String, Vec<u8>)> {
        DEFERRED.take()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn natively_tasks_are_recorded() {
        super::defer("a", "b").unwrap();
        assert_eq!(super::take_deferred(), [("a".to_owned(), b"b".to_vec())]);
        assert!(super::take_deferred().is_empty());
    }
}
