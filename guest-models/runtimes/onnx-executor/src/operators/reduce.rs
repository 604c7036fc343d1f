//! Sums, means and others along axes.

use wardian_sdk::Error;

use super::number::Number;
use super::{Operator, for_types};
use crate::kernel::{Arguments, Kernel};
use crate::node::Node;
use crate::tensor::{ElementType, Shape, Tensor, allocate};

const NUMBERS: &[ElementType] = ElementType::NUMBERS;
const FLOATS: &[ElementType] = ElementType::FLOATS;

/// A reduction of numbers of any type, by the version since which axes are an input.
macro_rules! of_numbers {
    ($name:literal, $axes_input:literal, $function:path) => {
        Operator::onnx($name, 1, NUMBERS, |node| {
            for_types!(node.input_type(0)?, T in numbers => reduce::<T>(node, $axes_input, $function))
        })
    };
}

/// A reduction of numbers with a fraction.
macro_rules! of_floats {
    ($name:literal, $function:path) => {
        Operator::onnx($name, 1, FLOATS, |node| {
            for_types!(node.input_type(0)?, T in floats => reduce::<T>(node, 18, $function))
        })
    };
}

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    of_numbers!("ReduceSum", 13, sum),
    of_numbers!("ReduceMean", 18, mean),
    of_numbers!("ReduceProd", 18, product),
    of_numbers!("ReduceMax", 18, max),
    of_numbers!("ReduceMin", 18, min),
    of_numbers!("ReduceSumSquare", 18, sum_square),
    of_numbers!("ReduceL1", 18, l1),
    of_floats!("ReduceL2", l2),
    of_floats!("ReduceLogSum", log_sum),
    of_floats!("ReduceLogSumExp", log_sum_exp),
];

/// The elements of a group, which lie in equal distances.
#[derive(Clone, Copy)]
struct Group<'a, T> {
    values: &'a [T],
    start: usize,
    step: usize,
    length: usize,
}

impl<T: Number> Group<'_, T> {
    fn iter(&self) -> impl Iterator<Item = T> {
        let rest = self.values.get(self.start..).unwrap_or_default();
        rest.iter().step_by(self.step).take(self.length).copied()
    }

    /// Adds a function of the elements in double precision. Elements side by side are added in
    /// lanes, which can be registers.
    fn sum(&self, function: impl Fn(f64) -> f64) -> f64 {
        let end = self.start.saturating_add(self.length);
        let Some(values) = self.values.get(self.start..end).filter(|_| self.step == 1) else {
            return self.iter().map(|value| function(value.to_f64())).sum();
        };

        let (chunks, rest) = values.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for chunk in chunks {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += function(value.to_f64());
            }
        }
        sums.iter().sum::<f64>() + rest.iter().map(|value| function(value.to_f64())).sum::<f64>()
    }
}

/// Sums side by side.
const LANES: usize = 8;

fn reduce<T: Number>(
    node: &Node<'_>,
    axes_input: i64,
    function: fn(Group<'_, T>) -> T,
) -> Result<Kernel, Error> {
    let keeps = node.flag("keepdims", true);
    let by_input = node.version() >= axes_input;
    let known = if by_input { Vec::new() } else { node.integers("axes").to_vec() };
    let keeps_all = by_input && node.flag("noop_with_empty_axes", false);
    node.expect(1, &[ElementType::I64])?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let axes = axes(&known, keeps_all, arguments)?;
        let tensor = arguments.get(0)?;
        let shape = *tensor.shape();
        let result = reduced_shape(&shape, &axes, keeps)?;
        let Some((first, last)) = axes.first().zip(axes.last()) else {
            return groups(tensor, result, [shape.elements(), 1, 1], function);
        };
        if last - first + 1 == axes.len() {
            let (outer, _) = shape.split_at_axis(*first);
            let (_, inner) = shape.split_at_axis(*last + 1);
            let length = shape[*first..=*last].iter().product();
            return groups(tensor, result, [outer, length, inner], function);
        }
        let kept = (0..shape.len()).filter(|axis| !axes.contains(axis));
        let order: Vec<_> = kept.chain(axes.iter().copied()).collect();
        let length = axes.iter().map(|axis| shape[*axis]).product();
        let outer = result.elements();
        groups(&tensor.transpose(&order)?, result, [outer, length, 1], function)
    }))
}

/// The axes in ascending order; all of them if none are given and `keeps_all` is false.
fn axes(known: &[i64], keeps_all: bool, arguments: &Arguments<'_>) -> Result<Vec<usize>, Error> {
    let shape = arguments.get(0)?.shape();
    let given = match arguments.find(1) {
        Some(axes) => axes.integers()?,
        None => known.to_vec(),
    };
    if given.is_empty() {
        return Ok(if keeps_all { Vec::new() } else { (0..shape.len()).collect() });
    }
    let mut axes: Vec<_> = given.iter().map(|axis| shape.axis(*axis)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// The shape without some axes, or with 1 in their place.
pub(super) fn reduced_shape(shape: &Shape, axes: &[usize], keeps: bool) -> Result<Shape, Error> {
    let extents = shape.iter().enumerate();
    let extents = extents.filter_map(|(axis, extent)| match (axes.contains(&axis), keeps) {
        (false, _) => Some(*extent),
        (true, true) => Some(1),
        (true, false) => None,
    });
    Shape::new(&extents.collect::<Vec<_>>())
}

/// Applies a function to each group; `extents` are those before, in and after the groups.
fn groups<T: Number>(
    tensor: &Tensor,
    shape: Shape,
    extents: [usize; 3],
    function: fn(Group<'_, T>) -> T,
) -> Result<Tensor, Error> {
    let [outer, length, inner] = extents;
    let values = tensor.values::<T>()?;
    let mut results = allocate(shape.elements())?;
    for outer in 0..outer {
        for inner_index in 0..inner {
            let start = outer * length * inner + inner_index;
            results.push(function(Group { values, start, step: inner, length }));
        }
    }
    Tensor::new(shape, results)
}

fn is_float<T: Number>() -> bool {
    matches!(T::TYPE, ElementType::F32 | ElementType::F64)
}

/// Adds in double precision, which for integers would round; those are added as they are.
fn sum<T: Number>(group: Group<'_, T>) -> T {
    if is_float::<T>() {
        return T::from_f64(group.sum(|value| value));
    }
    group.iter().fold(T::ZERO, T::plus)
}

fn mean<T: Number>(group: Group<'_, T>) -> T {
    let count = group.length as f64;
    if is_float::<T>() {
        return T::from_f64(group.sum(|value| value) / count);
    }
    sum(group).over(T::from_f64(count)).unwrap_or(T::ZERO)
}

fn product<T: Number>(group: Group<'_, T>) -> T {
    group.iter().fold(T::ONE, T::times)
}

fn max<T: Number>(group: Group<'_, T>) -> T {
    group.iter().fold(T::LOWEST, T::larger)
}

fn min<T: Number>(group: Group<'_, T>) -> T {
    group.iter().fold(T::HIGHEST, T::smaller)
}

fn sum_square<T: Number>(group: Group<'_, T>) -> T {
    if is_float::<T>() {
        return T::from_f64(group.sum(|value| value * value));
    }
    group.iter().fold(T::ZERO, |sum, value| sum.plus(value.times(value)))
}

fn l1<T: Number>(group: Group<'_, T>) -> T {
    if is_float::<T>() {
        return T::from_f64(group.sum(f64::abs));
    }
    group.iter().fold(T::ZERO, |sum, value| sum.plus(value.absolute()))
}

fn l2<T: Number>(group: Group<'_, T>) -> T {
    T::from_f64(group.sum(|value| value * value).sqrt())
}

fn log_sum<T: Number>(group: Group<'_, T>) -> T {
    T::from_f64(group.sum(|value| value).ln())
}

fn log_sum_exp<T: Number>(group: Group<'_, T>) -> T {
    let highest = max(group).to_f64();
    if !highest.is_finite() {
        return T::from_f64(highest);
    }
    T::from_f64(group.sum(|value| (value - highest).exp()).ln() + highest)
}
