//! Outputs: their declarations, and their tensors in a response.

use std::sync::Arc;

use wardian_sdk::{Error, OrError};

use super::inputs::shape;
use crate::Program;
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::tensor::{Data, ElementType, Shape, Tensor};
use crate::text::shown;
use crate::value_type::{Classes, ValueType};

/// An output of a model.
pub(crate) struct ModelOutput {
    /// The name.
    pub name: String,
    /// The type of its elements.
    pub element: ElementType,
    /// The extents, -1 for any; `None` if the file does not say.
    pub shape: Option<Vec<i64>>,
    /// True if a trial has shown that values of inputs decide the shape.
    pub depends_on_values: bool,
    /// The classes of its columns, if it is ZipMap's.
    pub classes: Option<Arc<Classes>>,
}

/// Replaces each output that is a sequence made of tensors by these tensors. Returns the names of
/// the outputs: `probabilities` becomes `probabilities_0`, `probabilities_1`.
///
/// # Errors
/// Failed if two outputs have one name.
pub(super) fn flatten_sequences(graph: &mut GraphProto) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let mut flattened = Vec::new();
    for output in std::mem::take(&mut graph.output) {
        match sequence(graph, &output.name) {
            Some(node) => {
                for (index, input) in node.input.iter().enumerate() {
                    names.push(format!("{}_{index}", output.name));
                    flattened.push(ValueInfoProto { name: input.clone(), r#type: None });
                }
            }
            None => {
                names.push(output.name.clone());
                flattened.push(output);
            }
        }
    }
    graph.output = flattened;

    let mut sorted = names.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::failed(format_args!("two outputs have the name '{}'", pair[0]))),
        None => Ok(names),
    }
}

/// The node that makes a sequence.
fn sequence<'a>(graph: &'a GraphProto, name: &str) -> Option<&'a NodeProto> {
    let is_maker = |node: &&NodeProto| {
        node.op_type == "SequenceConstruct" && node.output.first().is_some_and(|made| made == name)
    };
    graph.node.iter().find(is_maker)
}

/// Describes the outputs of a program.
///
/// # Errors
/// Failed if there is none.
pub(super) fn read(
    graph: &GraphProto,
    names: Vec<String>,
    program: &Program,
) -> Result<Vec<ModelOutput>, Error> {
    let outputs = names.into_iter().zip(&graph.output).zip(&program.output_types);
    let outputs = outputs.map(|((name, declared), value_type)| {
        let tensor = declared.r#type.as_ref().and_then(|declared| declared.tensor_type.as_ref());
        match value_type {
            ValueType::Tensor(element) => ModelOutput::new(name, *element, tensor.and_then(shape)),
            ValueType::Maps(classes) => {
                let shape = Some(vec![-1, classes.len() as i64]);
                let classes = Some(Arc::clone(classes));
                ModelOutput { classes, ..ModelOutput::new(name, ElementType::F32, shape) }
            }
        }
    });
    let outputs: Vec<_> = outputs.collect();
    (!outputs.is_empty()).then_some(outputs).or_failed("the graph has no output")
}

// === impl ModelOutput ===

impl ModelOutput {
    fn new(name: String, element: ElementType, shape: Option<Vec<i64>>) -> Self {
        ModelOutput { name, element, shape, depends_on_values: false, classes: None }
    }

    /// Returns the tensor of a response.
    ///
    /// # Errors
    /// If its shape is not the one that the metadata say. Rejected where the values of the request
    /// decide the shape, and failed elsewhere.
    pub(super) fn tensor(&self, value: &Tensor) -> Result<wardian_sdk::Tensor, Error> {
        if self.fits(value.shape()) {
            return Ok(self.wire(value));
        }

        let (shape, said) = (value.shape(), self.described());
        let text =
            format!("the output '{}' has the shape {shape:?} in place of {said:?}", self.name);
        match self.depends_on_values {
            true => Err(Error::rejected(shown(&format!("with these values, {text}")))),
            false => Err(Error::failed(shown(&text))),
        }
    }

    /// Returns true if the metadata say this shape.
    pub(super) fn fits(&self, shape: &Shape) -> bool {
        let said = self.described();
        let mut extents = shape.iter().zip(said);
        let is_within = extents.all(|(extent, said)| *said == -1 || *said == *extent as i64);
        shape.len() == said.len() && is_within
    }

    /// The shape that the metadata say.
    pub(super) fn described(&self) -> &[i64] {
        self.shape.as_deref().unwrap_or(&[-1])
    }

    fn wire(&self, value: &Tensor) -> wardian_sdk::Tensor {
        let name = &self.name;
        let shape = value.shape().iter().copied();
        macro_rules! numbers {
            ($($variant:ident),*) => {
                match value.data() {
                    $(Data::$variant(values) => {
                        wardian_sdk::Tensor::new(name, shape, values.iter().copied())
                    })*
                    Data::Text(values) => wardian_sdk::Tensor::from_strings(
                        name,
                        shape,
                        values.iter().map(|value| value.as_bytes()),
                    ),
                    Data::F16(values) => {
                        let bits = values.iter().map(|value| value.to_bits());
                        self.halves(wardian_sdk::Tensor::new(name, shape, bits))
                    }
                    Data::Bf16(values) => {
                        let bits = values.iter().map(|value| value.to_bits());
                        self.halves(wardian_sdk::Tensor::new(name, shape, bits))
                    }
                }
            };
        }
        numbers!(F32, F64, I64, I32, I16, I8, U64, U32, U16, U8, Bool)
    }

    /// Names the datatype of numbers of 16 bits.
    fn halves(&self, bits: wardian_sdk::Tensor) -> wardian_sdk::Tensor {
        wardian_sdk::Tensor { datatype: self.element.datatype(), ..bits }
    }
}
