//! Running sums.

use wardian_sdk::{Error, OrError};

use super::number::Number;
use super::{Operator, for_types};
use crate::onnx::kernel::Kernel;
use crate::onnx::node::Node;
use crate::onnx::tensor::{ElementType, Tensor};

pub(super) const OPERATORS: &[Operator] = &[Operator::onnx(
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
        let tensor = arguments.take(0)?;
        let shape = *tensor.shape();
        let axis = shape.axis(axis)?;
        let (outer, block) = shape.split_at_axis(axis);
        let (_, inner) = shape.split_at_axis(axis + 1);
        let mut values = tensor.into_values::<T>()?;
        for start in (0..outer).flat_map(|outer| (0..inner).map(move |i| outer * block + i)) {
            let mut sum = T::ZERO;
            for index in 0..shape[axis] {
                let index = if is_reversed { shape[axis] - 1 - index } else { index };
                let Some(value) = values.get_mut(start + index * inner) else { continue };
                let before = sum;
                sum = sum.plus(*value);
                *value = if is_exclusive { before } else { sum };
            }
        }
        Tensor::new(shape, values)
    }))
}
