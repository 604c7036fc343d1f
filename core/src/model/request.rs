//! Requests and responses.

use super::Tensor;

/// Limit of parameters of a request, of a response, or of all its parts together. It bounds the
/// comparison of each with the others.
pub const MAX_PARAMETERS: usize = 128;

/// Value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// True or false.
    Boolean(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// A floating-point number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A named value beside the tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name of the parameter.
    pub name: String,
    /// Value of the parameter.
    pub value: ParameterValue,
}

impl Parameter {
    /// Returns the bytes of the name and of a text value.
    pub fn size(&self) -> usize {
        let text = if let ParameterValue::Text(text) = &self.value { text.len() } else { 0 };
        self.name.len() + text
    }
}

/// Session control of a request, named sequence in the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionControl {
    /// Session id chosen by the caller.
    pub id: String,
    /// First request of the session: an existing state is discarded.
    pub start: bool,
    /// Last request of the session: the state is deleted after it.
    pub end: bool,
}

/// A request to a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferRequest {
    /// Id chosen by the caller and echoed in the response; may be empty.
    pub id: String,
    /// Parameters for the model.
    pub parameters: Vec<Parameter>,
    /// Input tensors.
    pub inputs: Vec<Tensor>,
    /// Names of the requested outputs; empty for all.
    pub outputs: Vec<String>,
    /// Session of the request, if any.
    pub session: Option<SessionControl>,
    /// Priority in the queue: 1 is served first; 0 is the default and is served last.
    pub priority: u32,
}

impl InferRequest {
    /// Returns the bytes of tensors and parameters, including names.
    pub fn size(&self) -> u64 {
        payload_size(&self.inputs, &self.parameters)
    }
}

/// A model's response to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferResponse {
    /// Parameters from the model.
    pub parameters: Vec<Parameter>,
    /// Output tensors.
    pub outputs: Vec<Tensor>,
}

impl InferResponse {
    /// Returns the bytes of tensors and parameters, including names.
    pub fn size(&self) -> u64 {
        payload_size(&self.outputs, &self.parameters)
    }
}

/// Returns the bytes of tensors and parameters, including names.
pub fn payload_size(tensors: &[Tensor], parameters: &[Parameter]) -> u64 {
    let tensors = tensors.iter().map(|tensor| tensor.data.len() + tensor.name.len());
    tensors.chain(parameters.iter().map(Parameter::size)).map(|size| size as u64).sum()
}
