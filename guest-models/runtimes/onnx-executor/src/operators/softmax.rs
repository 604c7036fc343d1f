//! Softmax and its family.

use wardian_sdk::Error;

use super::along_axis::along_axis;
use super::number::{Float, Number};
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{ElementType, Tensor};

const FLOATS: &[ElementType] = ElementType::FLOATS;

/// The version before which all axes from the given one on are one group.
const ONE_AXIS: i64 = 13;

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx(
        "Softmax",
        1,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => groups::<T>(node, softmax)),
    ),
    Operator::onnx(
        "LogSoftmax",
        1,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => groups::<T>(node, log_softmax)),
    ),
    Operator::onnx(
        "Hardmax",
        1,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => groups::<T>(node, hardmax)),
    ),
];

fn groups<T: Number>(node: &Node<'_>, function: fn(&mut [T])) -> Result<Kernel, Error> {
    if node.version() >= ONE_AXIS {
        return along_axis(node, node.integer("axis", -1), function);
    }
    let axis = node.integer("axis", 1);
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let axis = if axis == shape.len() as i64 { shape.len() } else { shape.axis(axis)? };
        let (_, block) = shape.split_at_axis(axis);

        let mut values = tensor.into_values::<T>()?;
        values.chunks_exact_mut(block.max(1)).for_each(function);
        Tensor::new(shape, values)
    }))
}

/// Numbers that are joined side by side, in registers, before they are joined to one.
const LANES: usize = 8;

fn highest<T: Number>(group: &[T]) -> T {
    fold(group, T::LOWEST, T::larger)
}

fn sum<T: Number>(group: &[T]) -> T {
    fold(group, T::ZERO, T::plus)
}

fn fold<T: Number>(group: &[T], first: T, join: impl Fn(T, T) -> T) -> T {
    let (chunks, rest) = group.as_chunks::<LANES>();
    let mut lanes = [first; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane = join(*lane, *value));
    }
    lanes.iter().chain(rest).fold(first, |all, value| join(all, *value))
}

fn softmax<T: Float>(group: &mut [T]) {
    let highest = highest(group);
    group.iter_mut().for_each(|value| *value = Float::exp(value.minus(highest)));
    let sum = sum(group);
    group.iter_mut().for_each(|value| *value = value.over(sum).unwrap_or(*value));
}

fn log_softmax<T: Float>(group: &mut [T]) {
    let highest = highest(group).to_f64();
    let sum: f64 = group.iter().map(|value| (value.to_f64() - highest).exp()).sum();
    let shift = highest + sum.ln();
    group.iter_mut().for_each(|value| *value = T::from_f64(value.to_f64() - shift));
}

fn hardmax<T: Float>(group: &mut [T]) {
    let highest = highest(group);
    let place = group.iter().position(|value| *value == highest);
    let places = group.iter_mut().enumerate();
    places.for_each(|(index, value)| *value = if Some(index) == place { T::ONE } else { T::ZERO });
}
