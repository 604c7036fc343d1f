//! The functions of the interface.

use wardian_kernels as kernels;
use wardian_kernels::{Conv2dData, InstructionSet, IntegerData, IntegerOutput, MatmulData, Team};

use super::bindings::wardian::kernels::arithmetic as wit;
use super::bindings::wardian::kernels::arithmetic::{Buffer, Failure};
use super::convert::integer_packing;
use super::memory::{output_numbers, split};
use super::{Operation, Outcome};

/// Bytes of an f32.
const NUMBER: u64 = 4;

pub(super) fn packed_matrix_size(packing: wit::Packing) -> Result<u64, Failure> {
    bytes_of_numbers(kernels::Packing::from(packing).packed_len()?)
}

pub(super) fn packed_integer_matrix_size(packing: wit::Packing) -> Result<u64, Failure> {
    Ok(integer_packing(packing, true).packed_len()?)
}

pub(super) fn packed_filters_size(shape: wit::Conv2dShape) -> Result<u64, Failure> {
    bytes_of_numbers(kernels::Conv2d::from(shape).packed_len()?)
}

fn bytes_of_numbers(count: u64) -> Result<u64, Failure> {
    count.checked_mul(NUMBER).ok_or_else(|| Failure::Invalid("the size is too large".into()))
}

/// `matmul`.
pub(super) struct Product(wit::MatmulOperation);

impl Operation for Product {
    type Parameters = (wit::MatmulOperation, u64);

    fn new((operation, start): Self::Parameters) -> (Self, u64) {
        (Product(operation), start)
    }

    fn run(&self, memory: &mut [u8], start: u64, team: &mut dyn Team) -> Outcome {
        let operation = &self.0;
        let (output, inputs) = split(memory, operation.output)?;

        let (bias, bias_buffer) = match (operation.column_bias, operation.row_bias) {
            (None, None) => (kernels::Bias::None, None),
            (columns, None) => (kernels::Bias::Columns, columns),
            (None, rows) => (kernels::Bias::Rows, rows),
            (Some(_), Some(_)) => {
                return Err(Failure::Invalid("there are biases of columns and of rows".into()));
            }
        };
        let right = match operation.right_strides {
            None => kernels::Right::Packed,
            Some(strides) => kernels::Right::Plain(strides.into()),
        };

        let matmul = kernels::Matmul {
            batch: operation.batch,
            rows: operation.rows,
            inner: operation.inner,
            columns: operation.columns,
            left: operation.left_strides.into(),
            right,
            scale: operation.scale,
            bias,
            residual: operation.residual.is_some(),
            activation: operation.activation.into(),
            output: operation.output_strides.into(),
        };
        let data = MatmulData {
            left: inputs.numbers(operation.left, "left")?,
            right: inputs.numbers(operation.right, "right")?,
            bias: inputs.optional(bias_buffer, "the bias")?,
            residual: inputs.optional(operation.residual, "the residual")?,
            output: output_numbers(output)?,
        };
        Ok(matmul.run_by(InstructionSet::best(), data, start, team)?)
    }
}

/// `pack-matrix`.
pub(super) struct MatrixPacking {
    packing: wit::Packing,
    values: Buffer,
    packed: Buffer,
}

impl Operation for MatrixPacking {
    type Parameters = (wit::Packing, Buffer, Buffer, u64);

    fn new((packing, values, packed, start): Self::Parameters) -> (Self, u64) {
        (MatrixPacking { packing, values, packed }, start)
    }

    fn run(&self, memory: &mut [u8], start: u64, team: &mut dyn Team) -> Outcome {
        let (packed, inputs) = split(memory, self.packed)?;
        let values = inputs.numbers(self.values, "the matrix")?;
        let packing = kernels::Packing::from(self.packing);
        Ok(packing.run(values, output_numbers(packed)?, start, &mut || team.checkpoint())?)
    }
}

/// `integer-matmul`.
pub(super) struct IntegerProduct(wit::IntegerMatmulOperation);

impl Operation for IntegerProduct {
    type Parameters = (wit::IntegerMatmulOperation, u64);

    fn new((operation, start): Self::Parameters) -> (Self, u64) {
        (IntegerProduct(operation), start)
    }

    fn run(&self, memory: &mut [u8], start: u64, team: &mut dyn Team) -> Outcome {
        let operation = &self.0;
        let (output, inputs) = split(memory, operation.output)?;
        let mut activation = kernels::Activation::None;

        let output = match &operation.output_kind {
            wit::IntegerOutput::Sums => IntegerOutput::Int32(output_numbers(output)?),
            wit::IntegerOutput::Numbers(scaled) => {
                activation = scaled.activation.into();
                IntegerOutput::Float {
                    scale: inputs.numbers(scaled.scale, "the scales")?,
                    bias: inputs.optional(scaled.bias, "the bias")?,
                    residual: inputs.optional(scaled.residual, "the residual")?,
                    output: output_numbers(output)?,
                }
            }
            wit::IntegerOutput::Quantized(quantized) => IntegerOutput::Quantized {
                scale: inputs.numbers(quantized.scale, "the scales")?,
                bias: inputs.optional(quantized.bias, "the bias")?,
                zero: quantized.zero,
                signed: quantized.signed,
                output,
            },
        };

        let matmul = kernels::IntegerMatmul {
            rows: operation.rows,
            inner: operation.inner,
            columns: operation.columns,
            left_stride: operation.left_stride,
            left_signed: operation.left_signed,
            left_zero: operation.left_zero,
            activation,
        };
        let data = IntegerData {
            left: inputs.bytes(operation.left, "left")?,
            right: inputs.bytes(operation.right, "right")?,
            right_zero: inputs.optional(operation.right_zero, "the zero points")?,
            output,
        };
        Ok(matmul.run_by(InstructionSet::best(), data, start, team)?)
    }
}

/// `pack-integer-matrix`.
pub(super) struct IntegerMatrixPacking {
    packing: kernels::IntegerPacking,
    values: Buffer,
    packed: Buffer,
}

impl Operation for IntegerMatrixPacking {
    type Parameters = (wit::Packing, bool, Buffer, Buffer, u64);

    fn new((packing, signed, values, packed, start): Self::Parameters) -> (Self, u64) {
        (IntegerMatrixPacking { packing: integer_packing(packing, signed), values, packed }, start)
    }

    fn run(&self, memory: &mut [u8], start: u64, team: &mut dyn Team) -> Outcome {
        let (packed, inputs) = split(memory, self.packed)?;
        let values = inputs.bytes(self.values, "the matrix")?;
        Ok(self.packing.run(values, packed, start, &mut || team.checkpoint())?)
    }
}

/// `conv2d`.
pub(super) struct Convolution(wit::Conv2dOperation);

impl Operation for Convolution {
    type Parameters = (wit::Conv2dOperation, u64);

    fn new((operation, start): Self::Parameters) -> (Self, u64) {
        (Convolution(operation), start)
    }

    fn run(&self, memory: &mut [u8], start: u64, team: &mut dyn Team) -> Outcome {
        let operation = &self.0;
        let (output, inputs) = split(memory, operation.output)?;

        let conv2d = kernels::Conv2d {
            bias: operation.bias.is_some(),
            residual: operation.residual.is_some(),
            activation: operation.activation.into(),
            ..operation.shape.into()
        };
        let data = Conv2dData {
            input: inputs.numbers(operation.input, "the input")?,
            filters: inputs.numbers(operation.filters, "the filters")?,
            bias: inputs.optional(operation.bias, "the bias")?,
            residual: inputs.optional(operation.residual, "the residual")?,
            output: output_numbers(output)?,
        };
        Ok(conv2d.run_by(InstructionSet::best(), data, start, team)?)
    }
}

/// `pack-filters`.
pub(super) struct FilterPacking {
    shape: wit::Conv2dShape,
    filters: Buffer,
    packed: Buffer,
}

impl Operation for FilterPacking {
    type Parameters = (wit::Conv2dShape, Buffer, Buffer, u64);

    fn new((shape, filters, packed, start): Self::Parameters) -> (Self, u64) {
        (FilterPacking { shape, filters, packed }, start)
    }

    fn run(&self, memory: &mut [u8], start: u64, team: &mut dyn Team) -> Outcome {
        let (packed, inputs) = split(memory, self.packed)?;
        let filters = inputs.numbers(self.filters, "the filters")?;
        let conv2d = kernels::Conv2d::from(self.shape);
        Ok(conv2d.pack(filters, output_numbers(packed)?, start, &mut || team.checkpoint())?)
    }
}

/// `softmax`.
pub(super) struct Softmax {
    operation: kernels::Softmax,
    values: Buffer,
}

impl Operation for Softmax {
    type Parameters = (u32, u32, Buffer, u64);

    fn new((rows, columns, values, start): Self::Parameters) -> (Self, u64) {
        (Softmax { operation: kernels::Softmax { rows, columns }, values }, start)
    }

    fn run(&self, memory: &mut [u8], start: u64, team: &mut dyn Team) -> Outcome {
        let (values, _) = split(memory, self.values)?;
        Ok(self.operation.run(output_numbers(values)?, start, &mut || team.checkpoint())?)
    }
}
