//! `ArgMax`, `ArgMin` and `TopK`: the indices of the largest and smallest numbers.

use std::cmp::Ordering;

use wardian_sdk::{Error, OrError};

use super::number::Number;
use super::reduce::reduced_shape;
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{ElementType, Tensor, allocate};

const NUMBERS: &[ElementType] = ElementType::NUMBERS;

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx(
        "ArgMax",
        1,
        NUMBERS,
        |node| for_types!(node.input_type(0)?, T in numbers => arg::<T>(node, |new, best| new > best)),
    ),
    Operator::onnx(
        "ArgMin",
        1,
        NUMBERS,
        |node| for_types!(node.input_type(0)?, T in numbers => arg::<T>(node, |new, best| new < best)),
    ),
    Operator::onnx(
        "TopK",
        1,
        NUMBERS,
        |node| for_types!(node.input_type(0)?, T in numbers => top_k::<T>(node)),
    ),
];

fn arg<T: Number>(node: &Node<'_>, is_better: fn(T, T) -> bool) -> Result<Kernel, Error> {
    let (axis, keeps) = (node.integer("axis", 0), node.flag("keepdims", true));
    let takes_last = node.flag("select_last_index", false);
    Ok(Kernel::new(ElementType::I64, move |arguments| {
        let tensor = arguments.get(0)?;
        let shape = tensor.shape();
        let axis = shape.axis(axis)?;
        let (outer, block) = shape.split_at_axis(axis);
        let (_, inner) = shape.split_at_axis(axis + 1);
        let result = reduced_shape(shape, &[axis], keeps)?;
        if shape[axis] == 0 && result.elements() > 0 {
            return Err(Error::rejected("the axis has no element"));
        }

        let values = tensor.values::<T>()?;
        let mut places = allocate(result.elements())?;
        for start in (0..outer).flat_map(|outer| (0..inner).map(move |i| outer * block + i)) {
            let group = values.get(start..).unwrap_or_default().iter().step_by(inner.max(1));
            places.push(best(group.take(shape[axis]).copied(), takes_last, is_better));
        }
        Tensor::new(result, places)
    }))
}

/// The place of the first or last of the best numbers. A NaN at the start stays the best.
fn best<T: Number>(
    group: impl Iterator<Item = T>,
    takes_last: bool,
    is_better: fn(T, T) -> bool,
) -> i64 {
    let mut best: Option<(usize, T)> = None;
    for (index, value) in group.enumerate() {
        let is_new =
            best.is_none_or(|(_, best)| is_better(value, best) || (takes_last && value == best));
        if is_new {
            best = Some((index, value));
        }
    }
    best.map_or(0, |(index, _)| index as i64)
}

fn top_k<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let axis = node.integer("axis", -1);
    let known = node.find_integer("k");
    let is_largest = node.flag("largest", true);
    let _ = node.flag("sorted", true);
    node.expect(1, &[ElementType::I64])?;
    Ok(Kernel::many([node.input_type(0)?, ElementType::I64], move |arguments| {
        let k = match (known, arguments.find(1)) {
            (Some(k), _) => k,
            (None, Some(k)) => k.integers()?.first().copied().or_rejected("k is missing")?,
            (None, None) => return Err(Error::rejected("k is missing")),
        };
        let tensor = arguments.get(0)?;
        let shape = *tensor.shape();
        let axis = shape.axis(axis)?;
        let k = usize::try_from(k).ok().filter(|k| *k <= shape[axis]);
        let k = k.or_rejected(format_args!("k is not within the {} elements", shape[axis]))?;

        let values = tensor.values::<T>()?;
        let (outer, block) = shape.split_at_axis(axis);
        let (_, inner) = shape.split_at_axis(axis + 1);
        let result = shape.with(axis, k)?;
        let mut places = vec![0; result.elements()];
        let mut indices = vec![0_i64; result.elements()];
        let mut group: Vec<usize> = allocate(shape[axis])?;
        for (outer, inner_index) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
            let place = |index: usize| outer * block + index * inner + inner_index;
            let value = |index: &usize| values.get(place(*index)).copied().unwrap_or(T::ZERO);
            group.clear();
            group.extend(0..shape[axis]);
            let order = |one: &usize, other: &usize| {
                let order = total_order(value(one), value(other));
                let order = if is_largest { order.reverse() } else { order };
                order.then(one.cmp(other))
            };
            if 0 < k && k < group.len() {
                group.select_nth_unstable_by(k - 1, order);
            }
            group.truncate(k);
            group.sort_unstable_by(order);
            for (rank, index) in group.iter().enumerate() {
                let target = (outer * k + rank) * inner + inner_index;
                places[target] = place(*index);
                indices[target] = *index as i64;
            }
        }
        Ok(vec![tensor.pick(result, &places)?, Tensor::new(result, indices)?])
    }))
}

/// An order of all numbers: NaN is the largest.
fn total_order<T: Number>(one: T, other: T) -> Ordering {
    one.partial_cmp(&other).unwrap_or_else(|| one.is_nan().cmp(&other.is_nan()))
}
