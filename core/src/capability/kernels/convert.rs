//! From the types of the interface to those of the kernels.

use wardian_kernels as kernels;

use super::bindings::wardian::kernels::arithmetic as wit;
use super::bindings::wardian::kernels::arithmetic::Failure;

impl From<kernels::Error> for Failure {
    fn from(error: kernels::Error) -> Self {
        Failure::Invalid(error.to_string())
    }
}

impl From<wit::Strides> for kernels::Strides {
    fn from(wit::Strides { batch, row, column }: wit::Strides) -> Self {
        kernels::Strides { batch, row, column }
    }
}

impl From<wit::Activation> for kernels::Activation {
    fn from(activation: wit::Activation) -> Self {
        match activation {
            wit::Activation::None => kernels::Activation::None,
            wit::Activation::Relu => kernels::Activation::Relu,
            wit::Activation::LeakyRelu(slope) => kernels::Activation::LeakyRelu(slope),
            wit::Activation::Clip((low, high)) => kernels::Activation::Clip(low, high),
            wit::Activation::Sigmoid => kernels::Activation::Sigmoid,
            wit::Activation::Tanh => kernels::Activation::Tanh,
            wit::Activation::Silu => kernels::Activation::Silu,
            wit::Activation::Gelu => kernels::Activation::Gelu,
            wit::Activation::GeluTanh => kernels::Activation::GeluTanh,
            wit::Activation::HardSwish => kernels::Activation::HardSwish,
        }
    }
}

impl From<wit::Packing> for kernels::Packing {
    fn from(wit::Packing { inner, columns, strides }: wit::Packing) -> Self {
        kernels::Packing { inner, columns, strides: strides.into() }
    }
}

/// Returns the packing of a matrix of 8-bit integers.
pub(super) fn integer_packing(packing: wit::Packing, signed: bool) -> kernels::IntegerPacking {
    let wit::Packing { inner, columns, strides } = packing;
    kernels::IntegerPacking { inner, columns, strides: strides.into(), signed }
}

/// A convolution of that shape, without anything else.
impl From<wit::Conv2dShape> for kernels::Conv2d {
    fn from(shape: wit::Conv2dShape) -> Self {
        kernels::Conv2d {
            batch: shape.batch,
            input_channels: shape.input_channels,
            input: shape.input_size.into(),
            output_channels: shape.output_channels,
            kernel: shape.kernel.into(),
            strides: shape.strides.into(),
            dilations: shape.dilations.into(),
            pads: shape.pads.into(),
            groups: shape.groups,
            bias: false,
            residual: false,
            activation: kernels::Activation::None,
        }
    }
}
