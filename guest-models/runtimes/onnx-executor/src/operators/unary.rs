//! Functions of one number.

use wardian_sdk::Error;

use super::number::{Float, Number};
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{Element, ElementType, Tensor, collect};

const BOOLEANS: &[ElementType] = &[ElementType::Bool];
const FLOATS: &[ElementType] = ElementType::FLOATS;
const NUMBERS: &[ElementType] = ElementType::NUMBERS;

/// A function of numbers with a fraction.
macro_rules! float {
    ($name:literal, $first:literal, $value:ident => $body:expr) => {
        Operator::onnx($name, $first, FLOATS, |node| {
            for_types!(node.input_type(0)?, T in floats => map::<T>(node, |$value| $body))
        })
    };
}

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator::onnx(
        "Abs",
        6,
        NUMBERS,
        |node| for_types!(node.input_type(0)?, T in numbers => map::<T>(node, Number::absolute)),
    ),
    Operator::onnx(
        "Neg",
        6,
        NUMBERS,
        |node| for_types!(node.input_type(0)?, T in numbers => map::<T>(node, Number::negative)),
    ),
    Operator::onnx(
        "Sign",
        9,
        NUMBERS,
        |node| for_types!(node.input_type(0)?, T in numbers => map::<T>(node, Number::sign)),
    ),
    Operator::onnx("Not", 1, BOOLEANS, |node| map::<bool>(node, |value| !value)),
    Operator::onnx(
        "IsNaN",
        9,
        FLOATS,
        |node| for_types!(node.input_type(0)?, T in floats => test::<T>(|value| value.is_nan())),
    ),
    Operator::onnx("IsInf", 10, FLOATS, is_infinite),
    float!("Exp", 6, value => Float::exp(value)),
    float!("Log", 6, value => value.map(f64::ln)),
    float!("Sqrt", 6, value => value.sqrt()),
    float!("Floor", 6, value => value.floor()),
    float!("Ceil", 6, value => value.ceil()),
    float!("Round", 11, value => Float::round(value)),
    float!("Reciprocal", 6, value => 1.0 / value),
    float!("Erf", 9, value => Float::erf(value)),
    float!("Sin", 7, value => value.map(f64::sin)),
    float!("Cos", 7, value => value.map(f64::cos)),
    float!("Tan", 7, value => value.map(f64::tan)),
    float!("Asin", 7, value => value.map(f64::asin)),
    float!("Acos", 7, value => value.map(f64::acos)),
    float!("Atan", 7, value => value.map(f64::atan)),
    float!("Sinh", 9, value => value.map(f64::sinh)),
    float!("Cosh", 9, value => value.map(f64::cosh)),
    float!("Asinh", 9, value => value.map(f64::asinh)),
    float!("Acosh", 9, value => value.map(f64::acosh)),
    float!("Atanh", 9, value => value.map(f64::atanh)),
    float!("Tanh", 6, value => Float::tanh(value)),
    float!("Sigmoid", 6, value => Float::sigmoid(value)),
];

/// A kernel that applies a function to each element.
///
/// # Errors
/// Failed if the type of the input is not known.
pub fn map<T: Element + Copy>(
    node: &Node<'_>,
    function: impl Fn(T) -> T + Send + Sync + 'static,
) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let input = arguments.take(0)?;
        let shape = *input.shape();
        let mut values = input.into_values::<T>()?;
        values.iter_mut().for_each(|value| *value = function(*value));
        Tensor::new(shape, values)
    }))
}

/// A kernel that tests each element.
fn test<T: Element + Copy>(
    test: impl Fn(T) -> bool + Send + Sync + 'static,
) -> Result<Kernel, Error> {
    Ok(Kernel::new(ElementType::Bool, move |arguments| {
        let input = arguments.get(0)?;
        let results = collect(input.values::<T>()?.iter().map(|value| test(*value)))?;
        Tensor::new(*input.shape(), results)
    }))
}

fn is_infinite(node: &Node<'_>) -> Result<Kernel, Error> {
    let negative = node.flag("detect_negative", true);
    let positive = node.flag("detect_positive", true);
    for_types!(node.input_type(0)?, T in floats => test::<T>(move |value| {
        value.is_infinite() && if value > 0.0 { positive } else { negative }
    }))
}
