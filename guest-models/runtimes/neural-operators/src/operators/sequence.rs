//! Steps of sequences, and scans of them.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::Operator;
use onnx_executor::tensor::{ElementType, allocate};

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] =
    &[Operator::onnx("ReverseSequence", 10, ElementType::ALL, reverse_sequence)];

fn reverse_sequence(node: &Node<'_>) -> Result<Kernel, Error> {
    let (batch_axis, time_axis) = (node.integer("batch_axis", 1), node.integer("time_axis", 0));
    let axes = match (batch_axis, time_axis) {
        (0, 1) => [0, 1],
        (1, 0) => [1, 0],
        _ => return Err(Error::failed("its axes are not 0 and 1")),
    };
    node.expect(1, &[ElementType::I64])?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let tensor = arguments.get(0)?;
        let shape = *tensor.shape();
        let [one, other, rest @ ..] = &*shape else {
            return Err(Error::rejected("it takes two dimensions and more"));
        };
        let extents = [*one, *other];
        let (items, steps) = (extents[axes[0]], extents[axes[1]]);
        let lengths = arguments.values::<i64>(1)?;
        let lengths: Vec<_> = lengths
            .iter()
            .map(|length| usize::try_from(*length).ok().filter(|length| *length <= steps))
            .collect::<Option<_>>()
            .filter(|lengths: &Vec<usize>| lengths.len() == items)
            .or_rejected("lengths that are not of its batch and steps")?;
        let block: usize = rest.iter().product();
        let mut starts = allocate(one * other)?;
        for place in 0..one * other {
            let index = [place / other, place % other];
            let (item, step) = (index[axes[0]], index[axes[1]]);
            let source = if step < lengths[item] { lengths[item] - 1 - step } else { step };
            let source = if axes[0] == 0 { item * other + source } else { source * other + item };
            starts.push(source * block);
        }
        tensor.pick_blocks(shape, block, starts.into_iter())
    }))
}
