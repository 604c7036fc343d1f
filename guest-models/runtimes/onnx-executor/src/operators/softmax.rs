//! Softmax and its family.

use wardian_sdk::Error;
use wardian_sdk::kernels::{Softmax, softmax_rows};

use super::along_axis::{along_axis, change_groups};
use super::number::{Float, Number};
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{ElementType, Shape, Tensor};

const FLOATS: &[ElementType] = ElementType::FLOATS;

/// The version before which all axes from the given one on are one group.
const ONE_AXIS: i64 = 13;

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx("Softmax", 1, FLOATS, |node| match node.input_type(0)? {
        ElementType::F32 => softmax_of_floats(node),
        element => for_types!(element, T in floats => groups::<T>(node, softmax)),
    }),
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
        change_blocks(arguments.take(0)?, axis, function)
    }))
}

/// Changes each block of all axes from the given one on.
fn change_blocks<T: Number>(
    tensor: Tensor,
    axis: i64,
    change: fn(&mut [T]),
) -> Result<Tensor, Error> {
    let shape = *tensor.shape();
    let block = block_size(&shape, axis)?;
    let mut values = tensor.into_values::<T>()?;
    values.chunks_exact_mut(block.max(1)).for_each(change);
    Tensor::new(shape, values)
}

/// Returns the elements of all axes from the given one on, which may be behind the last.
fn block_size(shape: &Shape, axis: i64) -> Result<usize, Error> {
    let axis = if axis == shape.len() as i64 { shape.len() } else { shape.axis(axis)? };
    Ok(shape.split_at_axis(axis).1)
}

/// The least numbers for which the host is called.
const LEAST_OF_HOST: usize = 2048;

/// Softmax of floats. The host computes long tensors of short rows.
fn softmax_of_floats(node: &Node<'_>) -> Result<Kernel, Error> {
    let joins_axes = node.version() < ONE_AXIS;
    let axis = node.integer("axis", if joins_axes { 1 } else { -1 });

    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let columns = if joins_axes {
            block_size(&shape, axis)?
        } else {
            let (_, inner) = shape.split_at_axis(shape.axis(axis)? + 1);
            if inner == 1 { block_size(&shape, axis)? } else { 0 }
        };

        if columns == 0 {
            return change_groups(tensor, axis, softmax::<f32>);
        }
        let mut values = tensor.into_values::<f32>()?;
        softmax_of_rows(&mut values, columns)?;
        Tensor::new(shape, values)
    }))
}

/// Replaces each row of so many numbers by its softmax.
///
/// # Errors
/// Failed if the host refuses its part, which it never should.
pub fn softmax_of_rows(values: &mut [f32], columns: usize) -> Result<(), Error> {
    match operation_of_host(values.len(), columns) {
        Some(operation) => softmax_rows(&operation, values),
        None => {
            values.chunks_exact_mut(columns.max(1)).for_each(softmax);
            Ok(())
        }
    }
}

/// Returns the operation of the host for rows of this length; `None` if they have none, or the host
/// takes no such rows, or there are too few numbers.
fn operation_of_host(count: usize, columns: usize) -> Option<Softmax> {
    let rows = count.checked_div(columns)?;
    let operation = Softmax { rows: rows.try_into().ok()?, columns: columns.try_into().ok()? };
    (count >= LEAST_OF_HOST && operation.columns <= Softmax::MAX_COLUMNS).then_some(operation)
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
