//! Running a single node, for tests of operators, and files made of messages.

#![expect(clippy::unwrap_used, reason = "a test ends with the panic")]

pub mod files;

use std::sync::Arc;

use wardian_sdk::Error;

use crate::kernel::{Argument, Arguments, Outputs};
use crate::node::{Input, Node, Subgraphs};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::tensor::{Element, Shape, Tensor, Text};
use crate::value_type::ValueType;
use crate::{Program, Registry};

/// A node of one operator: `Case::new(registry, "Softmax", 13).int("axis", 1).run(&[tensor])`.
pub struct Case {
    registry: Registry,
    proto: NodeProto,
    version: i64,
}

struct NoSubgraphs;

impl Case {
    /// A node of ai.onnx with one output.
    pub fn new(registry: Registry, operator: &str, version: i64) -> Self {
        let proto = NodeProto {
            op_type: operator.to_owned(),
            name: "n".to_owned(),
            output: vec!["y".to_owned()],
            ..NodeProto::default()
        };
        Self { registry, proto, version }
    }

    /// Sets the domain.
    pub fn domain(mut self, domain: &str) -> Self {
        self.proto.domain = domain.to_owned();
        self
    }

    /// Sets the number of outputs.
    pub fn outputs(mut self, outputs: usize) -> Self {
        self.proto.output = (0..outputs).map(|index| format!("y{index}")).collect();
        self
    }

    /// Adds an attribute.
    pub fn attribute(mut self, name: &str, value: AttributeProto) -> Self {
        let name = name.to_owned();
        self.proto.attribute.push(AttributeProto { name, ..value });
        self
    }

    /// Adds a whole number.
    pub fn int(self, name: &str, value: i64) -> Self {
        self.attribute(name, AttributeProto { i: Some(value), ..AttributeProto::default() })
    }

    /// Adds a number.
    pub fn float(self, name: &str, value: f32) -> Self {
        self.attribute(name, AttributeProto { f: Some(value), ..AttributeProto::default() })
    }

    /// Adds a text.
    pub fn text(self, name: &str, value: &str) -> Self {
        let s = Some(value.as_bytes().to_vec());
        self.attribute(name, AttributeProto { s, ..AttributeProto::default() })
    }

    /// Adds whole numbers.
    pub fn ints(self, name: &str, values: &[i64]) -> Self {
        self.attribute(name, AttributeProto { ints: values.to_vec(), ..AttributeProto::default() })
    }

    /// Adds numbers.
    pub fn floats(self, name: &str, values: &[f32]) -> Self {
        let floats = values.to_vec();
        self.attribute(name, AttributeProto { floats, ..AttributeProto::default() })
    }

    /// Adds texts.
    pub fn texts(self, name: &str, values: &[&str]) -> Self {
        let strings = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        self.attribute(name, AttributeProto { strings, ..AttributeProto::default() })
    }

    /// Adds a tensor.
    pub fn tensor(self, name: &str, value: TensorProto) -> Self {
        self.attribute(name, AttributeProto { t: Some(value), ..AttributeProto::default() })
    }

    /// Builds the node for inputs of these types, none of them constant, and runs it.
    ///
    /// # Errors
    /// The refusal or the error of the run.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        let given: Vec<_> = inputs.iter().cloned().map(Some).collect();
        self.run_with(&given, false)
    }

    /// Builds and runs the node; inputs may be left out, and may all be constants.
    ///
    /// # Errors
    /// The refusal or the error of the run.
    pub fn run_with(
        &self,
        inputs: &[Option<Tensor>],
        are_constants: bool,
    ) -> Result<Vec<Tensor>, Error> {
        let known = |tensor: &Tensor| Input {
            value_type: ValueType::Tensor(tensor.element_type()),
            constant: are_constants.then(|| Arc::new(tensor.clone())),
        };
        let known = inputs.iter().map(|input| input.as_ref().map(known)).collect();
        let kernel =
            self.registry.build(&Node::new(&self.proto, self.version, known, &NoSubgraphs))?;

        let argument = |(slot, input): (usize, &Option<Tensor>)| match input {
            Some(_) => Argument::Value { slot, is_last_use: true },
            None => Argument::Absent,
        };
        let arguments: Vec<_> = inputs.iter().enumerate().map(argument).collect();
        let mut slots = inputs.to_vec();
        let mut arguments = Arguments {
            inputs: &arguments,
            slots: &mut slots,
            constants: &[],
            work: &mut 1_000_000_000,
        };
        Ok(match (kernel.run)(&mut arguments)? {
            Outputs::One(output) => vec![output],
            Outputs::Many(outputs) => outputs,
        })
    }

    /// Builds and runs the node, and returns its first output.
    ///
    /// # Panics
    /// If it is refused or fails.
    pub fn output(&self, inputs: &[Tensor]) -> Tensor {
        self.run(inputs).unwrap().remove(0)
    }

    /// Builds and runs the node, and returns its first output's elements.
    ///
    /// # Panics
    /// If it is refused or fails, or the elements are of another type.
    pub fn values<T: Element>(&self, inputs: &[Tensor]) -> Vec<T> {
        self.output(inputs).into_values().unwrap()
    }

    /// Returns the text with which the node is refused or fails.
    ///
    /// # Panics
    /// If it answers.
    pub fn error(&self, inputs: &[Tensor]) -> String {
        self.run(inputs).unwrap_err().to_string()
    }
}

impl Subgraphs for NoSubgraphs {
    fn compile(&self, _: &GraphProto, _: &[ValueType]) -> Result<Program, Error> {
        Err(Error::failed("no graphs here"))
    }
}

/// Makes a tensor of numbers or booleans.
///
/// # Panics
/// If the values do not fill the shape.
pub fn tensor<T: Element>(shape: &[usize], values: &[T]) -> Tensor {
    Tensor::new(Shape::new(shape).unwrap(), values.to_vec()).unwrap()
}

/// Makes a tensor of strings.
///
/// # Panics
/// If the values do not fill the shape.
pub fn strings(shape: &[usize], values: &[&str]) -> Tensor {
    let values: Vec<Text> = values.iter().map(|value| Text::from(*value)).collect();
    tensor(shape, &values)
}
