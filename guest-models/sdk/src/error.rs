//! Errors, and who is at fault.

use std::fmt::{self, Display};

use crate::bindings::types;

/// An error of a call, with the party at fault. Its `Display` is the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The caller's input is invalid. The text is for the caller.
    Rejected(String),
    /// The model failed. The text is for its author.
    Failed(String),
}

impl Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Rejected(text) | Error::Failed(text) => out.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Rejected(text) => types::Error::Rejected(text),
            Error::Failed(text) => types::Error::Failed(text),
        }
    }
}

impl Error {
    /// An error of the caller's input. The text is for the caller.
    pub fn rejected(text: impl Display) -> Self {
        Error::Rejected(text.to_string())
    }

    /// An error of the model. The text is for its author and never reaches a caller.
    pub fn failed(text: impl Display) -> Self {
        Error::Failed(text.to_string())
    }
}

/// Names in quotes, for an error's text.
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Turns any error, or a missing value, into an [`Error`], with the context of the operation:
/// `text.parse::<f64>().or_failed("the threshold")?`.
pub trait OrError<T> {
    /// Turns it into an error of the caller.
    ///
    /// # Errors
    /// [`Error::Rejected`] with `context`, if there is no value.
    fn or_rejected(self, context: impl Display) -> Result<T, Error>;

    /// Turns it into an error of the model.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_displays_its_text() {
        assert_eq!(Error::rejected("too long").to_string(), "too long");
        let error = Err::<(), _>(Error::failed("no weights")).or_failed("case 1").unwrap_err();
        assert_eq!(error, Error::Failed("case 1: no weights".into()));
    }
}
