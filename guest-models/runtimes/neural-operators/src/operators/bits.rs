//! Bits of whole numbers.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::broadcast::Broadcast;
use onnx_executor::operators::unary::map;
use onnx_executor::operators::{Operator, for_types};
use onnx_executor::tensor::{Element, ElementType, Tensor};

const INTEGERS: &[ElementType] = &[
    ElementType::I64,
    ElementType::I32,
    ElementType::I16,
    ElementType::I8,
    ElementType::U64,
    ElementType::U32,
    ElementType::U16,
    ElementType::U8,
];

/// Evaluates an expression with the Rust type of whole numbers.
macro_rules! for_integers {
    ($element:expr, $T:ident => $body:expr) => {
        for_types!(
            $element,
            $T in [
                I64(i64), I32(i32), I16(i16), I8(i8), U64(u64), U32(u32), U16(u16), U8(u8),
            ] => $body)
    };
}

/// An operator of two whole numbers.
macro_rules! of_two {
    ($name:literal, $operator:tt) => {
        Operator::onnx($name, 18, INTEGERS, |node| {
            for_integers!(node.input_type(0)?, T => two::<T>(node, |one, other| one $operator other))
        })
    };
}

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    of_two!("BitwiseAnd", &),
    of_two!("BitwiseOr", |),
    of_two!("BitwiseXor", ^),
    Operator::onnx(
        "BitwiseNot",
        18,
        INTEGERS,
        |node| for_integers!(node.input_type(0)?, T => map::<T>(node, |value: T| !value)),
    ),
    Operator::onnx("BitShift", 11, INTEGERS, |node| {
        let direction = node.find_text("direction")?.or_failed("it has no direction")?;
        let is_left = match direction {
            "LEFT" => true,
            "RIGHT" => false,
            other => return Err(Error::failed(format_args!("the direction {other:?}"))),
        };
        for_integers!(node.input_type(0)?, T => two::<T>(node, move |value: T, by: T| {
            // Shifts by all bits and more leave nothing, or the sign.
            let by = u32::try_from(i128::from(by)).unwrap_or(u32::MAX);
            let sign = if T::MIN == 0 { 0 } else { value.unbounded_shr(T::BITS) };
            match is_left {
                true => value.checked_shl(by).unwrap_or_default(),
                false => value.checked_shr(by).unwrap_or(sign),
            }
        }))
    }),
];

fn two<T: Element + Copy>(
    node: &Node<'_>,
    function: impl Fn(T, T) -> T + Send + Sync + 'static,
) -> Result<Kernel, Error> {
    node.expect_all(1, node.input_type(0)?)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let (one, other) = (arguments.get(0)?, arguments.get(1)?);
        let broadcast = Broadcast::new(one.shape(), other.shape())?;
        let results = broadcast.map(one.values()?, other.values()?, |a, b| function(*a, *b))?;
        Tensor::new(broadcast.shape, results)
    }))
}
