//! Arithmetic of two tensors, and of any number of them.

use wardian_sdk::{Error, OrError};

use super::broadcast::Broadcast;
use super::number::Number;
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{Data, ElementType, Tensor, collect};

const NUMBERS: &[ElementType] = ElementType::NUMBERS;

/// An operator of two numbers of one type, which may fail.
macro_rules! of_two {
    ($name:literal, $first:literal, $function:expr) => {
        Operator::onnx($name, $first, NUMBERS, |node| {
            node.expect_all(1, node.input_type(0)?)?;
            for_types!(node.input_type(0)?, T in numbers => two::<T>(node, $function))
        })
    };
}

/// An operator of any count of numbers of one type.
macro_rules! of_many {
    ($name:literal, $function:expr, $is_mean:literal) => {
        Operator::onnx($name, 8, NUMBERS, |node| {
            node.expect_all(1, node.input_type(0)?)?;
            for_types!(node.input_type(0)?, T in numbers => many::<T>(node, $function, $is_mean))
        })
    };
}

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    of_two!("Add", 7, Number::plus),
    of_two!("Sub", 7, Number::minus),
    of_two!("Mul", 7, Number::times),
    Operator::onnx("Div", 7, NUMBERS, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        match node.input_type(0)? {
            ElementType::F32 => two::<f32>(node, |a, b| a / b),
            ElementType::F64 => two::<f64>(node, |a, b| a / b),
            element => for_types!(element, T in numbers => fallible::<T>(node, Number::over)),
        }
    }),
    Operator::onnx("Mod", 10, NUMBERS, modulo),
    Operator::onnx(
        "Pow",
        7,
        NUMBERS,
        |node| for_types!(node.input_type(0)?, T in numbers => power::<T>(node)),
    ),
    of_two!("PRelu", 7, |value, slope| {
        if value.is_below_zero() { value.times(slope) } else { value }
    }),
    of_many!("Sum", Number::plus, false),
    of_many!("Mean", Number::plus, true),
    of_many!("Max", Number::larger, false),
    of_many!("Min", Number::smaller, false),
];

fn two<T: Number>(
    node: &Node<'_>,
    function: impl Fn(T, T) -> T + Copy + Send + Sync + 'static,
) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        join(arguments.get(0)?, arguments.get(1)?, function)
    }))
}

/// Joins the elements of two tensors.
///
/// # Errors
/// Rejected if their shapes do not fit each other, or there is not enough memory.
pub fn join<T: Number>(
    one: &Tensor,
    other: &Tensor,
    function: impl Fn(T, T) -> T + Copy,
) -> Result<Tensor, Error> {
    let broadcast = Broadcast::new(one.shape(), other.shape())?;
    let results = broadcast.map(one.values::<T>()?, other.values::<T>()?, |a, b| function(*a, *b));
    Tensor::new(broadcast.shape, results?)
}

/// A kernel of a function that may have no result for integers.
fn fallible<T: Number>(node: &Node<'_>, function: fn(T, T) -> Option<T>) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let (one, other) = (arguments.get(0)?, arguments.get(1)?);
        let broadcast = Broadcast::new(one.shape(), other.shape())?;
        let (one, other) = (one.values::<T>()?, other.values::<T>()?);
        let results = broadcast.map(one, other, |a, b| function(*a, *b))?;
        let results: Option<Vec<T>> = results.into_iter().collect();
        Tensor::new(broadcast.shape, results.or_rejected("a whole number is divided by 0")?)
    }))
}

fn modulo(node: &Node<'_>) -> Result<Kernel, Error> {
    node.expect_all(1, node.input_type(0)?)?;
    let truncates = node.flag("fmod", false);
    if !truncates && ElementType::FLOATS.contains(&node.input_type(0)?) {
        return Err(Error::failed("numbers with a fraction need fmod=1"));
    }
    for_types!(node.input_type(0)?, T in numbers => {
        fallible::<T>(node, if truncates { Number::remainder } else { Number::modulo })
    })
}

/// The exponent may be of another type.
fn power<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    node.expect(1, NUMBERS)?;
    Ok(Kernel::new(node.input_type(0)?, |arguments| {
        let (base, exponent) = (arguments.get(0)?, arguments.get(1)?);
        let broadcast = Broadcast::new(base.shape(), exponent.shape())?;
        let bases = base.values::<T>()?;
        let exponents = numbers(exponent)?;
        let results = match exponents.as_slice() {
            [2.0] => broadcast.map(bases, &exponents, |base, _| base.times(*base)),
            _ => broadcast.map(bases, &exponents, |base, exponent| base.power(*exponent)),
        };
        Tensor::new(broadcast.shape, results?)
    }))
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>, Error> {
    macro_rules! wide {
        ($($variant:ident),*) => {
            match tensor.data() {
                $(Data::$variant(values) => collect(values.iter().map(|value| value.to_f64())),)*
                _ => Err(Error::failed("an exponent that is no number")),
            }
        };
    }
    wide!(F32, F64, I64, I32, I16, I8, U64, U32, U16, U8)
}

fn many<T: Number>(
    node: &Node<'_>,
    function: impl Fn(T, T) -> T + Copy + Send + Sync + 'static,
    is_mean: bool,
) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let count = arguments.len();
        let mut result = match count {
            0 | 1 => arguments.take(0)?,
            _ => join(arguments.get(0)?, arguments.get(1)?, function)?,
        };
        for index in 2..count {
            result = join(&result, arguments.get(index)?, function)?;
        }
        if !is_mean {
            return Ok(result);
        }
        let shape = *result.shape();
        let count = T::from_f64(count as f64);
        let values = result.into_values::<T>()?.into_iter();
        Tensor::new(shape, values.map(|value| value.over(count).unwrap_or(value)).collect())
    }))
}
