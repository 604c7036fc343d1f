//! The interface of a model that has been read from its file.

use wardian_sdk::{Error, Metadata, Request, Response};

/// A model that has been read and checked, ready to answer.
pub trait Predictor: Send + Sync {
    /// Describes inputs, outputs and properties.
    fn metadata(&self) -> Metadata;

    /// Answers a request whose inputs have the declared names, datatypes and shapes.
    ///
    /// # Errors
    /// Rejected if a value is not one that the model takes.
    fn predict(&self, request: &Request) -> Result<Response, Error>;
}
