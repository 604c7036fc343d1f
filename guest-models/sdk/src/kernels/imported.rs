//! The operations of the host, on the memory of this component.
//!
//! Each function returns its slices if the host does not grant the interface, so that the caller
//! computes, and `None` if the host has computed.

use wardian_kernels::{
    Activation, Bias, Conv2d, Conv2dData, IntegerData, IntegerMatmul, IntegerOutput,
    IntegerPacking, Matmul, MatmulData, Packing, Right, Softmax, Strides,
};

use crate::Error;
use crate::bindings::model::wardian::kernels::arithmetic as host;
use crate::bindings::model::wardian::kernels::arithmetic::{Buffer, Failure};

pub(super) fn matmul<'a>(
    operation: &Matmul,
    data: MatmulData<'a>,
) -> Result<Option<MatmulData<'a>>, Error> {
    let call = host::MatmulOperation {
        batch: operation.batch,
        rows: operation.rows,
        inner: operation.inner,
        columns: operation.columns,
        left: buffer(data.left),
        left_strides: operation.left.into(),
        right: buffer(data.right),
        right_strides: match operation.right {
            Right::Packed => None,
            Right::Plain(strides) => Some(strides.into()),
        },
        scale: operation.scale,
        column_bias: (operation.bias == Bias::Columns).then(|| buffer(data.bias)),
        row_bias: (operation.bias == Bias::Rows).then(|| buffer(data.bias)),
        residual: operation.residual.then(|| buffer(data.residual)),
        activation: operation.activation.into(),
        output: output_buffer(data.output),
        output_strides: operation.output.into(),
    };

    to_end("matmul", data, |start| host::matmul(call, start))
}

pub(super) fn pack_matrix<'a>(
    packing: &Packing,
    values: &[f32],
    packed: &'a mut [f32],
) -> Result<Option<&'a mut [f32]>, Error> {
    let Packing { inner, columns, strides } = *packing;
    let call = host::Packing { inner, columns, strides: strides.into() };
    let buffers = [buffer(values), output_buffer(packed)];
    to_end("pack_matrix", packed, |start| host::pack_matrix(call, buffers[0], buffers[1], start))
}

pub(super) fn integer_matmul<'a>(
    operation: &IntegerMatmul,
    mut data: IntegerData<'a>,
) -> Result<Option<IntegerData<'a>>, Error> {
    let (output, output_kind) = match &mut data.output {
        IntegerOutput::Int32(output) => (output_buffer(output), host::IntegerOutput::Sums),
        IntegerOutput::Float { scale, bias, residual, output } => {
            let kind = host::IntegerOutput::Numbers(host::ScaledOutput {
                scale: buffer(scale),
                bias: optional(bias),
                residual: optional(residual),
                activation: operation.activation.into(),
            });
            (output_buffer(output), kind)
        }
        IntegerOutput::Quantized { scale, bias, zero, signed, output } => {
            let kind = host::IntegerOutput::Quantized(host::QuantizedOutput {
                scale: buffer(scale),
                bias: optional(bias),
                zero: *zero,
                signed: *signed,
            });
            (output_buffer(output), kind)
        }
    };

    let call = host::IntegerMatmulOperation {
        rows: operation.rows,
        inner: operation.inner,
        columns: operation.columns,
        left: buffer(data.left),
        left_stride: operation.left_stride,
        left_signed: operation.left_signed,
        left_zero: operation.left_zero,
        right: buffer(data.right),
        right_zero: optional(data.right_zero),
        output,
        output_kind,
    };

    to_end("integer_matmul", data, |start| host::integer_matmul(call, start))
}

pub(super) fn pack_integer_matrix<'a>(
    packing: &IntegerPacking,
    values: &[u8],
    packed: &'a mut [u8],
) -> Result<Option<&'a mut [u8]>, Error> {
    let IntegerPacking { inner, columns, strides, signed } = *packing;
    let call = host::Packing { inner, columns, strides: strides.into() };
    let buffers = [buffer(values), output_buffer(packed)];
    to_end("pack_integer_matrix", packed, |start| {
        host::pack_integer_matrix(call, signed, buffers[0], buffers[1], start)
    })
}

pub(super) fn conv2d<'a>(
    operation: &Conv2d,
    data: Conv2dData<'a>,
) -> Result<Option<Conv2dData<'a>>, Error> {
    let call = host::Conv2dOperation {
        shape: shape(operation),
        input: buffer(data.input),
        filters: buffer(data.filters),
        bias: operation.bias.then(|| buffer(data.bias)),
        residual: operation.residual.then(|| buffer(data.residual)),
        activation: operation.activation.into(),
        output: output_buffer(data.output),
    };

    to_end("conv2d", data, |start| host::conv2d(call, start))
}

pub(super) fn pack_filters<'a>(
    operation: &Conv2d,
    filters: &[f32],
    packed: &'a mut [f32],
) -> Result<Option<&'a mut [f32]>, Error> {
    let shape = shape(operation);
    let buffers = [buffer(filters), output_buffer(packed)];
    to_end("pack_filters", packed, |start| host::pack_filters(shape, buffers[0], buffers[1], start))
}

pub(super) fn softmax_rows<'a>(
    operation: &Softmax,
    values: &'a mut [f32],
) -> Result<Option<&'a mut [f32]>, Error> {
    let Softmax { rows, columns } = *operation;
    let place = output_buffer(values);
    to_end("softmax", values, |start| host::softmax(rows, columns, place, start))
}

/// Calls the host until everything is computed. Returns `data` if the host does not grant it.
fn to_end<T>(
    name: &str,
    data: T,
    call: impl Fn(u64) -> Result<Option<u64>, Failure>,
) -> Result<Option<T>, Error> {
    let mut start = 0;
    loop {
        match call(start) {
            Ok(Some(next)) => start = next,
            Ok(None) => return Ok(None),
            Err(Failure::NotGranted) => return Ok(Some(data)),
            Err(Failure::Invalid(text)) => {
                return Err(Error::failed(format_args!("{name}: {text}")));
            }
        }
    }
}

fn buffer<T>(values: &[T]) -> Buffer {
    Buffer {
        address: values.as_ptr().expose_provenance() as u32,
        length: size_of_val(values) as u32,
    }
}

/// The place of a result. The address is that of a mutable slice, so that the compiler expects the
/// host to write there.
fn output_buffer<T>(values: &mut [T]) -> Buffer {
    let length = size_of_val(values) as u32;
    Buffer { address: values.as_mut_ptr().expose_provenance() as u32, length }
}

fn optional<T>(values: &[T]) -> Option<Buffer> {
    (!values.is_empty()).then(|| buffer(values))
}

fn shape(operation: &Conv2d) -> host::Conv2dShape {
    host::Conv2dShape {
        batch: operation.batch,
        input_channels: operation.input_channels,
        input_size: operation.input.into(),
        output_channels: operation.output_channels,
        kernel: operation.kernel.into(),
        strides: operation.strides.into(),
        dilations: operation.dilations.into(),
        pads: operation.pads.into(),
        groups: operation.groups,
    }
}

impl From<Strides> for host::Strides {
    fn from(Strides { batch, row, column }: Strides) -> Self {
        host::Strides { batch, row, column }
    }
}

impl From<Activation> for host::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::None => host::Activation::None,
            Activation::Relu => host::Activation::Relu,
            Activation::LeakyRelu(slope) => host::Activation::LeakyRelu(slope),
            Activation::Clip(low, high) => host::Activation::Clip((low, high)),
            Activation::Sigmoid => host::Activation::Sigmoid,
            Activation::Tanh => host::Activation::Tanh,
            Activation::Silu => host::Activation::Silu,
            Activation::Gelu => host::Activation::Gelu,
            Activation::GeluTanh => host::Activation::GeluTanh,
            Activation::HardSwish => host::Activation::HardSwish,
        }
    }
}
