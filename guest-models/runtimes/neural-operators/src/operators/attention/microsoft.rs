//! The operators of com.microsoft.

use wardian_sdk::kernels::Strides;
use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled};

use super::heads::{Causal, Heads, Scoring, join_heads, split_heads};
use super::mask::{added, index_mask};
use super::{FLOAT, find_count};
use crate::kernels::size;
use crate::operators::product::multiply;

/// Attention whose queries, keys and values are one product of the input.
pub(super) fn packed_attention(node: &Node<'_>) -> Result<Kernel, Error> {
    let count = find_count(node, "num_heads").filter(|heads| *heads > 0).or_failed("num_heads")?;
    let scale = node.find_float("scale").filter(|scale| *scale != 0.0);
    let is_causal = node.flag("unidirectional", false);
    let low = node.float("mask_filter_value", -10000.0);
    let sizes = node.integers("qkv_hidden_sizes").to_vec();
    if node.has_input(4) || node.has_input(6) || node.has_output(1) || node.flag("do_rotary", false)
    {
        return Err(Error::failed("past keys and values, and rotation, are not served"));
    }
    for index in [1, 2, 5] {
        node.expect(index, FLOAT)?;
    }
    node.expect(3, &[ElementType::I32])?;
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let [batch, steps, hidden] = **arguments.get(0)?.shape() else {
            return Err(Error::rejected("it takes three dimensions"));
        };
        let weights = arguments.get(1)?;
        let [inner, columns] = **weights.shape() else {
            return Err(Error::rejected("weights of two dimensions"));
        };
        let sizes = match sizes.is_empty() {
            true => vec![columns / 3; 3],
            false => sizes.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect(),
        };
        if inner != hidden || sizes.len() != 3 || sizes.iter().sum::<usize>() != columns {
            return Err(Error::rejected("weights that do not fit its input"));
        }
        let rows = batch * steps;
        arguments.charge((rows as u64).saturating_mul((inner * columns) as u64))?;
        let mut projected = filled(Shape::new(&[rows, columns])?.elements(), 0.0)?;
        let weights = arguments.values::<f32>(1)?;
        let left = (arguments.values::<f32>(0)?, Strides::dense(size(rows)?, size(inner)?));
        let right = (weights, Strides::dense(size(inner)?, size(columns)?));
        multiply(left, right, [1, rows, inner, columns], 1.0, &mut projected)?;
        if let Some(bias) = arguments.find(2) {
            let bias = bias.values::<f32>()?;
            if bias.len() != columns {
                return Err(Error::rejected("there is not one bias for each column"));
            }
            let sums = projected.iter_mut().zip(bias.iter().cycle());
            sums.for_each(|(sum, bias)| *sum += bias);
        }
        let heads = heads_of(&projected, [batch, steps], &sizes, count)?;
        let mask =
            arguments.find(3).map(|mask| index_mask(mask, [batch, steps], low)).transpose()?;
        let mask = added(mask, arguments.find(5))?;
        attend_joined(&heads, mask.as_ref(), scale, is_causal, arguments)
    }))
}

/// Takes queries, keys and values out of rows in which they follow each other.
fn heads_of(
    projected: &[f32],
    [batch, steps]: [usize; 2],
    sizes: &[usize],
    count: usize,
) -> Result<Heads, Error> {
    let columns: usize = sizes.iter().sum();
    let mut start = 0;
    let mut take = |size: usize| {
        let rows = projected.chunks_exact(columns.max(1));
        let values = rows.flat_map(|row| row[start..start + size].iter().copied()).collect();
        start += size;
        split_heads(&Tensor::new(Shape::new(&[batch, steps, size])?, values)?, Some(count))
    };
    Ok(Heads { query: take(sizes[0])?, key: take(sizes[1])?, value: take(sizes[2])? })
}

/// Returns the attention of Microsoft's operators, its heads joined. The default scale is that of
/// the queries' size.
fn attend_joined(
    heads: &Heads,
    mask: Option<&Tensor>,
    scale: Option<f32>,
    is_causal: bool,
    arguments: &mut Arguments<'_>,
) -> Result<Tensor, Error> {
    let width = *heads.query.shape().last().or_rejected("queries without a size")? as f32;
    let scoring = Scoring { scale: scale.unwrap_or(1.0 / width.sqrt()), softcap: 0.0, gives: None };
    let causal = if is_causal { Causal::All(0) } else { Causal::None };

    let (output, _) = heads.attend(scoring, mask, &causal, arguments)?;
    join_heads(&output)
}

/// Attention of queries, keys and values of their own.
pub(super) fn multi_head(node: &Node<'_>) -> Result<Kernel, Error> {
    let count = find_count(node, "num_heads").filter(|heads| *heads > 0).or_failed("num_heads")?;
    let scale = node.find_float("scale").filter(|scale| *scale != 0.0);
    let low = node.float("mask_filter_value", -10000.0);
    let is_causal = node.flag("unidirectional", false);
    let is_plain = (6..10).all(|index| !node.has_input(index))
        && node.has_input(1)
        && node.has_input(2)
        && !node.has_output(1);
    if !is_plain {
        return Err(Error::failed("past keys and values, and packed ones, are not served"));
    }
    for index in [1, 2, 3, 5] {
        node.expect(index, FLOAT)?;
    }
    node.expect(4, &[ElementType::I32])?;
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let bias = arguments.find(3).map(|bias| bias.values::<f32>()).transpose()?;
        let mut start = 0;
        let mut side = |index: usize| {
            let tensor = arguments.get(index)?;
            let [_, _, hidden] = **tensor.shape() else {
                return Err(Error::rejected("it takes three dimensions"));
            };
            let Some(bias) = bias else { return split_heads(tensor, Some(count)) };
            let own = bias.get(start..start + hidden).or_rejected("too few biases")?;
            start += hidden;
            let sums = tensor.values::<f32>()?.iter().zip(own.iter().cycle()).map(|(x, b)| x + b);
            split_heads(&Tensor::new(*tensor.shape(), sums.collect())?, Some(count))
        };
        let heads = Heads { query: side(0)?, key: side(1)?, value: side(2)? };
        if bias.is_some_and(|bias| bias.len() != start) {
            return Err(Error::rejected("there are more biases than columns"));
        }
        let keys = [heads.key.shape()[0], heads.key.shape()[2]];
        let mask = arguments.find(4).map(|mask| index_mask(mask, keys, low)).transpose()?;
        let mask = added(mask, arguments.find(5))?;
        attend_joined(&heads, mask.as_ref(), scale, is_causal, arguments)
    }))
}
