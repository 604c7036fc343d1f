//! State from one request of a sequence to the next.
//!
//! The host loads the state before the call and stores it when the call has succeeded and its
//! deferred tasks are done, so it outlives instances, versions and restarts. Natively a request
//! belongs to a session once the test's thread has called [`enter`].

use crate::Error;

/// Returns the caller's name for the session; `None` if the request has no session.
pub fn id() -> Option<String> {
    imp::id()
}

/// Returns the state; `None` if none is stored yet.
///
/// # Errors
/// Rejected if the request has no session.
pub fn get() -> Result<Option<Vec<u8>>, Error> {
    imp::get()
}

/// Replaces the state. It is stored once the call has succeeded.
///
/// # Errors
/// Rejected if the request has no session; failed if the state is larger than `sessions.max_size`.
pub fn set(state: impl AsRef<[u8]>) -> Result<(), Error> {
    imp::set(state.as_ref())
}

/// Removes the state. The session continues without one.
///
/// # Errors
/// Rejected if the request has no session.
pub fn clear() -> Result<(), Error> {
    imp::clear()
}

#[cfg(not(target_family = "wasm"))]
pub use imp::enter;

#[cfg(target_family = "wasm")]
mod imp {
    use crate::Error;
    use crate::bindings::model::wardian::model::session::{self, SessionError};

    pub(super) fn id() -> Option<String> {
        session::id().ok()
    }

    pub(super) fn get() -> Result<Option<Vec<u8>>, Error> {
        session::get().map_err(error)
    }

    pub(super) fn set(state: &[u8]) -> Result<(), Error> {
        session::set(state).map_err(error)
    }

    pub(super) fn clear() -> Result<(), Error> {
        session::clear().map_err(error)
    }

    fn error(error: SessionError) -> Error {
        match error {
            SessionError::NoSession => Error::rejected(
                "this model keeps something for each caller: name a session with the parameter sequence_id",
            ),
            SessionError::TooLarge(text) => {
                Error::failed(format_args!("cannot keep the session: {text}"))
            }
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    use std::cell::RefCell;

    use crate::Error;

    struct Session {
        id: String,
        state: Option<Vec<u8>>,
    }

    thread_local! {
        static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
    }

    /// Puts this thread's requests into a new session of that name, without a state; for a model's
    /// own tests.
    pub fn enter(id: &str) {
        SESSION.set(Some(Session { id: id.to_owned(), state: None }));
    }

    pub(super) fn id() -> Option<String> {
        SESSION.with_borrow(|session| session.as_ref().map(|session| session.id.clone()))
    }

    pub(super) fn get() -> Result<Option<Vec<u8>>, Error> {
        with(|session| session.state.clone())
    }

    pub(super) fn set(state: &[u8]) -> Result<(), Error> {
        with(|session| session.state = Some(state.to_vec()))
    }

    pub(super) fn clear() -> Result<(), Error> {
        with(|session| session.state = None)
    }

    fn with<T>(work: impl FnOnce(&mut Session) -> T) -> Result<T, Error> {
        let none = || {
            Error::rejected(
                "the request belongs to no session; a test begins one with session::enter",
            )
        };
        SESSION.with_borrow_mut(|session| session.as_mut().map(work).ok_or_else(none))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn natively_a_thread_has_one_session() {
        assert!(super::id().is_none() && super::get().is_err() && super::set("a").is_err());
        super::enter("a");
        assert_eq!(super::get().unwrap(), None);
        super::set("b").unwrap();
        assert_eq!(super::get().unwrap().as_deref(), Some(&b"b"[..]));
        super::clear().unwrap();
        assert_eq!((super::get().unwrap(), super::id().as_deref()), (None, Some("a")));
        super::enter("c");
        assert_eq!((super::get().unwrap(), super::id().as_deref()), (None, Some("c")));
    }
}
