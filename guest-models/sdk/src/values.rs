//! Values that the interceptors of one call share with each other and with the model.

use crate::Error;

/// Returns the value set under this name during this call, by this or an earlier interceptor.
/// Natively, the value set by the same thread.
pub fn get(name: &str) -> Option<String> {
    imp::get(name)
}

/// Sets a value for the rest of this call.
///
/// # Errors
/// Failed if a limit is reached (the text names it), or if the present call is not about a request.
pub fn set(name: &str, value: &str) -> Result<(), Error> {
    imp::set(name, value)
        .map_err(|reason| Error::failed(format_args!("cannot set the value {name:?}: {reason}")))
}

#[cfg(target_family = "wasm")]
mod imp {
    use crate::bindings::model::wardian::model::call_values::{self, ValuesError};

    pub(super) fn get(name: &str) -> Option<String> {
        call_values::get(name)
    }

    pub(super) fn set(name: &str, value: &str) -> Result<(), String> {
        call_values::set(name, value).map_err(|error| match error {
            ValuesError::Limit(text) => text,
            ValuesError::NoCall => {
                "there are values only while a request is being answered".to_owned()
            }
        })
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    use std::cell::RefCell;
    use std::collections::HashMap;

    thread_local! {
        static VALUES: RefCell<HashMap<String, String>> = RefCell::default();
    }

    pub(super) fn get(name: &str) -> Option<String> {
        VALUES.with_borrow(|values| values.get(name).cloned())
    }

    pub(super) fn set(name: &str, value: &str) -> Result<(), String> {
        VALUES.with_borrow_mut(|values| values.insert(name.to_owned(), value.to_owned()));
        Ok(())
    }
}
