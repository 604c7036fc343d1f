//! Rotary position embedding: pairs of numbers of each head, rotated by their position.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::tensor::{ElementType, Tensor};

use super::heads::{join_heads, split_heads};
use super::{FLOAT, find_count};

pub(super) fn rotary(node: &Node<'_>) -> Result<Kernel, Error> {
    let is_interleaved = node.flag("interleaved", false);
    let part = find_count(node, "rotary_embedding_dim").unwrap_or(0);
    let count = find_count(node, "num_heads").filter(|heads| *heads > 0);
    node.expect(1, FLOAT)?;
    node.expect(2, FLOAT)?;
    node.expect(3, &[ElementType::I64])?;
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let is_joined = arguments.get(0)?.shape().len() == 3;
        let tensor = split_heads(arguments.get(0)?, count)?;
        let shape = *tensor.shape();
        let [batch, heads, steps, size] = *shape else {
            return Err(Error::rejected("it takes heads of four dimensions"));
        };
        let part = if part == 0 { size } else { part };
        let half = part / 2;
        if part > size || part % 2 != 0 {
            return Err(Error::rejected(format_args!("{part} of {size} numbers are rotated")));
        }
        let (cosines, sines) = (arguments.values::<f32>(1)?, arguments.values::<f32>(2)?);
        let positions = arguments.find(3).map(|positions| positions.values::<i64>()).transpose()?;
        let row = |item: usize, step: usize| {
            let row = match positions {
                Some(positions) => {
                    let position = positions.get(item * steps + step).copied();
                    position.and_then(|position| usize::try_from(position).ok())
                }
                None => Some(item * steps + step),
            };
            let start = row.and_then(|row| row.checked_mul(half));
            let range = start.and_then(|start| Some(start..start.checked_add(half)?));
            let pair =
                range.and_then(|range| Some((cosines.get(range.clone())?, sines.get(range)?)));
            pair.or_rejected("a position that the caches do not have")
        };
        let mut values = tensor.into_values::<f32>()?;
        for index in 0..batch * heads * steps {
            let (item, step) = (index / (heads * steps), index % steps);
            let (cosines, sines) = row(item, step)?;
            let values = &mut values[index * size..][..part];
            for (place, (cos, sin)) in cosines.iter().zip(sines).enumerate() {
                let [one, other] = match is_interleaved {
                    true => [2 * place, 2 * place + 1],
                    false => [place, place + half],
                };
                let (x, y) = (values[one], values[other]);
                values[one] = cos * x - sin * y;
                values[other] = sin * x + cos * y;
            }
        }
        let rotated = Tensor::new(shape, values)?;
        if is_joined { join_heads(&rotated) } else { Ok(rotated) }
    }))
}
