//! Shapes of tensors, and the same data in another shape.

use wardian_sdk::{Error, OrError};

use super::Operator;
use crate::kernel::{Arguments, Kernel};
use crate::node::Node;
use crate::tensor::{ElementType, Shape, Tensor, axis_of};

const ALL: &[ElementType] = ElementType::ALL;

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx("Reshape", 5, ALL, reshape),
    Operator::onnx("Flatten", 1, ALL, flatten),
    Operator::onnx("Squeeze", 1, ALL, squeeze),
    Operator::onnx("Unsqueeze", 1, ALL, unsqueeze),
    Operator::onnx("Shape", 1, ALL, shape),
    Operator::onnx("Size", 1, ALL, |_| {
        Ok(Kernel::new(ElementType::I64, |arguments| {
            Ok(Tensor::scalar(arguments.get(0)?.len() as i64))
        }))
    }),
];

/// The version since which axes are an input of `Squeeze` and `Unsqueeze`.
const AXES_ARE_AN_INPUT: i64 = 13;

fn reshape(node: &Node<'_>) -> Result<Kernel, Error> {
    let allows_zero = node.flag("allowzero", false);
    node.expect(1, &[ElementType::I64])?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let wanted = arguments.get(1)?.integers()?;
        let shape = resolve(arguments.get(0)?.shape(), &wanted, allows_zero)?;
        arguments.take(0)?.reshape(shape)
    }))
}

/// Replaces 0 by the extent that was, and -1 by what is left.
fn resolve(shape: &Shape, wanted: &[i64], allows_zero: bool) -> Result<Shape, Error> {
    let mut extents = Vec::with_capacity(wanted.len());
    let mut inferred = None;
    for (axis, extent) in wanted.iter().enumerate() {
        match extent {
            0 if !allows_zero => extents
                .push(*shape.get(axis).or_rejected(format_args!("no dimension {axis}"))? as i64),
            -1 if inferred.is_none() => {
                inferred = Some(axis);
                extents.push(1);
            }
            _ => extents.push(*extent),
        }
    }
    let known = Shape::from_numbers(&extents)?;
    let Some(axis) = inferred else { return Ok(known) };
    let (elements, others) = (shape.elements(), known.elements());
    let fits = elements.checked_rem(others) == Some(0);
    if !fits {
        return Err(Error::rejected(format_args!("{shape:?} cannot become {wanted:?}")));
    }
    known.with(axis, elements / others)
}

fn flatten(node: &Node<'_>) -> Result<Kernel, Error> {
    let axis = node.integer("axis", 1);
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let axis = if axis == shape.len() as i64 { shape.len() } else { shape.axis(axis)? };
        let (before, after) = shape.split_at_axis(axis);
        tensor.reshape(Shape::new(&[before, after])?)
    }))
}

/// The axes of a node: an attribute in old versions, an input in new ones.
fn axes(node: &Node<'_>) -> Result<Option<Vec<i64>>, Error> {
    if node.version() >= AXES_ARE_AN_INPUT {
        node.expect(1, &[ElementType::I64])?;
        return Ok(None);
    }
    Ok(Some(node.integers("axes").to_vec()))
}

/// The axes of a run: those of the attribute, else of the input, else none.
fn axes_now(known: &Option<Vec<i64>>, arguments: &Arguments<'_>) -> Result<Vec<i64>, Error> {
    match (known, arguments.find(1)) {
        (Some(axes), _) => Ok(axes.clone()),
        (None, Some(axes)) => axes.integers(),
        (None, None) => Ok(Vec::new()),
    }
}

fn squeeze(node: &Node<'_>) -> Result<Kernel, Error> {
    let known = axes(node)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let axes = axes_now(&known, arguments)?;
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let axes: Vec<_> = axes.iter().map(|axis| shape.axis(*axis)).collect::<Result<_, _>>()?;
        let mut extents = Vec::with_capacity(shape.len());
        for (axis, extent) in shape.iter().enumerate() {
            let goes = if axes.is_empty() { *extent == 1 } else { axes.contains(&axis) };
            if goes && *extent != 1 {
                return Err(Error::rejected(format_args!("axis {axis} of {shape:?} is not 1")));
            }
            if !goes {
                extents.push(*extent);
            }
        }
        tensor.reshape(Shape::new(&extents)?)
    }))
}

fn unsqueeze(node: &Node<'_>) -> Result<Kernel, Error> {
    let known = axes(node)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let axes = axes_now(&known, arguments)?;
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let rank = shape.len() + axes.len();
        let axes: Vec<_> =
            axes.iter().map(|axis| axis_of(*axis, rank)).collect::<Result<_, _>>()?;
        let mut old = shape.iter().copied();
        let extents = (0..rank).map(|axis| if axes.contains(&axis) { Some(1) } else { old.next() });
        let extents: Option<Vec<_>> = extents.collect();
        tensor.reshape(Shape::new(&extents.or_rejected("an axis is named twice")?)?)
    }))
}

fn shape(node: &Node<'_>) -> Result<Kernel, Error> {
    let (start, end) = (node.integer("start", 0), node.find_integer("end"));
    Ok(Kernel::new(ElementType::I64, move |arguments| {
        let shape = arguments.get(0)?.shape();
        let rank = shape.len() as i64;
        let limited =
            |index: i64| if index < 0 { index.saturating_add(rank) } else { index }.clamp(0, rank);
        let (start, end) = (limited(start), limited(end.unwrap_or(rank)));
        let part = shape.get(start as usize..end as usize).unwrap_or_default();
        Tensor::vector(part.iter().map(|extent| *extent as i64).collect())
    }))
}
