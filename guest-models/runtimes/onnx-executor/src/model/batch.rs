//! Joining of requests: right only if each row is answered by itself.

use super::inputs::ModelInput;
use super::outputs::ModelOutput;
use super::probe;
use crate::Program;
use crate::tensor::{Data, Tensor};

/// Rows of the trial.
const ROWS: usize = 4;

/// Returns true if rows can be joined with those of other requests: every input and output has them
/// as its first dimension, and rows together are answered as each is alone.
pub(super) fn is_batchable(
    program: &Program,
    inputs: &[ModelInput],
    outputs: &[ModelOutput],
) -> bool {
    let required = || inputs.iter().filter(|input| input.default.is_none());
    let has_rows = |output: &ModelOutput| {
        !output.depends_on_values
            && output.shape.as_ref().is_some_and(|shape| shape.first() == Some(&-1))
    };
    let have_rows = required().count() > 0
        && inputs.iter().all(ModelInput::has_rows)
        && outputs.iter().all(has_rows);
    have_rows && are_independent(program, inputs).unwrap_or(false)
}

fn are_independent(program: &Program, inputs: &[ModelInput]) -> Option<bool> {
    let together = probe::run(program, inputs, ROWS, 0).ok()?;
    for row in 0..ROWS {
        let alone = probe::run(program, inputs, 1, row).ok()?;
        let pairs = together.iter().zip(&alone);
        for (together, alone) in pairs {
            if !is_row(together, row, alone)? {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// Returns true if a row of a tensor is another tensor, but for the last digits of numbers.
fn is_row(together: &Tensor, row: usize, alone: &Tensor) -> Option<bool> {
    let width = together.len() / ROWS;
    if alone.len() != width || together.shape().first() != Some(&ROWS) {
        return Some(false);
    }
    let start = row * width;
    macro_rules! compare {
        ($($exact:ident),*) => {
            match (together.data(), alone.data()) {
                $((Data::$exact(many), Data::$exact(one)) => many.get(start..start + width)? == &**one,)*
                (Data::F32(many), Data::F32(one)) => {
                    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
                    are_close(&wide(many.get(start..start + width)?), &wide(one), 1e-4)
                }
                (Data::F64(many), Data::F64(one)) => {
                    are_close(many.get(start..start + width)?, one, 1e-9)
                }
                _ => false,
            }
        };
    }
    Some(compare!(I64, I32, I16, I8, U64, U32, U16, U8, Bool, Text, F16, Bf16))
}

fn are_close(one: &[f64], other: &[f64], tolerance: f64) -> bool {
    one.iter().zip(other).all(|(one, other)| {
        one.to_bits() == other.to_bits()
            || (one.is_nan() && other.is_nan())
            || (one - other).abs() <= tolerance * (1.0 + one.abs())
    })
}
