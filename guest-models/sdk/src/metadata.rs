//! Descriptions of a model.

use crate::{Metadata, Parameter, ParameterValue, TensorSpec, Typed};

impl Metadata {
    /// Metadata without inputs or outputs, for a model that takes one request per call.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            description: String::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            max_batch_size: 0,
            properties: Vec::new(),
        }
    }

    /// Sets the description: a sentence for people.
    pub fn description(mut self, text: &str) -> Self {
        self.description = text.to_owned();
        self
    }

    /// Adds an input that every request must have. `shape` is the number of elements along each
    /// dimension, -1 for any number: `.input::<f64>("features", [-1, 11])`.
    pub fn input<T: Typed>(mut self, name: &str, shape: impl Into<Vec<i64>>) -> Self {
        self.inputs.push(spec::<T>(name, shape.into(), false));
        self
    }

    /// Adds an input that a request may leave out; the model reads it with
    /// [`Request::find_input`](crate::Request::find_input).
    pub fn optional_input<T: Typed>(mut self, name: &str, shape: impl Into<Vec<i64>>) -> Self {
        self.inputs.push(spec::<T>(name, shape.into(), true));
        self
    }

    /// Adds an output that every response has. `shape` as for [`Metadata::input`].
    pub fn output<T: Typed>(mut self, name: &str, shape: impl Into<Vec<i64>>) -> Self {
        self.outputs.push(spec::<T>(name, shape.into(), false));
        self
    }

    /// Adds an output that a response may lack.
    pub fn optional_output<T: Typed>(mut self, name: &str, shape: impl Into<Vec<i64>>) -> Self {
        self.outputs.push(spec::<T>(name, shape.into(), true));
        self
    }

    /// Makes the first dimension of every tensor the batch, of up to `items`: the host may then
    /// join requests into one call.
    pub fn max_batch_size(mut self, items: u32) -> Self {
        self.max_batch_size = items;
        self
    }

    /// Adds other information for clients: a licence, the order of columns.
    pub fn property(mut self, name: &str, value: impl Into<ParameterValue>) -> Self {
        let (name, value) = (name.to_owned(), value.into());
        self.properties.push(Parameter { name, value });
        self
    }
}

fn spec<T: Typed>(name: &str, shape: Vec<i64>, optional: bool) -> TensorSpec {
    let name = name.to_owned();
    TensorSpec { name, datatype: T::DATATYPE, shape, optional }
}
