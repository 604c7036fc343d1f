//! The operators of neural networks: of ai.onnx beyond the general ones, and of com.microsoft.

mod activation;
mod attention;
mod bits;
mod conv;
mod detection;
mod einsum;
mod embedding;
mod fused;
mod integer;
mod loss;
mod normalization;
mod pad;
mod pool;
mod product;
mod quantize;
mod recurrent;
mod resize;
mod sequence;
mod space;
mod window;

use onnx_executor::operators::Operator;

/// The lists of all files. They precede the general operators.
pub(crate) const NEURAL: &[&[Operator]] = &[
    activation::OPERATORS,
    attention::OPERATORS,
    bits::OPERATORS,
    conv::OPERATORS,
    detection::OPERATORS,
    einsum::OPERATORS,
    embedding::OPERATORS,
    integer::OPERATORS,
    loss::OPERATORS,
    normalization::OPERATORS,
    pad::OPERATORS,
    pool::OPERATORS,
    product::OPERATORS,
    quantize::OPERATORS,
    recurrent::OPERATORS,
    resize::OPERATORS,
    sequence::OPERATORS,
    space::OPERATORS,
];
