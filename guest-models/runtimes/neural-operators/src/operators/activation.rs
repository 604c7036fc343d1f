//! Activation functions that only networks have.

use wardian_sdk::kernels::Activation;
use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::erf::erf;
use onnx_executor::operators::number::{Float, Number};
use onnx_executor::operators::unary::map;
use onnx_executor::operators::{Domain, Operator, for_types};
use onnx_executor::tensor::{ElementType, Shape, Tensor};

use super::fused::{self, activated, added_axes};

const FLOATS: &[ElementType] = ElementType::FLOATS;

/// A function of numbers with a fraction, computed in doubles.
macro_rules! function {
    ($name:literal, $first:literal, $function:expr) => {
        Operator::onnx($name, $first, FLOATS, |node| apply(node, $function))
    };
}

const fn microsoft(name: &'static str, build: fn(&Node<'_>) -> Result<Kernel, Error>) -> Operator {
    Operator { domain: Domain::Microsoft, ..Operator::onnx(name, 1, FLOATS, build) }
}

/// An operator that takes the place of several nodes.
const fn joined(name: &'static str, build: fn(&Node<'_>) -> Result<Kernel, Error>) -> Operator {
    Operator { domain: Domain::Wardian, ..Operator::onnx(name, 1, FLOATS, build) }
}

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx("Gelu", 20, FLOATS, |node| match node.text("approximate", "none")? {
        "none" => curve(node, Activation::Gelu, gelu),
        "tanh" => curve(node, Activation::GeluTanh, fast_gelu),
        other => Err(Error::failed(format_args!("approximate {other:?} is not known"))),
    }),
    function!("HardSwish", 14, hard_swish),
    function!("Mish", 18, |value| value * softplus(value).tanh()),
    Operator::onnx("Swish", 24, FLOATS, swish),
    Operator::onnx("Shrink", 9, ElementType::NUMBERS, |node| {
        let (limit, bias) = (node.float("lambd", 0.5), node.float("bias", 0.0));
        let (limit, bias) = (f64::from(limit), f64::from(bias));
        for_types!(node.input_type(0)?, T in numbers => map::<T>(node, move |value: T| {
            match value.to_f64() {
                number if number < -limit => T::from_f64(number + bias),
                number if number > limit => T::from_f64(number - bias),
                _ => T::ZERO,
            }
        }))
    }),
    microsoft("Gelu", |node| curve(node, Activation::Gelu, gelu)),
    microsoft("QuickGelu", swish),
    microsoft("FastGelu", |node| biased(node, fast_gelu)),
    microsoft("BiasGelu", |node| biased(node, gelu)),
    joined("Gelu", |node| with_axes(node, gelu)),
    joined("GeluTanh", |node| with_axes(node, fast_gelu)),
    joined("HardSwish", |node| with_axes(node, hard_swish)),
    joined("Silu", |node| with_axes(node, silu)),
];

fn apply(node: &Node<'_>, function: fn(f64) -> f64) -> Result<Kernel, Error> {
    for_types!(node.input_type(0)?, T in floats => map::<T>(node, move |value: T| value.map(function)))
}

/// An activation of floats, or a function of other numbers.
fn curve(
    node: &Node<'_>,
    activation: Activation,
    function: fn(f64) -> f64,
) -> Result<Kernel, Error> {
    if node.input_type(0)? != ElementType::F32 {
        return apply(node, function);
    }
    Ok(Kernel::new(ElementType::F32, move |arguments| activated(arguments.take(0)?, activation)))
}

/// An activation that takes the place of several nodes. Constants with more axes than its input add
/// some.
fn with_axes(node: &Node<'_>, function: fn(f64) -> f64) -> Result<Kernel, Error> {
    let axes = added_axes(node);
    let activation = fused::curve(node).or_failed("it is not known")?;
    if node.input_type(0)? != ElementType::F32 {
        return apply(node, function);
    }

    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let tensor = activated(arguments.take(0)?, activation)?;
        let missing = axes.saturating_sub(tensor.shape().len());
        if missing == 0 {
            return Ok(tensor);
        }

        let extents = std::iter::repeat_n(1, missing).chain(tensor.shape().iter().copied());
        let shape = Shape::new(&extents.collect::<Vec<_>>())?;
        tensor.reshape(shape)
    }))
}

fn hard_swish(value: f64) -> f64 {
    value * (value / 6.0 + 0.5).clamp(0.0, 1.0)
}

fn silu(value: f64) -> f64 {
    value / (1.0 + (-value).exp())
}

pub(super) fn gelu(value: f64) -> f64 {
    value * 0.5 * (1.0 + erf(value * std::f64::consts::FRAC_1_SQRT_2))
}

pub(super) fn fast_gelu(value: f64) -> f64 {
    const ROOT: f64 = 0.797_884_560_802_865_4;
    value * 0.5 * (1.0 + (ROOT * (value + 0.044_715 * value * value * value)).tanh())
}

fn softplus(value: f64) -> f64 {
    value.max(0.0) + (-value.abs()).exp().ln_1p()
}

/// The number times its sigmoid. com.microsoft calls it QuickGelu, with another default.
fn swish(node: &Node<'_>) -> Result<Kernel, Error> {
    let default = if node.proto().op_type == "QuickGelu" { 1.702 } else { 1.0 };
    let alpha = f64::from(node.float("alpha", default));
    for_types!(node.input_type(0)?, T in floats => {
        map::<T>(node, move |value: T| {
            let value = value.to_f64();
            T::from_f64(value / (1.0 + (-alpha * value).exp()))
        })
    })
}

/// A function of sums with biases of the last axis, which may be left out.
fn biased(node: &Node<'_>, function: fn(f64) -> f64) -> Result<Kernel, Error> {
    node.expect_all(1, node.input_type(0)?)?;
    for_types!(node.input_type(0)?, T in floats => biased_of::<T>(node, function))
}

fn biased_of<T: Float>(node: &Node<'_>, function: fn(f64) -> f64) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let bias = match arguments.find(1) {
            Some(bias) => bias.values::<T>()?.to_vec(),
            None => Vec::new(),
        };
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        if !bias.is_empty() && shape.last() != Some(&bias.len()) {
            return Err(Error::rejected(format_args!("{} biases for {shape:?}", bias.len())));
        }
        let mut values = tensor.into_values::<T>()?;
        match bias.is_empty() {
            true => values.iter_mut().for_each(|value| *value = value.map(function)),
            false => values
                .iter_mut()
                .zip(bias.iter().cycle())
                .for_each(|(value, bias)| *value = value.plus(*bias).map(function)),
        }
        Tensor::new(shape, values)
    }))
}
