//! Constant folding: nodes whose inputs are constants are computed when the graph is read.

use std::sync::Arc;

use crate::kernel::{Argument, Arguments, Kernel, Outputs};
use crate::node::{Input, Node};
use crate::tensor::Tensor;

/// The most elements of all inputs of a node that is computed in advance. It is large, because
/// weights may be stored in another type than that in which they are used.
const MAX_ELEMENTS: usize = 1 << 27;

/// Operators whose outputs may be far larger than their inputs.
const GROWING: &[&str] = &[
    "CDist",
    "ConstantOfShape",
    "Einsum",
    "Expand",
    "EyeLike",
    "If",
    "Loop",
    "OneHot",
    "Pad",
    "Range",
    "Resize",
    "Scan",
    "Tile",
    "Upsample",
];

/// Computes the outputs of a node whose inputs are small constants; `None` if it has other inputs,
/// or if it fails: it may be in a branch that is never taken.
pub(super) fn fold(node: &Node<'_>, kernel: &Kernel) -> Option<Vec<Arc<Tensor>>> {
    if GROWING.contains(&node.proto().op_type.as_str()) {
        return None;
    }
    let inputs = (0..node.inputs()).map(|index| node.find_input(index));
    let inputs: Vec<Option<&Input>> = inputs.collect();
    let is_known = |input: &Option<&Input>| input.is_none_or(|input| input.constant.is_some());
    let constants: Vec<_> = inputs.iter().flatten().filter_map(|i| i.constant.clone()).collect();
    let elements: usize = constants.iter().map(|constant| constant.len()).sum();
    if !inputs.iter().all(is_known) || elements > MAX_ELEMENTS {
        return None;
    }

    let mut next = 0..;
    let argument = |input: &Option<&Input>| match input {
        Some(_) => Argument::Constant(next.next().unwrap_or_default()),
        None => Argument::Absent,
    };
    let arguments: Vec<_> = inputs.iter().map(argument).collect();
    let (mut slots, mut work) = ([], 1 << 24);
    let mut arguments =
        Arguments { inputs: &arguments, slots: &mut slots, constants: &constants, work: &mut work };
    match (kernel.run)(&mut arguments).ok()? {
        Outputs::One(output) => Some(vec![Arc::new(output)]),
        Outputs::Many(outputs) => Some(outputs.into_iter().map(Arc::new).collect()),
    }
}
