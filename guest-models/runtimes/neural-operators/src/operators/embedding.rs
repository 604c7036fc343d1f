//! com.microsoft's embeddings of words, positions and segments, which are summed and normalized.

use wardian_sdk::{Error, OrError};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled};

use super::normalization::{Moments, scaled};

const FLOAT: &[ElementType] = &[ElementType::F32];
const INDICES: &[ElementType] = &[ElementType::I32];

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[Operator {
    domain: Domain::Microsoft,
    ..Operator::onnx("EmbedLayerNormalization", 1, INDICES, embed)
}];

fn embed(node: &Node<'_>) -> Result<Kernel, Error> {
    let epsilon = f64::from(node.float("epsilon", 1e-12));
    node.expect(1, INDICES)?;
    (2..7).try_for_each(|index| node.expect(index, FLOAT))?;
    node.expect(7, INDICES)?;
    node.expect(8, INDICES)?;
    if node.integer("mask_index_type", 0) != 0 {
        return Err(Error::failed("a mask_index_type other than 0 is not served"));
    }
    let outputs = [ElementType::F32, ElementType::I32, ElementType::F32];
    Ok(Kernel::many(outputs, move |arguments| {
        let shape = *arguments.get(0)?.shape();
        let [batch, steps] = *shape else {
            return Err(Error::rejected("it takes indices of two dimensions"));
        };
        let size = *arguments.get(2)?.shape().last().or_rejected("embeddings without a size")?;
        let whole = Shape::new(&[batch, steps, size])?;
        let mut sums = filled(whole.elements(), 0.0)?;
        let indices = indices(arguments, [batch, steps])?;
        for (table, indices) in [2, 3, 4].into_iter().zip(&indices) {
            add_rows(arguments, table, indices, size, &mut sums)?;
        }
        let given = sums.clone();
        let (scale, bias) = (arguments.values::<f32>(5)?, arguments.values::<f32>(6)?);
        if scale.len() != size || bias.len() != size {
            return Err(Error::rejected("there is not one scale and bias for each number"));
        }
        for row in sums.chunks_exact_mut(size.max(1)) {
            scaled(row, Moments::of(row, epsilon, true), scale, bias);
        }
        let lengths = lengths(arguments, [batch, steps])?;
        Ok(vec![Tensor::new(whole, sums)?, lengths, Tensor::new(whole, given)?])
    }))
}

/// The indices of words, positions and segments.
fn indices(arguments: &Arguments<'_>, [batch, steps]: [usize; 2]) -> Result<[Vec<i32>; 3], Error> {
    let words = arguments.values::<i32>(0)?.to_vec();
    let positions: Vec<i32> = match arguments.find(8) {
        Some(given) => {
            let given = given.values::<i32>()?;
            // One row of positions is for all texts.
            let is_one_row = given.len() == steps;
            let rows = if is_one_row { batch } else { 1 };
            given.iter().copied().cycle().take(given.len() * rows).collect()
        }
        None => (0..batch).flat_map(|_| 0..steps as i32).collect(),
    };
    let segments = match arguments.find(1) {
        Some(given) => given.values::<i32>()?.to_vec(),
        None => vec![0; if arguments.find(4).is_some() { batch * steps } else { 0 }],
    };
    let fits = words.len() == batch * steps && positions.len() == batch * steps;
    let has_segments = segments.is_empty() || segments.len() == batch * steps;
    (fits && has_segments).then_some([words, positions, segments]).or_rejected("its indices")
}

/// Adds the rows of a table, if it is given.
fn add_rows(
    arguments: &Arguments<'_>,
    table: usize,
    indices: &[i32],
    size: usize,
    sums: &mut [f32],
) -> Result<(), Error> {
    let Some(table) = arguments.find(table) else { return Ok(()) };
    let values = table.values::<f32>()?;
    if table.shape().len() != 2 || table.shape()[1] != size {
        return Err(Error::rejected(format_args!("embeddings of {:?}", table.shape())));
    }
    for (index, row) in indices.iter().zip(sums.chunks_exact_mut(size.max(1))) {
        let start = usize::try_from(*index).ok().and_then(|index| index.checked_mul(size));
        let own = start.and_then(|start| values.get(start..start.checked_add(size)?));
        let own = own.or_rejected(format_args!("there is no embedding {index}"))?;
        row.iter_mut().zip(own).for_each(|(sum, value)| *sum += value);
    }
    Ok(())
}

/// The number of words that each row has, by the mask.
fn lengths(arguments: &Arguments<'_>, [batch, steps]: [usize; 2]) -> Result<Tensor, Error> {
    let lengths = match arguments.find(7) {
        Some(mask) => {
            let mask = mask.values::<i32>()?;
            let rows = mask.chunks_exact(steps.max(1)).take(batch);
            rows.map(|row| row.iter().filter(|value| **value == 1).count() as i32).collect()
        }
        None => filled(batch, 0)?,
    };
    Tensor::new(Shape::new(&[batch])?, lengths)
}
