//! Elements by a condition.

use std::iter::repeat_n;

use wardian_sdk::Error;

use super::broadcast::{Rows, common_shape};
use super::number::Number;
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{Element, ElementType, Shape, Tensor, Text, allocate};

const ALL: &[ElementType] = ElementType::ALL;
const BOOLEANS: &[ElementType] = &[ElementType::Bool];

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx("Where", 9, BOOLEANS, |node| {
        node.expect(2, &[node.input_type(1)?])?;
        match node.input_type(1)? {
            ElementType::Bool => choose::<bool>(node),
            ElementType::Text => choose::<Text>(node),
            element => for_types!(element, T in numbers => choose::<T>(node)),
        }
    }),
    Operator::onnx("NonZero", 9, ALL, non_zero),
    Operator::onnx("Compress", 9, ALL, compress),
    Operator::onnx(
        "Trilu",
        14,
        ElementType::NUMBERS,
        |node| for_types!(node.input_type(0)?, T in numbers => trilu::<T>(node)),
    ),
];

fn choose<T: Element>(node: &Node<'_>) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(1)?, |arguments| {
        let (condition, yes, no) = (arguments.get(0)?, arguments.get(1)?, arguments.get(2)?);
        let shape = common_shape(&common_shape(condition.shape(), yes.shape())?, no.shape())?;
        let (conditions, yes_values, no_values) =
            (condition.values::<bool>()?, yes.values::<T>()?, no.values::<T>()?);
        let mut chosen = allocate(shape.elements())?;

        let rows = Rows::new(&shape, [condition.shape(), yes.shape(), no.shape()]);
        rows.for_each(|[condition, yes, no], extent| {
            let conditions = Row::new(conditions, condition, extent);
            let yes = Row::new(yes_values, yes, extent);
            let no = Row::new(no_values, no, extent);
            choose_row(conditions, yes, no, extent, &mut chosen);
        });
        Tensor::new(shape, chosen)
    }))
}

/// Elements of a tensor along the last axis of a common shape.
enum Row<'a, T> {
    Each(&'a [T]),
    Repeated(&'a T),
}

impl<'a, T> Row<'a, T> {
    /// A row from a place with a step of 0 or 1. It is empty if the tensor has no elements there.
    fn new(values: &'a [T], (start, step): (usize, usize), extent: usize) -> Self {
        match (step, values.get(start)) {
            (0, Some(value)) => Row::Repeated(value),
            _ => Row::Each(values.get(start..start + extent).unwrap_or_default()),
        }
    }
}

fn choose_row<T: Element>(
    conditions: Row<'_, bool>,
    yes: Row<'_, T>,
    no: Row<'_, T>,
    extent: usize,
    chosen: &mut Vec<T>,
) {
    let (conditions, first) = match conditions {
        Row::Each(conditions) => (conditions, conditions.first().copied().unwrap_or_default()),
        Row::Repeated(is) => (&[][..], *is),
    };
    // Most masks hold for whole rows. A loop without an early end becomes SIMD instructions.
    let differs = conditions.iter().fold(false, |differs, is| differs | (*is != first));
    if !differs {
        return match if first { yes } else { no } {
            Row::Each(values) => chosen.extend_from_slice(values),
            Row::Repeated(value) => chosen.extend(repeat_n(value, extent).cloned()),
        };
    }

    let pick = |(is, (yes, no)): (&bool, (&T, &T))| if *is { yes } else { no }.clone();
    let conditions = conditions.iter();
    match (yes, no) {
        (Row::Each(yes), Row::Each(no)) => {
            chosen.extend(conditions.zip(yes.iter().zip(no)).map(pick));
        }
        (Row::Repeated(yes), Row::Each(no)) => {
            chosen.extend(conditions.zip(repeat_n(yes, extent).zip(no)).map(pick));
        }
        (Row::Each(yes), Row::Repeated(no)) => {
            chosen.extend(conditions.zip(yes.iter().zip(repeat_n(no, extent))).map(pick));
        }
        (Row::Repeated(yes), Row::Repeated(no)) => {
            chosen.extend(conditions.map(|is| pick((is, (yes, no)))));
        }
    }
}

fn non_zero(node: &Node<'_>) -> Result<Kernel, Error> {
    match node.input_type(0)? {
        ElementType::Bool => find::<bool>(|value| *value),
        element => for_types!(element, T in numbers => find::<T>(|value| *value != T::ZERO)),
    }
}

fn find<T: Element>(is_found: fn(&T) -> bool) -> Result<Kernel, Error> {
    Ok(Kernel::new(ElementType::I64, move |arguments| {
        let tensor = arguments.get(0)?;
        let values = tensor.values::<T>()?.iter().enumerate();
        let found = values.filter(|(_, value)| is_found(value)).map(|(index, _)| index);
        let found: Vec<usize> = found.collect();
        let extents = tensor.shape();
        let mut coordinates = allocate(found.len() * extents.len())?;
        for axis in 0..extents.len() {
            let (_, inner) = extents.split_at_axis(axis + 1);
            coordinates.extend(found.iter().map(|index| (index / inner % extents[axis]) as i64));
        }
        Tensor::new(Shape::new(&[extents.len(), found.len()])?, coordinates)
    }))
}

fn compress(node: &Node<'_>) -> Result<Kernel, Error> {
    let axis = node.find_integer("axis");
    node.expect(1, BOOLEANS)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let conditions = arguments.get(1)?.clone().into_values::<bool>()?;
        let tensor = match axis {
            Some(_) => arguments.take(0)?,
            None => {
                let tensor = arguments.take(0)?;
                let length = tensor.len();
                tensor.reshape(Shape::new(&[length])?)?
            }
        };
        let axis = tensor.shape().axis(axis.unwrap_or_default())?;
        let extent = tensor.shape()[axis];
        if conditions.len() > extent {
            return Err(Error::rejected("there are more conditions than elements"));
        }

        let kept =
            conditions.iter().enumerate().filter(|(_, keeps)| **keeps).map(|(index, _)| index);
        let kept: Vec<usize> = kept.collect();
        let (outer, block) = tensor.shape().split_at_axis(axis);
        let (_, inner) = tensor.shape().split_at_axis(axis + 1);
        let starts = (0..outer)
            .flat_map(|outer| kept.iter().map(move |index| outer * block + index * inner));
        tensor.pick_blocks(tensor.shape().with(axis, kept.len())?, inner, starts)
    }))
}

fn trilu<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let is_upper = node.flag("upper", true);
    node.expect(1, &[ElementType::I64])?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let diagonal = match arguments.find(1) {
            Some(diagonal) => diagonal.integers()?.first().copied().unwrap_or_default(),
            None => 0,
        };
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let [.., rows, columns] = *shape else { return Err(Error::rejected("it takes matrices")) };
        let mut values = tensor.into_values::<T>()?;
        for (index, value) in values.iter_mut().enumerate() {
            let (row, column) = (index / columns % rows, index % columns);
            let distance = (column as i64 - row as i64).saturating_sub(diagonal);
            if if is_upper { distance < 0 } else { distance > 0 } {
                *value = T::ZERO;
            }
        }
        Tensor::new(shape, values)
    }))
}
