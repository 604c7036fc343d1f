//! Describing a model.

use crate::{Metadata, Parameter, ParameterValue, TensorSpec, Typed};

impl Metadata {
    /// A model without inputs or outputs, which takes one request per call.
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

    /// A sentence for people.
    pub fn description(mut self, text: &str) -> Self {
        self.description = text.to_owned();
        self
    }

    /// Adds an input that every request must have. `shape` is the number of elements along each
    /// dimension, -1 where any will do: `.input::<f64>("features", [-1, 11])`.
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

    /// Says that the first dimension of every tensor is the batch, of up to `items`: the host may
    /// then join requests into one call.
    pub fn max_batch_size(mut self, items: u32) -> Self {
        self.max_batch_size = items;
        self
    }

    /// Adds anything else worth telling a client: a licence, the order of columns.
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
