//! What goes into a model and what comes out.

use super::Tensor;

/// Parameters of a request, of an answer, or of all its parts together: more than any client sends
/// or model tells, and a bound on comparing each with the others.
pub(crate) const MAX_PARAMETERS: usize = 128;

/// A value beside the tensors.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(String),
}

/// A named value beside the tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: ParameterValue,
}

impl Parameter {
    /// Bytes of its name and its text.
    pub fn size(&self) -> usize {
        let text = if let ParameterValue::Text(text) = &self.value { text.len() } else { 0 };
        self.name.len() + text
    }
}

/// The place of a request in a sequence of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// The caller's name for the sequence.
    pub id: String,
    /// It is the first: whatever state there is under that name is forgotten.
    pub start: bool,
    /// It is the last: its state is forgotten afterwards.
    pub end: bool,
}

/// One request to a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferRequest {
    /// The caller's name for the request, echoed in the response; empty when it gave none.
    pub id: String,
    /// Values for the model beside the tensors.
    pub parameters: Vec<Parameter>,
    /// The tensors to work on.
    pub inputs: Vec<Tensor>,
    /// The names of the outputs the caller wants; empty for all.
    pub outputs: Vec<String>,
    /// The sequence it belongs to, if to one.
    pub sequence: Option<Sequence>,
    /// Whom it goes before where requests wait: 1 is served first; 0 for the default, which comes
    /// after all others.
    pub priority: u32,
}

impl InferRequest {
    /// Bytes of its tensors and parameters, names included.
    pub fn size(&self) -> u64 {
        size_of(&self.inputs, &self.parameters)
    }
}

/// A model's answer to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InferResponse {
    /// Values beside the tensors.
    pub parameters: Vec<Parameter>,
    /// The results.
    pub outputs: Vec<Tensor>,
}

impl InferResponse {
    /// Bytes of its tensors and parameters, names included.
    pub fn size(&self) -> u64 {
        size_of(&self.outputs, &self.parameters)
    }
}

/// Bytes of tensors and parameters, names included.
pub(crate) fn size_of(tensors: &[Tensor], parameters: &[Parameter]) -> u64 {
    let tensors = tensors.iter().map(|tensor| tensor.data.len() + tensor.name.len());
    tensors.chain(parameters.iter().map(Parameter::size)).map(|size| size as u64).sum()
}
