//! Operators that give their input, or a constant.

use wardian_sdk::{Error, OrError};

use super::{Domain, Operator};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{ElementType, Tensor, Text};

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator {
        domain: Domain::Onnx,
        name: "Identity",
        versions: (1, Domain::NEWEST),
        accepts: ElementType::ALL,
        build: identity,
    },
    Operator {
        domain: Domain::Onnx,
        name: "Constant",
        versions: (1, Domain::NEWEST),
        accepts: &[],
        build: constant,
    },
];

fn identity(node: &Node<'_>) -> Result<Kernel, Error> {
    let input = node.find_input(0).or_failed("input 0 is missing")?;
    Ok(Kernel::passing(input.value_type.clone()))
}

fn constant(node: &Node<'_>) -> Result<Kernel, Error> {
    let value = constant_value(node)?;
    Ok(Kernel::new(value.element_type(), move |_| Ok(value.clone())))
}

/// Reads the value, which is one of several attributes.
fn constant_value(node: &Node<'_>) -> Result<Tensor, Error> {
    if let Some(value) = node.tensor("value")? {
        return Ok(value);
    }
    if let Some(value) = node.find_float("value_float") {
        return Ok(Tensor::scalar(value));
    }
    if let Some(value) = node.find_integer("value_int") {
        return Ok(Tensor::scalar(value));
    }
    if let Some(value) = node.find_text("value_string")? {
        return Ok(Tensor::scalar(Text::from(value)));
    }
    if node.attribute("value_floats").is_some() {
        return Tensor::vector(node.floats("value_floats").to_vec());
    }
    if node.attribute("value_ints").is_some() {
        return Tensor::vector(node.integers("value_ints").to_vec());
    }
    if node.attribute("value_strings").is_some() {
        return Tensor::vector(node.texts("value_strings")?);
    }
    Err(Error::failed("it has no value that is served"))
}
