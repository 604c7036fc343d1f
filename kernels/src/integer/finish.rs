//! From sums of products to results.

use super::IntegerOutput;
use crate::simd::{Area, Part, SharedOutput};
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

/// The output of a product, which several threads write.
pub(super) enum Results<'a> {
    Int32(SharedOutput<'a, i32>),
    Float {
        scale: &'a [f32],
        bias: &'a [f32],
        residual: &'a [f32],
        output: SharedOutput<'a, f32>,
    },
    Quantized {
        scale: &'a [f32],
        bias: &'a [i32],
        zero: i32,
        signed: bool,
        output: SharedOutput<'a, u8>,
    },
}

/// The results of a few columns of a few rows.
pub(super) struct PartOfResults<'a> {
    kind: PartKind<'a>,
    area: Area,
    /// The first column.
    column: usize,
}

enum PartKind<'a> {
    Int32(Part<'a, i32>),
    Float { scale: &'a [f32], bias: &'a [f32], residual: &'a [f32], output: Part<'a, f32> },
    Quantized { scale: &'a [f32], bias: &'a [i32], zero: i32, signed: bool, output: Part<'a, u8> },
}

impl<'a> Results<'a> {
    pub(super) fn new(output: IntegerOutput<'a>) -> Self {
        match output {
            IntegerOutput::Int32(output) => Results::Int32(SharedOutput::new(output)),
            IntegerOutput::Float { scale, bias, residual, output } => {
                Results::Float { scale, bias, residual, output: SharedOutput::new(output) }
            }
            IntegerOutput::Quantized { scale, bias, zero, signed, output } => {
                let output = SharedOutput::new(output);
                Results::Quantized { scale, bias, zero, signed, output }
            }
        }
    }

    /// Borrows the results of the columns from `column` on.
    pub(super) fn borrow(&self, area: Area, column: usize) -> PartOfResults<'_> {
        let kind = match self {
            Results::Int32(output) => PartKind::Int32(output.borrow(area)),
            Results::Float { scale, bias, residual, output } => {
                PartKind::Float { scale, bias, residual, output: output.borrow(area) }
            }
            Results::Quantized { scale, bias, zero, signed, output } => {
                let output = output.borrow(area);
                PartKind::Quantized { scale, bias, zero: *zero, signed: *signed, output }
            }
        };
        PartOfResults { kind, area, column }
    }
}

impl PartOfResults<'_> {
    /// Writes a row.
    pub(super) fn write(
        &mut self,
        row: usize,
        sums: &[i32],
        activation: Activation,
        set: InstructionSet,
    ) {
        let column = self.column;
        let columns = column..column + sums.len();

        match &mut self.kind {
            PartKind::Int32(output) => output.row(row).copy_from_slice(sums),
            PartKind::Float { scale, bias, residual, output } => {
                let output = output.row(row);
                scaled(sums, scale, column, output);

                if !bias.is_empty() {
                    add(output, &bias[columns]);
                }
                if !residual.is_empty() {
                    let start = self.area.start + row * self.area.row;
                    add(output, &residual[start..start + sums.len()]);
                }

                activation.apply_with(set, output);
            }
            PartKind::Quantized { scale, bias, zero, signed, output } => {
                let (low, high) = if *signed { (-128.0, 127.0) } else { (0.0, 255.0) };
                let zero = *zero as f32;

                for (index, (sum, output)) in sums.iter().zip(output.row(row)).enumerate() {
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
