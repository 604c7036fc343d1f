//! Attention: each query takes the mean of the values, weighted by how its key matches.

mod heads;
mod mask;
mod microsoft;
mod onnx;
mod rotary;

use onnx_executor::node::Node;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::ElementType;

const FLOAT: &[ElementType] = &[ElementType::F32];

/// The operators of this folder.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx("Attention", 23, FLOAT, onnx::attention),
    Operator::onnx("RotaryEmbedding", 23, FLOAT, rotary::rotary),
    Operator {
        domain: Domain::Microsoft,
        ..Operator::onnx("Attention", 1, FLOAT, microsoft::packed_attention)
    },
    Operator {
        domain: Domain::Microsoft,
        ..Operator::onnx("MultiHeadAttention", 1, FLOAT, microsoft::multi_head)
    },
];

/// Returns an attribute that is a count, such as the number of heads; `None` without it.
fn find_count(node: &Node<'_>, name: &str) -> Option<usize> {
    node.find_integer(name).and_then(|heads| usize::try_from(heads).ok())
}
