//! Comparisons, and logic of booleans.

use wardian_sdk::Error;

use super::broadcast::Broadcast;
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{Element, ElementType, Tensor, Text};

const BOOLEANS: &[ElementType] = &[ElementType::Bool];
const NUMBERS: &[ElementType] = ElementType::NUMBERS;

macro_rules! comparison {
    ($name:literal, $first:literal, $operator:tt) => {
        Operator::onnx($name, $first, NUMBERS, |node| {
            for_types!(node.input_type(0)?, T in numbers => compare::<T>(node, |a, b| a $operator b))
        })
    };
}

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    comparison!("Less", 7, <),
    comparison!("LessOrEqual", 12, <=),
    comparison!("Greater", 7, >),
    comparison!("GreaterOrEqual", 12, >=),
    Operator::onnx("Equal", 7, ElementType::ALL, equal),
    Operator::onnx("And", 7, BOOLEANS, |node| compare::<bool>(node, |a, b| *a && *b)),
    Operator::onnx("Or", 7, BOOLEANS, |node| compare::<bool>(node, |a, b| *a || *b)),
    Operator::onnx("Xor", 7, BOOLEANS, |node| compare::<bool>(node, |a, b| a != b)),
];

fn equal(node: &Node<'_>) -> Result<Kernel, Error> {
    match node.input_type(0)? {
        ElementType::Bool => compare::<bool>(node, |a, b| a == b),
        ElementType::Text => compare::<Text>(node, |a, b| a == b),
        element => for_types!(element, T in numbers => compare::<T>(node, |a, b| a == b)),
    }
}

fn compare<T: Element>(
    node: &Node<'_>,
    compare: impl Fn(&T, &T) -> bool + Copy + Send + Sync + 'static,
) -> Result<Kernel, Error> {
    node.expect_all(1, node.input_type(0)?)?;
    Ok(Kernel::new(ElementType::Bool, move |arguments| {
        let (one, other) = (arguments.get(0)?, arguments.get(1)?);
        let broadcast = Broadcast::new(one.shape(), other.shape())?;
        Tensor::new(broadcast.shape, broadcast.map(one.values()?, other.values()?, compare)?)
    }))
}
