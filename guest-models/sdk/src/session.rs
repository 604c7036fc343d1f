//! What a model keeps from one request of a sequence to the next.
//!
//! The host loads the state before the call and keeps it when the call has succeeded and its deferred tasks are
//! done, so it outlives instances, versions and restarts. Natively there is one session for each thread, called
//! `test`, which begins without a state.

use crate::Error;

/// The caller's name for the session; `None` if the request belongs to none.
pub fn id() -> Option<String> {
    imp::id()
}

/// The state; `None` where nothing was kept yet.
///
/// # Errors
/// Rejected if the request belongs to no session.
pub fn get() -> Result<Option<Vec<u8>>, Error> {
    imp::get()
}

/// Replaces the state. It counts once the call has succeeded.
///
/// # Errors
/// Rejected if the request belongs to no session; failed if the state is larger than `sessions.max_size`.
pub fn set(state: impl AsRef<[u8]>) -> Result<(), Error> {
    imp::set(state.as_ref())
}

/// Forgets the state. The session goes on without one.
///
/// # Errors
/// Rejected if the request belongs to no session.
pub fn clear() -> Result<(), Error> {
    imp::clear()
}

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
            SessionError::TooLarge(text) => Error::failed(format_args!("cannot keep the session: {text}")),
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    use std::cell::RefCell;

    use crate::Error;

    thread_local! {
        static STATE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
    }

    pub(super) fn id() -> Option<String> {
        Some("test".into())
    }

    pub(super) fn get() -> Result<Option<Vec<u8>>, Error> {
        Ok(STATE.with_borrow(Clone::clone))
    }

    pub(super) fn set(state: &[u8]) -> Result<(), Error> {
        STATE.set(Some(state.to_vec()));
        Ok(())
    }

    pub(super) fn clear() -> Result<(), Error> {
        STATE.set(None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn natively_a_thread_has_one_session() {
        assert_eq!(super::get().unwrap(), None);
        super::set("a").unwrap();
        assert_eq!(super::get().unwrap().as_deref(), Some(&b"a"[..]));
        super::clear().unwrap();
        assert_eq!((super::get().unwrap(), super::id().as_deref()), (None, Some("test")));
    }
}
