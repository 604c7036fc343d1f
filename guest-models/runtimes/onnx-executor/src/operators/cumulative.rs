//! Running sums.

use wardian_sdk::{Error, OrError};

use super::along_axis::change_groups;
use super::number::Number;
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::ElementType;

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[Operator::onnx(
    "CumSum",
    11,
    ElementType::NUMBERS,
    |node| for_types!(node.input_type(0)?, T in numbers => running_sum::<T>(node)),
)];

fn running_sum<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let is_exclusive = node.flag("exclusive", false);
    let is_reversed = node.flag("reverse", false);
    node.expect(1, &[ElementType::I64, ElementType::I32])?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let axis = arguments.get(1)?.integers()?.first().copied().or_rejected("no axis")?;
        change_groups(arguments.take(0)?, axis, |group: &mut [T]| {
            if is_reversed {
                group.reverse();
            }

            let mut sum = T::ZERO;
            for value in group.iter_mut() {
                let before = sum;
                sum = sum.plus(*value);
                *value = if is_exclusive { before } else { sum };
            }

            if is_reversed {
                group.reverse();
            }
        })
    }))
}
