//! Queries, keys and values by head, and the attention over them.

use wardian_sdk::kernels::Strides;
use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::Arguments;
use onnx_executor::operators::softmax::softmax_of_rows;
use onnx_executor::tensor::{Shape, Tensor, filled};

use super::mask::Bias;
use crate::kernels::size;
use crate::operators::product::multiply;

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
            weigh(&mut scores, keys)?;
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

/// Turns the scores of each query into weights of the keys. A query that sees no key has none.
fn weigh(scores: &mut [f32], keys: usize) -> Result<(), Error> {
    let sees_nothing = |scores: &[f32]| scores.iter().all(|score| *score == f32::NEG_INFINITY);
    let rows = scores.chunks_exact(keys.max(1)).enumerate();
    let blind = rows.filter(|(_, scores)| sees_nothing(scores)).map(|(row, _)| row);
    let blind: Vec<usize> = blind.collect();

    softmax_of_rows(scores, keys)?;
    for row in blind {
        scores[row * keys..][..keys].fill(0.0);
    }
    Ok(())
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
