//! Attention: each query takes the mean of the values, weighted by how its key matches.

use std::borrow::Cow;

use wardian_sdk::kernels::Strides;
use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::broadcast::{common_shape, steps};
use onnx_executor::operators::movement::concatenate;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, Shape, Tensor, Walk, filled};

use super::product::multiply;
use crate::kernels::size;

const FLOAT: &[ElementType] = &[ElementType::F32];

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx("Attention", 23, FLOAT, attention),
    Operator::onnx("RotaryEmbedding", 23, FLOAT, rotary),
    Operator {
        domain: Domain::Microsoft,
        ..Operator::onnx("Attention", 1, FLOAT, packed_attention)
    },
    Operator {
        domain: Domain::Microsoft,
        ..Operator::onnx("MultiHeadAttention", 1, FLOAT, multi_head)
    },
];

/// Queries, keys and values, [batch, heads, steps, size] each.
pub(super) struct Heads {
    pub(super) query: Tensor,
    pub(super) key: Tensor,
    pub(super) value: Tensor,
}

/// The steps from scores to weights.
#[derive(Clone, Copy)]
pub(super) struct Scoring {
    pub(super) scale: f32,
    pub(super) softcap: f32,
    /// 0: scores; 1: with the mask; 2: after the soft cap; 3: weights.
    pub(super) gives: Option<i64>,
}

/// The causal limit of a batch's queries: query `i` sees the keys up to `i + offset`.
pub(super) enum Causal {
    None,
    All(i64),
    Each(Vec<i64>),
}

/// Splits [batch, steps, heads * size] into heads; passes four dimensions on.
pub(super) fn split_heads(tensor: &Tensor, heads: Option<usize>) -> Result<Tensor, Error> {
    let [batch, steps, hidden] = **tensor.shape() else {
        return match tensor.shape().len() {
            4 => Ok(tensor.clone()),
            _ => Err(Error::rejected("it takes three or four dimensions")),
        };
    };
    let heads = heads.or_rejected("it has no number of heads")?;
    if heads == 0 || hidden % heads != 0 {
        return Err(Error::rejected(format_args!("{heads} heads of {hidden} numbers")));
    }
    let shape = Shape::new(&[batch, steps, heads, hidden / heads])?;
    tensor.clone().reshape(shape)?.transpose(&[0, 2, 1, 3])
}

/// Joins heads into [batch, steps, heads * size].
pub(super) fn join_heads(tensor: &Tensor) -> Result<Tensor, Error> {
    let [batch, heads, steps, size] = **tensor.shape() else {
        return Err(Error::rejected("heads without four dimensions"));
    };
    let hidden = heads.checked_mul(size).or_rejected("too many heads")?;
    tensor.transpose(&[0, 2, 1, 3])?.reshape(Shape::new(&[batch, steps, hidden])?)
}

impl Heads {
    /// Returns the answers, [batch, heads, steps, size], and the scores that are asked for.
    ///
    /// # Errors
    /// Rejected if the shapes do not fit each other.
    pub(super) fn attend(
        &self,
        scoring: Scoring,
        bias: Option<&Tensor>,
        causal: &Causal,
        arguments: &mut Arguments<'_>,
    ) -> Result<(Tensor, Option<Tensor>), Error> {
        let Self { query, key, value } = self;
        let (
            [batch, heads, rows, inner],
            [key_batch, groups, keys, key_size],
            [_, _, values, width],
        ) = (&**query.shape(), &**key.shape(), &**value.shape())
        else {
            return Err(Error::rejected("it takes heads of four dimensions"));
        };
        let (batch, heads, rows, inner, groups, keys, width) =
            (*batch, *heads, *rows, *inner, *groups, *keys, *width);
        let fits = *key_batch == batch
            && *key_size == inner
            && *values == keys
            && value.shape()[..2] == key.shape()[..2]
            && groups > 0
            && heads % groups == 0;
        if !fits {
            return Err(Error::rejected(format_args!(
                "queries of {:?}, keys of {:?} and values of {:?}",
                query.shape(),
                key.shape(),
                value.shape()
            )));
        }
        let score_shape = Shape::new(&[batch, heads, rows, keys])?;
        let shape = Shape::new(&[batch, heads, rows, width])?;
        arguments.charge((score_shape.elements() as u64).saturating_mul((inner + width) as u64))?;
        let bias = bias.map(|bias| Bias::new(bias, &score_shape)).transpose()?;

        let (queries, keys_of, values_of) =
            (query.values::<f32>()?, key.values::<f32>()?, value.values::<f32>()?);
        let mut output = filled(shape.elements(), 0.0)?;
        let mut given = scoring.gives.map(|_| filled(score_shape.elements(), 0.0)).transpose()?;
        let mut scores = filled(rows * keys, 0.0)?;
        for index in 0..batch * heads {
            let (item, head) = (index / heads, index % heads);
            let source = item * groups + head / (heads / groups);
            let query = &queries[index * rows * inner..][..rows * inner];
            let key = &keys_of[source * keys * inner..][..keys * inner];
            let value = &values_of[source * keys * width..][..keys * width];
            let left = (query, Strides::dense(size(rows)?, size(inner)?));
            let right = (key, Strides::transposed(size(inner)?, size(keys)?));
            multiply(left, right, [1, rows, inner, keys], scoring.scale, &mut scores)?;

            let mut give = |mode: i64, scores: &[f32]| {
                if let (Some(wanted), Some(given)) = (scoring.gives, &mut given)
                    && wanted == mode
                {
                    given[index * rows * keys..][..rows * keys].copy_from_slice(scores);
                }
            };
            give(0, &scores);
            if scoring.softcap > 0.0 {
                let cap = scoring.softcap;
                scores.iter_mut().for_each(|score| *score = (*score / cap).tanh() * cap);
            }
            give(1, &scores);
            if let Some(bias) = &bias {
                bias.add(index, &mut scores);
            }
            if let Some(offset) = causal.offset(item) {
                for (row, scores) in scores.chunks_exact_mut(keys.max(1)).enumerate() {
                    let seen = (row as i64 + offset + 1).clamp(0, keys as i64) as usize;
                    scores[seen..].fill(f32::NEG_INFINITY);
                }
            }
            give(2, &scores);
            scores.chunks_exact_mut(keys.max(1)).for_each(softmax);
            give(3, &scores);

            let left = (scores.as_slice(), Strides::dense(size(rows)?, size(keys)?));
            let right = (value, Strides::dense(size(keys)?, size(width)?));
            let output = &mut output[index * rows * width..][..rows * width];
            multiply(left, right, [1, rows, keys, width], 1.0, output)?;
        }
        let given = given.map(|given| Tensor::new(score_shape, given)).transpose()?;
        Ok((Tensor::new(shape, output)?, given))
    }
}

/// Weights of one query. One that sees no key has none.
fn softmax(scores: &mut [f32]) {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if highest == f32::NEG_INFINITY {
        return scores.fill(0.0);
    }
    scores.iter_mut().for_each(|score| *score = (*score - highest).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

impl Causal {
    fn offset(&self, item: usize) -> Option<i64> {
        match self {
            Self::None => None,
            Self::All(offset) => Some(*offset),
            Self::Each(offsets) => offsets.get(item).copied(),
        }
    }
}

/// Numbers that are added to scores.
struct Bias {
    /// As many as there are scores, or those of the last two axes.
    values: Vec<f32>,
    /// Numbers between two heads, 0 if they are the same for all.
    step: usize,
}

impl Bias {
    fn new(bias: &Tensor, scores: &Shape) -> Result<Self, Error> {
        if common_shape(bias.shape(), scores)? != *scores {
            return Err(Error::rejected(format_args!(
                "a mask of {:?} for {scores:?}",
                bias.shape()
            )));
        }
        let numbers = match bias.element_type() {
            ElementType::Bool => {
                let seen = bias.values::<bool>()?.iter();
                let numbers = seen.map(|seen| if *seen { 0.0 } else { f32::NEG_INFINITY });
                Cow::Owned(Tensor::new(*bias.shape(), numbers.collect())?)
            }
            _ => Cow::Borrowed(bias),
        };
        let rank = numbers.shape().len();
        let outer = numbers.shape()[..rank.saturating_sub(2)].iter().all(|extent| *extent == 1);
        let last = Shape::new(&scores[2..])?;
        let shape = if outer { last } else { *scores };
        let flat = match outer && rank > 2 {
            true => numbers.into_owned().reshape(Shape::new(&bias.shape()[rank - 2..])?)?,
            false => numbers.into_owned(),
        };
        let steps = steps(flat.shape(), &shape).into_iter().map(|step| step as isize).collect();
        let values = flat.walk(&Walk { shape, start: 0, steps })?.into_values::<f32>()?;
        Ok(Self { values, step: if outer { 0 } else { last.elements() } })
    }

    fn add(&self, head: usize, scores: &mut [f32]) {
        let values = self.values.get(head * self.step..).unwrap_or_default();
        scores.iter_mut().zip(values).for_each(|(score, value)| *score += value);
    }
}

fn heads(node: &Node<'_>, name: &str) -> Option<usize> {
    node.find_integer(name).and_then(|heads| usize::try_from(heads).ok())
}

fn attention(node: &Node<'_>) -> Result<Kernel, Error> {
    let (query_heads, key_heads) = (heads(node, "q_num_heads"), heads(node, "kv_num_heads"));
    let scale = node.find_float("scale");
    let softcap = node.float("softcap", 0.0);
    let is_causal = node.flag("is_causal", false);
    let mode = node.integer("qk_matmul_output_mode", 0);
    let _ = node.attribute("softmax_precision");
    if softcap < 0.0 || !(0..4).contains(&mode) {
        return Err(Error::failed("softcap or qk_matmul_output_mode is not valid"));
    }
    for index in [1, 2, 4, 5] {
        node.expect(index, FLOAT)?;
    }
    node.expect(3, &[ElementType::F32, ElementType::Bool])?;
    node.expect(6, &[ElementType::I64])?;
    // From version 24 on, mode 1 is after the soft cap, and 2 after the mask.
    let gives = node.has_output(3).then_some(mode);
    Ok(Kernel::many([ElementType::F32; 4], move |arguments| {
        let is_joined = arguments.get(0)?.shape().len() == 3;
        let query = split_heads(arguments.get(0)?, query_heads)?;
        let mut key = split_heads(arguments.get(1)?, key_heads)?;
        let mut value = split_heads(arguments.get(2)?, key_heads)?;
        let mut offset = 0;
        if let (Some(past_key), Some(past_value)) = (arguments.find(4), arguments.find(5)) {
            if past_key.shape().len() != 4 || past_value.shape().len() != 4 {
                return Err(Error::rejected("past keys and values have four dimensions"));
            }
            offset = past_key.shape()[2] as i64;
            key = concatenate(&[past_key, &key], 2)?;
            value = concatenate(&[past_value, &value], 2)?;
        }
        let size = *query.shape().last().or_rejected("queries without a size")? as f32;
        let scale = scale.unwrap_or(1.0 / size.sqrt());
        let (rows, keys) = (query.shape()[2], key.shape()[2]);
        let mut mask = arguments.find(3).map(|mask| with_keys(mask, keys)).transpose()?;
        let mut causal = if is_causal { Causal::All(offset) } else { Causal::None };
        if let Some(lengths) = arguments.find(6) {
            let lengths = lengths.values::<i64>()?;
            if lengths.len() != query.shape()[0] {
                return Err(Error::rejected("there is not one length for each item of the batch"));
            }
            if is_causal {
                causal = Causal::Each(
                    lengths.iter().map(|length| length.saturating_sub(rows as i64)).collect(),
                );
            }
            mask = Some(limited(mask.as_ref(), lengths, [rows, keys])?);
        }
        let (key_now, value_now) = (key.clone(), value.clone());
        let heads = Heads { query, key, value };
        let scoring = Scoring { scale, softcap, gives };
        let (output, scores) = heads.attend(scoring, mask.as_ref(), &causal, arguments)?;
        let output = if is_joined { join_heads(&output)? } else { output };
        let scores = match scores {
            Some(scores) => scores,
            None => Tensor::vector(Vec::<f32>::new())?,
        };
        Ok(vec![output, key_now, value_now, scores])
    }))
}

/// Returns a mask with entries for all keys: what it does not reach is not seen.
fn with_keys(mask: &Tensor, keys: usize) -> Result<Tensor, Error> {
    let shape = *mask.shape();
    let last = *shape.last().or_rejected("a mask without dimensions")?;
    if last >= keys || last == 1 {
        return Ok(mask.clone());
    }
    let axis = shape.len() - 1;
    let rest = shape.with(axis, keys - last)?;
    let rest = match mask.element_type() {
        ElementType::Bool => Tensor::new(rest, filled(rest.elements(), false)?)?,
        _ => Tensor::new(rest, filled(rest.elements(), f32::NEG_INFINITY)?)?,
    };
    concatenate(&[mask, &rest], axis)
}

/// Returns a mask without the keys beyond each item's length, [batch, heads or 1, rows, keys].
fn limited(mask: Option<&Tensor>, lengths: &[i64], last: [usize; 2]) -> Result<Tensor, Error> {
    let [rows, keys] = last;
    let shape = Shape::new(&[lengths.len(), 1, rows, keys])?;
    let whole = match mask {
        Some(mask) => common_shape(mask.shape(), &shape)?,
        None => shape,
    };
    let mut values = match mask {
        Some(mask) => {
            let steps = steps(mask.shape(), &whole).into_iter().map(|step| step as isize).collect();
            let mask = mask.walk(&Walk { shape: whole, start: 0, steps })?;
            match mask.element_type() {
                ElementType::Bool => {
                    let seen = mask.values::<bool>()?.iter();
                    seen.map(|seen| if *seen { 0.0 } else { f32::NEG_INFINITY }).collect()
                }
                _ => mask.into_values::<f32>()?,
            }
        }
        None => filled(whole.elements(), 0.0)?,
    };
    let each = whole.elements() / lengths.len().max(1);
    for (values, length) in values.chunks_exact_mut(each.max(1)).zip(lengths) {
        let seen = usize::try_from(*length).unwrap_or(0).min(keys);
        values.chunks_exact_mut(keys.max(1)).for_each(|row| row[seen..].fill(f32::NEG_INFINITY));
    }
    Tensor::new(whole, values)
}

fn rotary(node: &Node<'_>) -> Result<Kernel, Error> {
    let is_interleaved = node.flag("interleaved", false);
    let part = heads(node, "rotary_embedding_dim").unwrap_or(0);
    let count = heads(node, "num_heads").filter(|heads| *heads > 0);
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

/// com.microsoft's attention, whose queries, keys and values are one product of the input.
fn packed_attention(node: &Node<'_>) -> Result<Kernel, Error> {
    let count = heads(node, "num_heads").filter(|heads| *heads > 0).or_failed("num_heads")?;
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
pub(super) fn heads_of(
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

/// Returns a mask of numbers for com.microsoft's masks: lengths, or 1 for each key that is seen.
pub(super) fn index_mask(
    mask: &Tensor,
    [batch, keys]: [usize; 2],
    low: f32,
) -> Result<Tensor, Error> {
    let values = mask.values::<i32>()?;
    let seen: Vec<bool> = match **mask.shape() {
        [lengths] if lengths == batch => values
            .iter()
            .flat_map(|length| (0..keys).map(move |key| (key as i64) < i64::from(*length)))
            .collect(),
        [rows, columns] if [rows, columns] == [batch, keys] => {
            values.iter().map(|value| *value != 0).collect()
        }
        ref other => {
            return Err(Error::rejected(format_args!("a mask of {other:?} is not served")));
        }
    };
    let numbers = seen.into_iter().map(|seen| if seen { 0.0 } else { low });
    Tensor::new(Shape::new(&[batch, 1, 1, keys])?, numbers.collect())
}

fn added(mask: Option<Tensor>, bias: Option<&Tensor>) -> Result<Option<Tensor>, Error> {
    let (Some(mask), Some(bias)) = (&mask, bias) else { return Ok(mask.or(bias.cloned())) };
    let broadcast =
        onnx_executor::operators::broadcast::Broadcast::new(mask.shape(), bias.shape())?;
    let sums =
        broadcast.map(mask.values::<f32>()?, bias.values::<f32>()?, |one, other| one + other)?;
    Tensor::new(broadcast.shape, sums).map(Some)
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

/// com.microsoft's attention of queries, keys and values of their own.
fn multi_head(node: &Node<'_>) -> Result<Kernel, Error> {
    let count = heads(node, "num_heads").filter(|heads| *heads > 0).or_failed("num_heads")?;
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
