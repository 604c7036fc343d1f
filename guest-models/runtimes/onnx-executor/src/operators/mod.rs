//! General operators of ai.onnx, and the form of every operator: one place says in which versions
//! and for which types an operator is served, and how.
//!
//! # Adding an operator
//!
//! An operator is an [`Operator`] in a list of its file (`pub const OPERATORS`), and each list is
//! named once in [`GENERAL`] or in a runtime's own lists. Its `build` is called once for each node
//! when the graph is read. There it reads attributes, looks at the types of inputs, and returns a
//! [`Kernel`]: the types of its outputs, and a closure that computes them.
//!
//! - `accepts` names the element types of the first input; the registry has checked them before
//!   `build` is called. Other inputs are checked with [`Node::expect`]. A choice of a Rust type by
//!   an element type is made in `build`, not in the closure: see [`for_types`].
//! - An attribute that `build` never asks for makes the node refused, so ask for every attribute
//!   whose meaning is implemented, and for no other.
//! - An operator whose meaning changed has one entry for each range of versions, or asks
//!   [`Node::version`].
//! - `build` fails with `Error::failed`; the operator's name and node are added by the caller. A
//!   closure fails with `Error::rejected` for shapes and values that the operator does not take.
//! - Nothing panics: shapes are made by [`Shape::new`](super::tensor::Shape::new), which checks
//!   their size; lists of a size that the request or file decides by
//!   [`allocate`](super::tensor::allocate); work beyond the size of inputs and outputs is counted
//!   by [`Arguments::charge`](super::kernel::Arguments::charge).

pub mod activation;
pub mod along_axis;
pub mod arg_max_top_k;
pub mod arithmetic;
pub mod broadcast;
pub mod cast;
pub use cast::truncated;

pub mod comparison;
pub mod control;
pub mod cumulative;
pub mod distance;
pub mod erf;
pub mod gather;
pub mod generate;
pub mod identity;
pub mod key;
pub mod matmul;
pub mod matrix;
pub mod movement;
pub mod normalization;
pub mod number;
pub mod reduce;
pub mod scatter;
pub mod select;
pub mod shape;
pub mod softmax;
pub mod text_cast;
pub mod text_vectorizer;
pub mod unary;

use wardian_sdk::Error;

use super::kernel::Kernel;
use super::node::Node;
use super::tensor::ElementType;

/// An operator in a range of versions.
pub struct Operator {
    /// The domain.
    pub domain: Domain,
    /// The name.
    pub name: &'static str,
    /// The versions of the domain's operator set in which it has this meaning: first and last.
    pub versions: (i64, i64),
    /// The types of elements of the first input. Not looked at if there is no input.
    pub accepts: &'static [ElementType],
    /// Makes the kernel of a node.
    pub build: fn(&Node<'_>) -> Result<Kernel, Error>,
}

// === impl Operator ===

impl Operator {
    /// An operator of ai.onnx, from a version to the newest.
    pub const fn onnx(
        name: &'static str,
        first: i64,
        accepts: &'static [ElementType],
        build: fn(&Node<'_>) -> Result<Kernel, Error>,
    ) -> Self {
        let versions = (first, Domain::NEWEST);
        Self { domain: Domain::Onnx, name, versions, accepts, build }
    }
}

/// A family of operators with versions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// ai.onnx, written as nothing in files.
    Onnx,
    /// ai.onnx.ml.
    Ml,
    /// com.microsoft.
    Microsoft,
    /// Operators that take the place of several nodes of a file.
    Wardian,
}

/// The lists of the files here: operators that tables and networks have in common.
pub const GENERAL: &[&[Operator]] = &[
    activation::OPERATORS,
    arg_max_top_k::OPERATORS,
    arithmetic::OPERATORS,
    cast::OPERATORS,
    comparison::OPERATORS,
    control::OPERATORS,
    cumulative::OPERATORS,
    distance::OPERATORS,
    gather::OPERATORS,
    generate::OPERATORS,
    identity::OPERATORS,
    matmul::OPERATORS,
    movement::OPERATORS,
    normalization::OPERATORS,
    reduce::OPERATORS,
    scatter::OPERATORS,
    select::OPERATORS,
    shape::OPERATORS,
    softmax::OPERATORS,
    text_vectorizer::OPERATORS,
    unary::OPERATORS,
];

impl Domain {
    /// The newest version of ai.onnx whose operators are known.
    pub const NEWEST: i64 = 28;
    /// The newest version of ai.onnx.ml.
    pub const NEWEST_ML: i64 = 5;
    /// The name of [`Domain::Wardian`].
    pub const WARDIAN: &str = "wardian";

    /// Returns the domain of this name, if it is known.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "" | "ai.onnx" => Some(Self::Onnx),
            "ai.onnx.ml" => Some(Self::Ml),
            "com.microsoft" => Some(Self::Microsoft),
            Self::WARDIAN => Some(Self::Wardian),
            _ => None,
        }
    }

    /// Returns the oldest and newest versions of the operator set that are read.
    pub fn versions(self) -> (i64, i64) {
        match self {
            Self::Onnx => (1, Self::NEWEST),
            Self::Ml => (1, Self::NEWEST_ML),
            Self::Microsoft | Self::Wardian => (1, 1),
        }
    }
}

/// Evaluates an expression in which `$T` is the Rust type of an element type, one of those listed:
/// `for_types!(element, T in [F32(f32), F64(f64)] => kernel::<T>(node))`. The expression is a
/// `Result`, as is the whole.
///
/// # Errors
/// Failed if the type is not listed.
#[macro_export]
macro_rules! for_types {
    ($element:expr, $T:ident in [$($variant:ident($rust:ty)),* $(,)?] => $body:expr) => {
        match $element {
            $($crate::tensor::ElementType::$variant => {
                type $T = $rust;
                $body
            })*
            #[allow(unreachable_patterns)]
            other => Err($crate::Error::failed(format_args!("the type {other} is not served"))),
        }
    };
    ($element:expr, $T:ident in floats => $body:expr) => {
        $crate::operators::for_types!($element, $T in [F32(f32), F64(f64)] => $body)
    };
    ($element:expr, $T:ident in common => $body:expr) => {
        $crate::operators::for_types!(
            $element, $T in [F32(f32), F64(f64), I64(i64), I32(i32)] => $body)
    };
    ($element:expr, $T:ident in numbers => $body:expr) => {
        $crate::operators::for_types!(
            $element,
            $T in [
                F32(f32), F64(f64), I64(i64), I32(i32), I16(i16), I8(i8), U64(u64), U32(u32),
                U16(u16), U8(u8),
            ] => $body)
    };
}
pub use crate::for_types;
