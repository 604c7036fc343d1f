//! Activation functions, and the limits of numbers.

use wardian_sdk::{Error, OrError};

use super::number::{Float, Number};
use super::unary::map;
use super::{Operator, for_types};
use crate::kernel::{Arguments, Kernel};
use crate::node::Node;
use crate::tensor::{Element, ElementType, Tensor, filled};
use crate::value_type::ValueType;

const FLOATS: &[ElementType] = ElementType::FLOATS;

/// A function of numbers with a fraction, and of attributes `alpha` and `gamma` with defaults.
macro_rules! activation {
    ($name:literal, $first:literal, $alpha:expr, $value:ident, $a:ident => $body:expr) => {
        Operator::onnx($name, $first, FLOATS, |node| {
            let alpha = node.float("alpha", $alpha);
            for_types!(node.input_type(0)?, T in floats => {
                let $a = T::from(alpha);
                map::<T>(node, move |$value| $body)
            })
        })
    };
}

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx("Relu", 6, ElementType::NUMBERS, |node| {
        // NaN stays: a comparison with it is false.
        for_types!(node.input_type(0)?, T in numbers => {
            map::<T>(node, |value| if value.is_below_zero() { T::ZERO } else { value })
        })
    }),
    activation!("LeakyRelu", 6, 0.01, value, alpha => if value < 0.0 { alpha * value } else { value }),
    activation!("Elu", 6, 1.0, value, alpha => {
        if value < 0.0 { alpha * value.map(f64::exp_m1) } else { value }
    }),
    activation!("Celu", 12, 1.0, value, alpha => {
        if value < 0.0 { alpha * (value / alpha).map(f64::exp_m1) } else { value }
    }),
    activation!("ThresholdedRelu", 10, 1.0, value, alpha => {
        if value > alpha || Number::is_nan(value) { value } else { 0.0 }
    }),
    Operator::onnx("Selu", 6, FLOATS, selu),
    Operator::onnx("HardSigmoid", 6, FLOATS, hard_sigmoid),
    Operator::onnx(
        "Softplus",
        1,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => map::<T>(node, |value| value.map(softplus))),
    ),
    Operator::onnx(
        "Softsign",
        1,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => map::<T>(node, |value| value / (1.0 + value.abs()))),
    ),
    Operator { versions: (6, 10), ..Operator::onnx("Clip", 6, FLOATS, clip_by_attributes) },
    Operator::onnx("Clip", 11, ElementType::NUMBERS, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        for_types!(node.input_type(0)?, T in numbers => clip::<T>(node))
    }),
    Operator { versions: (1, 6), ..Operator::onnx("Dropout", 1, FLOATS, dropout) },
    Operator::onnx("Dropout", 7, ElementType::FLOATS, dropout),
];

fn selu(node: &Node<'_>) -> Result<Kernel, Error> {
    let alpha = node.float("alpha", 1.673_263_2);
    let gamma = node.float("gamma", 1.050_701);
    for_types!(node.input_type(0)?, T in floats => {
        let (alpha, gamma) = (T::from(alpha), T::from(gamma));
        map::<T>(node, move |value| {
            gamma * if value <= 0.0 { alpha * value.map(f64::exp_m1) } else { value }
        })
    })
}

fn hard_sigmoid(node: &Node<'_>) -> Result<Kernel, Error> {
    let (alpha, beta) = (node.float("alpha", 0.2), node.float("beta", 0.5));
    for_types!(node.input_type(0)?, T in floats => {
        let (alpha, beta) = (T::from(alpha), T::from(beta));
        map::<T>(node, move |value| (alpha * value + beta).clamp(0.0, 1.0))
    })
}

fn softplus(value: f64) -> f64 {
    value.max(0.0) + (-value.abs()).exp().ln_1p()
}

fn clip_by_attributes(node: &Node<'_>) -> Result<Kernel, Error> {
    let low = node.float("min", f32::MIN);
    let high = node.float("max", f32::MAX);
    for_types!(node.input_type(0)?, T in floats => {
        let (low, high) = (T::from(low), T::from(high));
        map::<T>(node, move |value| limited(value, Some(low), Some(high)))
    })
}

fn clip<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, |arguments| {
        let (low, high) = (limit::<T>(arguments, 1)?, limit::<T>(arguments, 2)?);
        let input = arguments.take(0)?;
        let shape = *input.shape();
        let mut values = input.into_values::<T>()?;
        values.iter_mut().for_each(|value| *value = limited(*value, low, high));
        Tensor::new(shape, values)
    }))
}

fn limit<T: Number>(arguments: &Arguments<'_>, index: usize) -> Result<Option<T>, Error> {
    let Some(limit) = arguments.find(index) else { return Ok(None) };
    limit.values::<T>()?.first().copied().map(Some).or_rejected("a limit without a value")
}

/// NaN stays. If the limits are in the wrong order, the upper one counts.
fn limited<T: Number>(value: T, low: Option<T>, high: Option<T>) -> T {
    let value = low.filter(|low| value < *low).unwrap_or(value);
    high.filter(|high| value > *high).unwrap_or(value)
}

/// Drops nothing, as nothing is trained here.
fn dropout(node: &Node<'_>) -> Result<Kernel, Error> {
    let _ = (node.attribute("ratio"), node.attribute("seed"));
    if node.version() < 7 && !node.flag("is_test", false) {
        return Err(Error::failed("it drops as in training; convert the model for inference"));
    }
    if node.has_input(2) {
        let mode = node.constant(2).and_then(|mode| mode.values::<bool>().ok()?.first().copied());
        if mode != Some(false) {
            return Err(Error::failed(
                "training_mode is not served; convert the model for inference",
            ));
        }
    }
    let element = node.input_type(0)?;
    if !node.has_output(1) {
        return Ok(Kernel::passing(ValueType::Tensor(element)));
    }
    const BOOLEAN_MASKS: i64 = 10;
    if node.version() < BOOLEAN_MASKS {
        return for_types!(element, T in floats => with_mask::<T>(element, T::ONE));
    }
    with_mask::<bool>(element, true)
}

/// Passes the input on, with a mask that drops nothing.
fn with_mask<T: Element + Clone + Sync>(element: ElementType, kept: T) -> Result<Kernel, Error> {
    Ok(Kernel::many([element, T::TYPE], move |arguments| {
        let tensor = arguments.take(0)?;
        let mask = Tensor::new(*tensor.shape(), filled(tensor.len(), kept.clone())?)?;
        Ok(vec![tensor, mask])
    }))
}
