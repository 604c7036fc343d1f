//! From sums of products to results.

use super::IntegerOutput;
use crate::{Activation, InstructionSet};

/// Corrections of the sums of a few columns for the zero points of both matrices.
///
/// With `a` and `za` for an element and the zero point on the left, and `b` and `zb` on the right,
/// the sum of `(a - za) * (b - zb)` over the depth is the sum of `a * b`, minus `za` times the sum
/// of the column, minus `zb` times (the sum of the row minus `za` times the depth).
pub(super) struct Corrections<const N: usize> {
    left_zero: i32,
    inner: usize,
    /// The part that is the same for every row.
    columns: [i32; N],
    right_zeros: [i32; N],
    has_right_zeros: bool,
}

impl<const N: usize> Corrections<N> {
    pub(super) fn new(left_zero: i32, inner: usize) -> Self {
        Corrections {
            left_zero,
            inner,
            columns: [0; N],
            right_zeros: [0; N],
            has_right_zeros: false,
        }
    }

    /// Sets the sum and the zero point of a column.
    pub(super) fn set(&mut self, column: usize, sum: i32, zero: i32) {
        self.columns[column] = self.left_zero.wrapping_mul(sum);
        self.right_zeros[column] = zero;
        self.has_right_zeros |= zero != 0;
    }

    /// Corrects the sums of a row.
    pub(super) fn apply(&self, sums: &mut [i32], row: &[u8]) {
        for (sum, correction) in sums.iter_mut().zip(&self.columns) {
            *sum = sum.wrapping_sub(*correction);
        }

        if !self.has_right_zeros {
            return;
        }

        let row_sum: i32 = row.iter().map(|value| i32::from(*value)).sum();
        let excess = row_sum.wrapping_sub(self.left_zero.wrapping_mul(self.inner as i32));
        for (sum, zero) in sums.iter_mut().zip(&self.right_zeros) {
            *sum = sum.wrapping_sub(zero.wrapping_mul(excess));
        }
    }
}

/// Adding and subtracting 1.5 * 2^23 rounds to an integer, halves to the even one.
const ROUND: f32 = 12_582_912.0;

impl IntegerOutput<'_> {
    /// Writes the results of a few columns of a row. `start` is the place of the first one.
    pub(super) fn write(
        &mut self,
        sums: &[i32],
        column: usize,
        start: usize,
        activation: Activation,
        set: InstructionSet,
    ) {
        let columns = column..column + sums.len();
        let places = start..start + sums.len();

        match self {
            IntegerOutput::Int32(output) => output[places].copy_from_slice(sums),
            IntegerOutput::Float { scale, bias, residual, output } => {
                let output = &mut output[places.clone()];
                scaled(sums, scale, column, output);

                if !bias.is_empty() {
                    add(output, &bias[columns]);
                }
                if !residual.is_empty() {
                    add(output, &residual[places]);
                }

                activation.apply_with(set, output);
            }
            IntegerOutput::Quantized { scale, bias, zero, signed, output } => {
                let (low, high) = if *signed { (-128.0, 127.0) } else { (0.0, 255.0) };
                let zero = *zero as f32;

                for (index, (sum, output)) in sums.iter().zip(&mut output[places]).enumerate() {
                    let bias = bias.get(column + index).copied().unwrap_or(0);
                    let scale = if scale.len() == 1 { scale[0] } else { scale[column + index] };
                    let value = sum.wrapping_add(bias) as f32 * scale;
                    let value =
                        (value.clamp(-1024.0, 1024.0) + ROUND - ROUND + zero).clamp(low, high);
                    *output = value as i32 as u8;
                }
            }
        }
    }
}

fn scaled(sums: &[i32], scale: &[f32], column: usize, output: &mut [f32]) {
    if let [scale] = scale {
        output.iter_mut().zip(sums).for_each(|(output, sum)| *output = *sum as f32 * scale);
        return;
    }

    let scale = &scale[column..][..sums.len()];
    for ((output, sum), scale) in output.iter_mut().zip(sums).zip(scale) {
        *output = *sum as f32 * scale;
    }
}

fn add(output: &mut [f32], addends: &[f32]) {
    output.iter_mut().zip(addends).for_each(|(output, addend)| *output += addend);
}
