//! Building a response.

use crate::{Parameter, ParameterValue, Response, Tensor};

impl Response {
    /// A response without outputs.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let (parameters, outputs) = (Vec::new(), Vec::new());
        Self { parameters, outputs }
    }

    /// Adds an output.
    pub fn output(mut self, tensor: Tensor) -> Self {
        self.outputs.push(tensor);
        self
    }

    /// Adds a value beside the outputs.
    pub fn parameter(mut self, name: &str, value: impl Into<ParameterValue>) -> Self {
        let (name, value) = (name.to_owned(), value.into());
        self.parameters.push(Parameter { name, value });
        self
    }
}
