//! Masks: numbers that are added to scores, and the keys that a query does not see.

use std::borrow::Cow;

use wardian_sdk::{Error, OrError};

use onnx_executor::operators::broadcast::{Broadcast, common_shape, steps};
use onnx_executor::operators::movement::concatenate;
use onnx_executor::tensor::{ElementType, Shape, Tensor, Walk, filled};

/// Numbers that are added to scores.
pub(super) struct Bias {
    /// As many as there are scores, or those of the last two axes.
    values: Vec<f32>,
    /// Numbers between two heads, 0 if they are the same for all.
    step: usize,
}

impl Bias {
    pub(super) fn new(bias: &Tensor, scores: &Shape) -> Result<Self, Error> {
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

    pub(super) fn add(&self, head: usize, scores: &mut [f32]) {
        let values = self.values.get(head * self.step..).unwrap_or_default();
        scores.iter_mut().zip(values).for_each(|(score, value)| *score += value);
    }
}

/// Returns a mask with entries for all keys: what it does not reach is not seen.
pub(super) fn with_keys(mask: &Tensor, keys: usize) -> Result<Tensor, Error> {
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
pub(super) fn limited(
    mask: Option<&Tensor>,
    lengths: &[i64],
    last: [usize; 2],
) -> Result<Tensor, Error> {
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

/// Returns the sum of a mask and a bias, where there are both.
pub(super) fn added(mask: Option<Tensor>, bias: Option<&Tensor>) -> Result<Option<Tensor>, Error> {
    let (Some(mask), Some(bias)) = (&mask, bias) else { return Ok(mask.or(bias.cloned())) };
    let broadcast = Broadcast::new(mask.shape(), bias.shape())?;
    let sums =
        broadcast.map(mask.values::<f32>()?, bias.values::<f32>()?, |one, other| one + other)?;
    Tensor::new(broadcast.shape, sums).map(Some)
}
