//! Elements by their indices.

use wardian_sdk::{Error, OrError};

use super::Operator;
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{ElementType, Shape, Tensor, allocate, strides};

const ALL: &[ElementType] = ElementType::ALL;
const INTEGERS: &[ElementType] = &[ElementType::I64, ElementType::I32];

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx("Gather", 1, ALL, gather),
    Operator::onnx("GatherElements", 11, ALL, gather_elements),
    Operator::onnx("GatherND", 11, ALL, gather_nd),
];

/// Returns an index that counts from the end if it is negative.
///
/// # Errors
/// Rejected if there is none.
pub fn resolve(index: i64, extent: usize) -> Result<usize, Error> {
    let counted = if index < 0 { index.saturating_add(extent as i64) } else { index };
    let resolved = usize::try_from(counted).ok().filter(|resolved| *resolved < extent);
    resolved.or_rejected(format_args!("there is no index {index} of {extent}"))
}

fn gather(node: &Node<'_>) -> Result<Kernel, Error> {
    let axis = node.integer("axis", 0);
    node.expect(1, INTEGERS)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let (tensor, indices) = (arguments.get(0)?, arguments.get(1)?);
        let axis = tensor.shape().axis(axis)?;
        let extent = tensor.shape()[axis];
        let mut picked = allocate(indices.len())?;
        for index in indices.integers()? {
            picked.push(resolve(index, extent)?);
        }

        let (outer, block) = tensor.shape().split_at_axis(axis);
        let (_, inner) = tensor.shape().split_at_axis(axis + 1);
        let (before, after) = tensor.shape().split_at(axis);
        let extents: Vec<_> =
            before.iter().chain(indices.shape().iter()).chain(&after[1..]).copied().collect();
        let starts = (0..outer)
            .flat_map(|outer| picked.iter().map(move |index| outer * block + index * inner));
        tensor.pick_blocks(Shape::new(&extents)?, inner, starts)
    }))
}

fn gather_elements(node: &Node<'_>) -> Result<Kernel, Error> {
    let axis = node.integer("axis", 0);
    node.expect(1, INTEGERS)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let (tensor, indices) = (arguments.get(0)?, arguments.get(1)?);
        tensor.pick(*indices.shape(), &element_indices(tensor.shape(), indices, axis)?)
    }))
}

/// Returns, for each index of an element along an axis, the place of the element in the data.
///
/// # Errors
/// Rejected if there is no such element.
pub(super) fn element_indices(
    shape: &Shape,
    indices: &Tensor,
    axis: i64,
) -> Result<Vec<usize>, Error> {
    let axis = shape.axis(axis)?;
    let within = |(index, extent): (usize, &usize)| index == axis || *extent <= shape[index];
    if indices.shape().len() != shape.len() || !indices.shape().iter().enumerate().all(within) {
        let text = format!("indices of shape {:?} for data of {shape:?}", indices.shape());
        return Err(Error::rejected(text));
    }
    let strides = strides(shape);
    let mut counters = vec![0_usize; shape.len()];
    let mut places = allocate(indices.len())?;
    for index in indices.integers()? {
        let mut place = 0;
        for (dimension, counter) in counters.iter().enumerate() {
            let own = if dimension == axis { resolve(index, shape[axis])? } else { *counter };
            place += own * strides[dimension] as usize;
        }
        places.push(place);
        for (counter, extent) in counters.iter_mut().zip(indices.shape().iter()).rev() {
            *counter += 1;
            if *counter < *extent {
                break;
            }
            *counter = 0;
        }
    }
    Ok(places)
}

fn gather_nd(node: &Node<'_>) -> Result<Kernel, Error> {
    let batch = node.integer("batch_dims", 0);
    node.expect(1, &[ElementType::I64])?;
    let batch = usize::try_from(batch).or_failed("batch_dims")?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let (tensor, indices) = (arguments.get(0)?, arguments.get(1)?);
        let (data, shape) = (tensor.shape(), indices.shape());
        let (depth, outer) = shape.split_last().or_rejected("indices without dimensions")?;
        let (depth, axes) = (*depth, batch.saturating_add(*depth));
        if axes > data.len() || batch > outer.len() || data[..batch] != outer[..batch] {
            return Err(Error::rejected(format_args!(
                "indices of shape {shape:?} for data of {data:?}"
            )));
        }

        let starts = nd_places(data, indices, batch)?;
        let (_, inner) = data.split_at_axis(axes);
        let extents: Vec<_> = outer.iter().chain(&data[batch + depth..]).copied().collect();
        tensor.pick_blocks(Shape::new(&extents)?, inner, starts.into_iter())
    }))
}

/// Returns the place of the first element of each block that a row of indices names. The first
/// `batch` dimensions are those of the data.
///
/// # Errors
/// Rejected if there is no such element.
pub(super) fn nd_places(data: &Shape, indices: &Tensor, batch: usize) -> Result<Vec<usize>, Error> {
    let shape = indices.shape();
    let depth = shape.last().copied().unwrap_or_default();
    let outer: usize = shape.iter().rev().skip(1).product();
    let (batches, block) = data.split_at_axis(batch);
    let per_batch = outer.checked_div(batches).unwrap_or_default().max(1);
    let strides = strides(data);
    let numbers = indices.integers()?;

    let mut places = allocate(outer)?;
    for row in 0..outer {
        let mut place = row / per_batch * block;
        for offset in 0..depth {
            let number = numbers.get(row * depth + offset).or_rejected("an index is missing")?;
            let axis = batch + offset;
            let extent = data.get(axis).or_rejected("too many indices")?;
            place += resolve(*number, *extent)? * strides[axis] as usize;
        }
        places.push(place);
    }
    Ok(places)
}
