//! Tensors made of numbers alone.

use wardian_sdk::{Error, OrError};

use super::gather::resolve;
use super::number::Number;
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{Element, ElementType, Shape, Tensor, allocate, filled, with_values};

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx("ConstantOfShape", 9, &[ElementType::I64], constant_of_shape),
    Operator::onnx("Range", 11, ElementType::NUMBERS, |node| {
        let _ = node.find_integer("stash_type");
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in [F32(f32), F64(f64), I64(i64), I32(i32), I16(i16)] => range::<T>(node))
    }),
    Operator::onnx("EyeLike", 9, ElementType::ALL, eye_like),
    Operator::onnx("OneHot", 9, ElementType::NUMBERS, one_hot),
];

fn constant_of_shape(node: &Node<'_>) -> Result<Kernel, Error> {
    let value = node.tensor("value")?.unwrap_or(Tensor::scalar(0_f32));
    if value.len() != 1 {
        return Err(Error::failed("its value is not one element"));
    }
    Ok(Kernel::new(value.element_type(), move |arguments| {
        let shape = Shape::from_numbers(&arguments.get(0)?.integers()?)?;
        with_values!(value.data(), values => constant(shape, values))
    }))
}

fn constant<T: Element>(shape: Shape, values: &[T]) -> Result<Tensor, Error> {
    Tensor::new(shape, filled(shape.elements(), values.first().cloned().unwrap_or_default())?)
}

fn range<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, |arguments| {
        let number =
            |index| arguments.values::<T>(index)?.first().copied().or_rejected("no number");
        let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
        let distance = limit.to_f64() - start.to_f64();
        let length = (distance / step.to_f64()).ceil().max(0.0);
        // NaN becomes 0 and what is too large is refused by the shape.
        let shape = Shape::new(&[length as usize])?;
        let mut values = allocate(shape.elements())?;
        values.extend(
            (0..shape.elements()).map(|index| start.plus(T::from_f64(index as f64).times(step))),
        );
        Tensor::new(shape, values)
    }))
}

fn eye_like(node: &Node<'_>) -> Result<Kernel, Error> {
    let diagonal = node.integer("k", 0);
    let element = match node.find_integer("dtype") {
        Some(code) => ElementType::from_code(code).or_failed("its dtype is not served")?,
        None => node.input_type(0)?,
    };
    for_types!(element, T in numbers => Ok(Kernel::new(element, move |arguments| {
        let shape = *arguments.get(0)?.shape();
        let [rows, columns] = *shape else { return Err(Error::rejected("it takes a matrix")) };
        let mut values = filled(shape.elements(), T::ZERO)?;
        for row in 0..rows {
            let column = usize::try_from(diagonal.saturating_add(row as i64));
            if let Some(column) = column.ok().filter(|column| *column < columns) {
                values[row * columns + column] = T::ONE;
            }
        }
        Tensor::new(shape, values)
    })))
}

fn one_hot(node: &Node<'_>) -> Result<Kernel, Error> {
    let axis = node.integer("axis", -1);
    node.expect(1, ElementType::NUMBERS)?;
    let depth_type = node.input_type(1)?;
    for_types!(node.input_type(0)?, T in [F32(f32), F64(f64), I64(i64), I32(i32), U8(u8)] => {
        Ok(Kernel::new(node.input_type(2)?, move |arguments| {
            let indices = arguments.get(0)?;
            let depth = for_types!(depth_type, D in [F32(f32), F64(f64), I64(i64), I32(i32), U8(u8)] => {
                Ok(arguments.values::<D>(1)?.first().map(|depth| depth.to_f64()))
            })?;
            let depth = depth.filter(|depth| *depth >= 1.0).or_rejected("a depth below 1")? as usize;
            let rank = indices.shape().len();
            let axis = crate::tensor::axis_of(axis, rank + 1)?;
            let (before, after) = indices.shape().split_at(axis);
            let extents: Vec<_> = before.iter().chain(&[depth]).chain(after).copied().collect();
            let shape = Shape::new(&extents)?;

            let (_, inner) = indices.shape().split_at_axis(axis);
            let mut places = filled(shape.elements(), 0)?;
            for (index, value) in indices.values::<T>()?.iter().enumerate() {
                let (row, column) = (index / inner.max(1), index % inner.max(1));
                // An index beyond the depth makes no element hot.
                if let Ok(hot) = resolve(value.to_f64() as i64, depth) {
                    places[(row * depth + hot) * inner + column] = 1;
                }
            }
            arguments.get(2)?.pick(shape, &places)
        }))
    })
}
