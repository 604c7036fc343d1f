//! Einsum: sums of products over named axes.

use std::collections::BTreeMap;

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::number::Number;
use onnx_executor::operators::{Operator, for_types};
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled, strides};

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] =
    &[Operator::onnx("Einsum", 12, ElementType::COMMON_NUMBERS, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in common => einsum::<T>(node))
    })];

/// The name of an axis: a letter, or one of those that `...` stands for, counted from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Axis {
    Letter(char),
    Other(usize),
}

/// An equation.
struct Equation {
    inputs: Vec<Vec<Option<char>>>,
    /// `None` in the place of `...`; the whole is `None` if the equation has no output.
    output: Option<Vec<Option<char>>>,
}

fn einsum<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let text = node.find_text("equation")?.or_failed("it has no equation")?;
    let equation = parse(text)?;
    if equation.inputs.len() != node.inputs() {
        return Err(Error::failed(format_args!("the equation {text:?} is for other inputs")));
    }
    Ok(Kernel::new(node.input_type(0)?, move |arguments| equation.run::<T>(arguments)))
}

fn parse(text: &str) -> Result<Equation, Error> {
    let (inputs, output) = match text.split_once("->") {
        Some((inputs, output)) => (inputs, Some(terms(output)?)),
        None => (text, None),
    };
    let inputs = inputs.split(',').map(terms).collect::<Result<_, _>>()?;
    Ok(Equation { inputs, output })
}

fn terms(text: &str) -> Result<Vec<Option<char>>, Error> {
    let text = text.replace("...", ".");
    let letters = text.chars().filter(|letter| !letter.is_whitespace());
    let term = |letter: char| match letter {
        '.' => Ok(None),
        letter if letter.is_ascii_alphabetic() => Ok(Some(letter)),
        other => Err(Error::failed(format_args!("{other:?} in an equation"))),
    };
    let terms: Vec<_> = letters.map(term).collect::<Result<_, _>>()?;
    match terms.iter().filter(|term| term.is_none()).count() {
        0 | 1 => Ok(terms),
        _ => Err(Error::failed("an equation with several '...' in one term")),
    }
}

/// Names the axes of a tensor.
fn axes(terms: &[Option<char>], rank: usize) -> Result<Vec<Axis>, Error> {
    let letters = terms.iter().flatten().count();
    let others = rank.checked_sub(letters).or_rejected("a tensor with too few dimensions")?;
    if others > 0 && letters == terms.len() {
        return Err(Error::rejected("a tensor with more dimensions than its term"));
    }
    Ok(terms
        .iter()
        .flat_map(|term| match term {
            Some(letter) => vec![Axis::Letter(*letter)],
            None => (0..others).rev().map(Axis::Other).collect(),
        })
        .collect())
}

impl Equation {
    fn run<T: Number>(&self, arguments: &mut Arguments<'_>) -> Result<Tensor, Error> {
        let mut named = Vec::new();
        let mut extents: BTreeMap<Axis, usize> = BTreeMap::new();
        for (index, terms) in self.inputs.iter().enumerate() {
            let shape = *arguments.get(index)?.shape();
            let axes = axes(terms, shape.len())?;
            for (axis, extent) in axes.iter().zip(shape.iter()) {
                let known = extents.entry(*axis).or_insert(*extent);
                match (*known, *extent) {
                    (1, extent) => *known = extent,
                    (_, 1) => {}
                    (known, extent) if known == extent => {}
                    _ => return Err(Error::rejected(format_args!("the axis {axis:?} differs"))),
                }
            }
            named.push(axes);
        }
        let output = self.output(&named, &extents)?;
        let summed: Vec<Axis> =
            extents.keys().filter(|axis| !output.contains(axis)).copied().collect();
        let order: Vec<Axis> = output.iter().chain(&summed).copied().collect();

        // Each input as a tensor of all axes, with repeated axes on its diagonal.
        let all: Vec<_> = order.iter().map(|axis| extents[axis]).collect();
        let kept: Vec<_> = output.iter().map(|axis| extents[axis]).collect();
        let shape = Shape::new(&kept)?;
        let total = all.iter().try_fold(1_u64, |total, extent| total.checked_mul(*extent as u64));
        let total = total.or_rejected("too many products")?;
        arguments.charge(total.saturating_mul(named.len() as u64))?;

        let mut views = Vec::new();
        for (index, axes) in named.iter().enumerate() {
            let tensor = arguments.get(index)?;
            let own = strides(tensor.shape());
            let step = |wanted: &Axis| {
                let places = axes.iter().enumerate().filter(|(_, axis)| *axis == wanted);
                places
                    .filter(|(place, _)| tensor.shape()[*place] > 1)
                    .map(|(place, _)| own[place])
                    .sum()
            };
            let steps: Vec<isize> = order.iter().map(step).collect();
            views.push((tensor.values::<T>()?, steps));
        }
        let mut results = filled(shape.elements(), T::ZERO)?;
        let inner = &all[output.len()..];
        let products: usize = inner.iter().product();
        let mut counters = vec![0_usize; all.len()];
        let mut places = vec![0_isize; views.len()];
        for result in &mut results {
            let mut sum = T::ZERO;
            for _ in 0..products {
                let mut product = T::ONE;
                for ((values, _), place) in views.iter().zip(&places) {
                    product = product.times(values[*place as usize]);
                }
                sum = sum.plus(product);
                advance(&mut counters, &all, &views, &mut places);
            }
            *result = sum;
        }
        Tensor::new(shape, results)
    }

    /// The axes of the output: given, or those that occur once, in the order of their letters.
    fn output(
        &self,
        named: &[Vec<Axis>],
        extents: &BTreeMap<Axis, usize>,
    ) -> Result<Vec<Axis>, Error> {
        let others = extents.keys().filter(|axis| matches!(axis, Axis::Other(_))).count();
        let Some(output) = &self.output else {
            let count =
                |wanted: &Axis| named.iter().flatten().filter(|axis| *axis == wanted).count();
            let letters = extents.keys().filter(|axis| matches!(axis, Axis::Letter(_)));
            let once = letters.filter(|axis| count(axis) == 1).copied();
            return Ok((0..others).rev().map(Axis::Other).chain(once).collect());
        };
        let letters = output.iter().flatten().count();
        let has_others = output.iter().any(Option::is_none);
        let axes = axes(output, letters + if has_others { others } else { 0 })?;
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        match sorted.len() == axes.len() && axes.iter().all(|axis| extents.contains_key(axis)) {
            true => Ok(axes),
            false => Err(Error::rejected("its output has an axis twice, or one of no input")),
        }
    }
}

fn advance<T>(
    counters: &mut [usize],
    extents: &[usize],
    views: &[(&[T], Vec<isize>)],
    places: &mut [isize],
) {
    for axis in (0..extents.len()).rev() {
        counters[axis] += 1;
        let is_within = counters[axis] < extents[axis];
        let moved = if is_within { 1 } else { 1 - extents[axis] as isize };
        for ((_, steps), place) in views.iter().zip(places.iter_mut()) {
            *place += steps[axis] * moved;
        }
        if is_within {
            return;
        }
        counters[axis] = 0;
    }
}
