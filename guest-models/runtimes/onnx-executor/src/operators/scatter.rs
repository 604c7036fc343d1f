//! Elements put in place of others.

use wardian_sdk::{Error, OrError};

use super::gather::{element_indices, nd_places};
use super::number::Number;
use super::{Operator, for_types};
use crate::kernel::Kernel;
use crate::node::Node;
use crate::tensor::{Element, ElementType, Tensor, Text};

const ALL: &[ElementType] = ElementType::ALL;
const INTEGERS: &[ElementType] = &[ElementType::I64, ElementType::I32];

/// The operators of this file.
pub const OPERATORS: &[Operator] = &[
    Operator { versions: (9, 10), ..Operator::onnx("Scatter", 9, ALL, scatter_elements) },
    Operator::onnx("ScatterElements", 11, ALL, scatter_elements),
    Operator::onnx("ScatterND", 11, ALL, scatter_nd),
];

/// Joins an element with the one that is put there.
type Join<T> = fn(T, T) -> T;

fn scatter_elements(node: &Node<'_>) -> Result<Kernel, Error> {
    let axis = node.integer("axis", 0);
    node.expect(1, INTEGERS)?;
    of_types(node, move |data, indices| Ok((element_indices(data.shape(), indices, axis)?, 1)))
}

fn scatter_nd(node: &Node<'_>) -> Result<Kernel, Error> {
    node.expect(1, &[ElementType::I64])?;
    of_types(node, |data, indices| {
        let depth = indices.shape().last().copied().or_rejected("indices without dimensions")?;
        let (_, block) = data.shape().split_at_axis(depth);
        Ok((nd_places(data.shape(), indices, 0)?, block))
    })
}

fn of_types(
    node: &Node<'_>,
    places: impl Fn(&Tensor, &Tensor) -> Result<(Vec<usize>, usize), Error> + Send + Sync + 'static,
) -> Result<Kernel, Error> {
    node.expect(2, &[node.input_type(0)?])?;
    let reduction = node.text("reduction", "none")?;
    match (node.input_type(0)?, reduction) {
        (ElementType::Text, "none") => scatter::<Text>(node, places, |_, new| new),
        (ElementType::Bool, "none") => scatter::<bool>(node, places, |_, new| new),
        (element, _) => for_types!(element, T in numbers => {
            let join: Join<T> = match reduction {
                "none" => |_, new| new,
                "add" => Number::plus,
                "mul" => Number::times,
                "max" => Number::larger,
                "min" => Number::smaller,
                other => return Err(Error::failed(format_args!("reduction {other:?} is not served"))),
            };
            scatter::<T>(node, places, join)
        }),
    }
}

fn scatter<T: Element>(
    node: &Node<'_>,
    places: impl Fn(&Tensor, &Tensor) -> Result<(Vec<usize>, usize), Error> + Send + Sync + 'static,
    join: Join<T>,
) -> Result<Kernel, Error> {
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let updates = arguments.get(2)?.clone().into_values::<T>()?;
        let (places, block) = places(arguments.get(0)?, arguments.get(1)?)?;
        if places.len().checked_mul(block) != Some(updates.len()) {
            return Err(Error::rejected("there is not one update for each index"));
        }
        let data = arguments.take(0)?;
        let shape = *data.shape();
        let mut values = data.into_values::<T>()?;
        let places = places.into_iter().flat_map(|place| place..place + block);
        for (place, update) in places.zip(updates) {
            let value = values.get_mut(place).or_rejected("an index is beyond the data")?;
            *value = join(value.clone(), update);
        }
        Tensor::new(shape, values)
    }))
}
