//! Saying whose fault it is.

use std::fmt::Display;

use crate::Error;

impl Error {
    /// The caller's input is at fault. The text is for the caller.
    pub fn rejected(text: impl Display) -> Self {
        Error::Rejected(text.to_string())
    }

    /// The model is at fault. The text is for its author and never reaches a caller.
    pub fn failed(text: impl Display) -> Self {
        Error::Failed(text.to_string())
    }
}

/// Turns any error, or a missing value, into an [`Error`], with a word on what was being done:
/// `text.parse::<f64>().or_failed("the threshold")?`.
pub trait OrError<T> {
    /// Blames the caller.
    ///
    /// # Errors
    /// [`Error::Rejected`] with `context`, if there is no value.
    fn or_rejected(self, context: impl Display) -> Result<T, Error>;

    /// Blames the model.
    ///
    /// # Errors
    /// [`Error::Failed`] with `context`, if there is no value.
    fn or_failed(self, context: impl Display) -> Result<T, Error>;
}

impl<T, E: Display> OrError<T> for Result<T, E> {
    fn or_rejected(self, context: impl Display) -> Result<T, Error> {
        self.map_err(|error| Error::rejected(format_args!("{context}: {error}")))
    }

    fn or_failed(self, context: impl Display) -> Result<T, Error> {
        self.map_err(|error| Error::failed(format_args!("{context}: {error}")))
    }
}

impl<T> OrError<T> for Option<T> {
    fn or_rejected(self, context: impl Display) -> Result<T, Error> {
        self.ok_or_else(|| Error::rejected(context))
    }

    fn or_failed(self, context: impl Display) -> Result<T, Error> {
        self.ok_or_else(|| Error::failed(context))
    }
}
