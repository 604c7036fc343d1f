//! Data in another order, repeated, joined or in parts.

use wardian_sdk::{Error, OrError};

use super::Operator;
use super::broadcast::{common_shape, steps};
use crate::kernel::{Arguments, Kernel};
use crate::node::Node;
use crate::tensor::{ElementType, Shape, Tensor, Walk, strides};

const ALL: &[ElementType] = ElementType::ALL;
const INTEGERS: &[ElementType] = &[ElementType::I64, ElementType::I32];

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx("Transpose", 1, ALL, transpose),
    Operator::onnx("Expand", 8, ALL, expand),
    Operator::onnx("Tile", 6, ALL, tile),
    Operator::onnx("Concat", 4, ALL, concat),
    Operator { versions: (1, 9), ..Operator::onnx("Slice", 1, ALL, slice_by_attributes) },
    Operator::onnx("Slice", 10, ALL, slice),
    Operator::onnx("Split", 2, ALL, split),
];

fn transpose(node: &Node<'_>) -> Result<Kernel, Error> {
    let order = node.attribute("perm").map(|attribute| attribute.ints.clone());
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.get(0)?;
        let rank = tensor.shape().len();
        let order: Vec<usize> = match &order {
            None => (0..rank).rev().collect(),
            Some(order) => {
                order.iter().map(|axis| tensor.shape().axis(*axis)).collect::<Result<_, _>>()?
            }
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(Error::rejected(format_args!("{order:?} is no order of {rank} axes")));
        }
        tensor.transpose(&order)
    }))
}

fn expand(node: &Node<'_>) -> Result<Kernel, Error> {
    node.expect(1, &[ElementType::I64])?;
    Ok(Kernel::new(node.input_type(0)?, |arguments| {
        let tensor = arguments.get(0)?;
        let wanted = Shape::from_numbers(&arguments.get(1)?.integers()?)?;
        let shape = common_shape(tensor.shape(), &wanted)?;
        let steps = steps(tensor.shape(), &shape).into_iter().map(|step| step as isize).collect();
        tensor.walk(&Walk { shape, start: 0, steps })
    }))
}

fn tile(node: &Node<'_>) -> Result<Kernel, Error> {
    node.expect(1, &[ElementType::I64])?;
    Ok(Kernel::new(node.input_type(0)?, |arguments| {
        let repeats = arguments.get(1)?.integers()?;
        let mut tensor = arguments.take(0)?;
        if repeats.len() != tensor.shape().len() {
            return Err(Error::rejected("there is not one number of repeats for each axis"));
        }
        for (axis, repeats) in repeats.iter().enumerate().filter(|(_, repeats)| **repeats != 1) {
            let repeats = usize::try_from(*repeats).or_rejected("a number of repeats")?;
            tensor = repeat(&tensor, axis, repeats)?;
        }
        Ok(tensor)
    }))
}

fn repeat(tensor: &Tensor, axis: usize, repeats: usize) -> Result<Tensor, Error> {
    let extent = tensor.shape()[axis];
    let repeated = extent.checked_mul(repeats).or_rejected("too many repeats")?;
    let shape = tensor.shape().with(axis, repeated)?;
    let (before, block) = tensor.shape().split_at_axis(axis);
    let starts = (0..before).flat_map(|outer| std::iter::repeat_n(outer * block, repeats));
    tensor.pick_blocks(shape, block, starts)
}

fn concat(node: &Node<'_>) -> Result<Kernel, Error> {
    let axis = node.find_integer("axis").or_failed("it has no axis")?;
    node.expect_all(1, node.input_type(0)?)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensors: Vec<_> =
            (0..arguments.len()).filter_map(|index| arguments.find(index)).collect();
        let axis = arguments.get(0)?.shape().axis(axis)?;
        concatenate(&tensors, axis)
    }))
}

/// Joins tensors along an axis.
///
/// # Errors
/// Rejected if another extent differs.
pub fn concatenate(tensors: &[&Tensor], axis: usize) -> Result<Tensor, Error> {
    let first = tensors.first().or_rejected("nothing to join")?;
    let mut joined = 0_usize;
    for tensor in tensors {
        let shape = tensor.shape();
        let differs =
            |(index, extent): (usize, &usize)| index != axis && shape.get(index) != Some(extent);
        if shape.len() != first.shape().len() || first.shape().iter().enumerate().any(differs) {
            let text =
                format!("{:?} and {shape:?} cannot be joined along axis {axis}", first.shape());
            return Err(Error::rejected(text));
        }
        joined = joined.saturating_add(shape[axis]);
    }
    let shape = first.shape().with(axis, joined)?;
    let mut data = first.data().empty(shape.elements())?;
    let (outer, _) = shape.split_at_axis(axis);
    for outer in 0..outer {
        for tensor in tensors {
            let (_, block) = tensor.shape().split_at_axis(axis);
            data.append(tensor.data(), outer * block, block)?;
        }
    }
    Tensor::from_data(shape, data)
}

/// Starts, ends, axes and steps of a slice.
struct Slice {
    starts: Vec<i64>,
    ends: Vec<i64>,
    axes: Option<Vec<i64>>,
    steps: Option<Vec<i64>>,
}

fn slice_by_attributes(node: &Node<'_>) -> Result<Kernel, Error> {
    let (starts, ends) = (node.integers("starts").to_vec(), node.integers("ends").to_vec());
    let axes = node.attribute("axes").map(|axes| axes.ints.clone());
    let slice = Slice { starts, ends, axes, steps: None };
    Ok(Kernel::new(node.input_type(0)?, move |arguments| slice.apply(arguments.get(0)?)))
}

fn slice(node: &Node<'_>) -> Result<Kernel, Error> {
    (1..5).try_for_each(|index| node.expect(index, INTEGERS))?;
    Ok(Kernel::new(node.input_type(0)?, |arguments| {
        let integers = |index| arguments.find(index).map(Tensor::integers).transpose();
        let slice = Slice {
            starts: arguments.get(1)?.integers()?,
            ends: arguments.get(2)?.integers()?,
            axes: integers(3)?,
            steps: integers(4)?,
        };
        slice.apply(arguments.get(0)?)
    }))
}

impl Slice {
    fn apply(&self, tensor: &Tensor) -> Result<Tensor, Error> {
        let mut steps = strides(tensor.shape());
        let mut shape = *tensor.shape();
        let mut start = 0;
        for index in 0..self.starts.len() {
            let axis = match &self.axes {
                Some(axes) => *axes.get(index).or_rejected("an axis is missing")?,
                None => index as i64,
            };
            let axis = tensor.shape().axis(axis)?;
            let step = match &self.steps {
                Some(steps) => *steps.get(index).or_rejected("a step is missing")?,
                None => 1,
            };
            let end = *self.ends.get(index).or_rejected("an end is missing")?;
            let extent = tensor.shape()[axis] as i64;
            let (first, length) = range(self.starts[index], end, step, extent)?;
            start += first as isize * steps[axis];
            shape = shape.with(axis, length)?;
            let step = isize::try_from(step.clamp(-extent.max(1), extent.max(1)));
            steps[axis] *= step.or_rejected("a step")?;
        }
        let start = usize::try_from(start).unwrap_or_default();
        tensor.walk(&Walk { shape, start, steps })
    }
}

/// Returns the first index and the number of indices of a slice of an axis.
fn range(start: i64, end: i64, step: i64, extent: i64) -> Result<(i64, usize), Error> {
    if step == 0 {
        return Err(Error::rejected("a step of 0"));
    }
    let from_end = |index: i64| if index < 0 { index.saturating_add(extent) } else { index };
    let (start, end) = (from_end(start), from_end(end));
    let (start, distance) = if step > 0 {
        let (start, end) = (start.clamp(0, extent), end.clamp(0, extent));
        (start, end - start)
    } else {
        let (start, end) = (start.clamp(-1, extent - 1), end.clamp(-1, extent - 1));
        (start, start - end)
    };
    let length = if distance > 0 { (distance as u64).div_ceil(step.unsigned_abs()) } else { 0 };
    Ok((start.max(0), length as usize))
}

fn split(node: &Node<'_>) -> Result<Kernel, Error> {
    let axis = node.integer("axis", 0);
    let sizes = node.integers("split").to_vec();
    let count = node.outputs();
    if node.find_integer("num_outputs").is_some_and(|given| given != count as i64) {
        return Err(Error::failed("num_outputs is not the number of its outputs"));
    }
    node.expect(1, &[ElementType::I64])?;
    let outputs = vec![node.input_type(0)?; count];
    Ok(Kernel::many(outputs, move |arguments| {
        let tensor = arguments.get(0)?;
        let axis = tensor.shape().axis(axis)?;
        let sizes = sizes_now(&sizes, arguments, tensor.shape()[axis], count)?;
        let mut start = 0;
        let mut parts = Vec::with_capacity(count);
        for size in sizes {
            parts.push(part(tensor, axis, start, size)?);
            start += size;
        }
        Ok(parts)
    }))
}

/// The sizes of parts: given, or equal with a smaller last one.
fn sizes_now(
    known: &[i64],
    arguments: &Arguments<'_>,
    extent: usize,
    count: usize,
) -> Result<Vec<usize>, Error> {
    let given = match arguments.find(1) {
        Some(sizes) => sizes.integers()?,
        None => known.to_vec(),
    };
    if given.is_empty() {
        let size = extent.div_ceil(count.max(1));
        let start = |index: usize| (index * size).min(extent);
        return Ok((0..count).map(|index| start(index + 1) - start(index)).collect());
    }
    let mut total = 0_usize;
    let mut sizes = Vec::with_capacity(count);
    for size in given {
        let size = usize::try_from(size).or_rejected("the size of a part")?;
        total = total.saturating_add(size);
        sizes.push(size);
    }
    if total != extent || sizes.len() != count {
        let text = format!("parts of {sizes:?} are not {count} of {extent} together");
        return Err(Error::rejected(text));
    }
    Ok(sizes)
}

/// Returns a part of a tensor along an axis.
///
/// # Errors
/// Rejected if it is not within the tensor.
pub fn part(tensor: &Tensor, axis: usize, start: usize, length: usize) -> Result<Tensor, Error> {
    let (outer, block) = tensor.shape().split_at_axis(axis);
    let (_, inner) = tensor.shape().split_at_axis(axis + 1);
    let shape = tensor.shape().with(axis, length)?;
    tensor.pick_blocks(shape, length * inner, (0..outer).map(|outer| outer * block + start * inner))
}
