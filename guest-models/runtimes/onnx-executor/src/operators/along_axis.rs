//! Runs a function in place on each group of elements along an axis, for the operators of softmax,
//! normalization and cumulation. It has no operator of its own.

use wardian_sdk::Error;

use super::number::Number;
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{Tensor, allocate};

/// A kernel that changes each group of elements along an axis.
///
/// # Errors
/// Failed if the type of the input is not known.
pub fn along_axis<T: Number>(
    node: &Node<'_>,
    axis: i64,
    change: impl Fn(&mut [T]) + Send + Sync + 'static,
) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        change_groups(arguments.take(0)?, axis, &change)
    }))
}

/// Changes each group of elements along an axis of a tensor.
///
/// # Errors
/// Rejected if there is no such axis, or not enough memory.
pub fn change_groups<T: Number>(
    tensor: Tensor,
    axis: i64,
    change: impl Fn(&mut [T]),
) -> Result<Tensor, Error> {
    let shape = *tensor.shape();
    let axis = shape.axis(axis)?;
    let (outer, block) = shape.split_at_axis(axis);
    let (_, inner) = shape.split_at_axis(axis + 1);

    let mut values = tensor.into_values::<T>()?;
    if inner == 1 {
        values.chunks_exact_mut(block.max(1)).for_each(&change);
        return Tensor::new(shape, values);
    }
    let mut group = allocate(block / inner.max(1))?;
    for start in (0..outer).flat_map(|outer| (0..inner).map(move |i| outer * block + i)) {
        group.clear();
        let end = start - start % block + block;
        group.extend(values[start..end].iter().step_by(inner).copied());
        change(&mut group);
        let places = values[start..end].iter_mut().step_by(inner);
        places.zip(&group).for_each(|(place, value)| *place = *value);
    }
    Tensor::new(shape, values)
}
