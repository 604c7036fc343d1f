//! Functions of one number.

use wardian_sdk::Error;

use super::{Domain, Operator, for_types};
use crate::onnx::kernel::Kernel;
use crate::onnx::node::Node;
use crate::onnx::tensor::{Element, ElementType, Tensor};

pub(super) const OPERATORS: &[Operator] = &[Operator {
    domain: Domain::Onnx,
    name: "Abs",
    versions: (6, Domain::NEWEST),
    accepts: ElementType::NUMBERS,
    build: |node| for_types!(node.input_type(0)?, T in [F32(f32), F64(f64), I64(i64), I32(i32)] => map(node, T::abs)),
}];

/// A kernel that applies a function to each element.
fn map<T: Element + Copy>(node: &Node<'_>, function: fn(T) -> T) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let input = arguments.take(0)?;
        let shape = *input.shape();
        let mut values = input.into_values::<T>()?;
        values.iter_mut().for_each(|value| *value = function(*value));
        Tensor::new(shape, values)
    }))
}
