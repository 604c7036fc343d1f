//! Convolutions.

mod columns;
mod known_filters;
mod transposed;

use std::sync::Arc;

use wardian_sdk::Error;
use wardian_sdk::kernels::{Activation, Conv2d, Conv2dData};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::Operator;
use onnx_executor::operators::number::Number;
use onnx_executor::tensor::{ElementType, Shape, Tensor, filled, overwritten};

use super::window::{Geometry, Window, sizes};
use crate::kernels::{conv2d, pack_filters, size};

/// The operators of this file.
pub(super) const OPERATORS: &[Operator] = &[
    Operator::onnx("Conv", 1, ElementType::FLOATS, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        match node.input_type(0)? {
            ElementType::F32 => conv_f32(node),
            _ => conv::<f64>(node),
        }
    }),
    Operator::onnx("ConvTranspose", 1, ElementType::FLOATS, |node| {
        node.expect_all(1, node.input_type(0)?)?;
        transposed::kernel(node)
    }),
];

/// The attributes of a convolution.
pub(super) struct Convolution {
    window: Window,
    groups: usize,
    kernel: Vec<usize>,
}

/// A convolution of tensors of known shapes.
pub(super) struct Plan {
    pub(super) geometry: Geometry,
    pub(super) batch: usize,
    pub(super) groups: usize,
    /// Input channels of a group.
    pub(super) inputs: usize,
    /// Output channels of a group.
    pub(super) outputs: usize,
    pub(super) shape: Shape,
}

impl Convolution {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, Error> {
        let groups = sizes("group", &[node.integer("group", 1)], 1)?;
        Ok(Self {
            window: Window::read(node)?,
            groups: groups[0],
            kernel: sizes("kernel_shape", node.integers("kernel_shape"), 1)?,
        })
    }

    /// Plans the convolution of tensors of these shapes.
    ///
    /// # Errors
    /// Rejected if they do not fit each other.
    pub(super) fn plan(&self, input: &Shape, filters: &Shape) -> Result<Plan, Error> {
        let misfit = || format!("filters of {filters:?} for images of {input:?}");
        let ([batch, channels, image @ ..], [outputs, inputs, kernel @ ..]) =
            (&**input, &**filters)
        else {
            return Err(Error::rejected(misfit()));
        };
        let groups = self.groups;
        let fits = image.len() == kernel.len()
            && !image.is_empty()
            && Some(*channels) == inputs.checked_mul(groups)
            && outputs % groups == 0
            && (self.kernel.is_empty() || self.kernel == kernel)
            && kernel.iter().all(|extent| *extent > 0);
        if !fits {
            return Err(Error::rejected(misfit()));
        }
        let geometry = self.window.over(image, kernel)?;
        let shape: Vec<_> = [*batch, *outputs].into_iter().chain(geometry.output.clone()).collect();
        let shape = Shape::new(&shape)?;
        let outputs = outputs / groups;
        Ok(Plan { geometry, batch: *batch, groups, inputs: *inputs, outputs, shape })
    }
}

impl Plan {
    pub(super) fn charge(&self, arguments: &mut Arguments<'_>) -> Result<(), Error> {
        let each = self.inputs as u64 * self.geometry.kernel_size() as u64;
        arguments.charge((self.shape.elements() as u64).saturating_mul(each))
    }

    /// Adds the products to the results, one by one. Elements beside the image are left out.
    pub(super) fn add<T: Copy, S: Copy>(
        &self,
        images: &[T],
        filters: &[T],
        results: &mut [S],
        multiply_add: impl Fn(S, T, T) -> S,
    ) {
        let (input, output) = (self.geometry.input_size(), self.geometry.output_size());
        let kernel = self.geometry.kernel_size();
        self.geometry.for_each_block(|block| {
            for image in 0..self.batch * self.groups {
                let group = image % self.groups;
                for channel in 0..self.outputs {
                    let filter = (group * self.outputs + channel) * self.inputs * kernel;
                    let result = &mut results[(image * self.outputs + channel) * output..];
                    for source in 0..self.inputs {
                        let image = &images[(image * self.inputs + source) * input..];
                        let filter = &filters[filter + source * kernel..];
                        for (position, pairs) in block.positions() {
                            result[position] = pairs.iter().fold(result[position], |sum, pair| {
                                multiply_add(sum, image[pair.1], filter[pair.0])
                            });
                        }
                    }
                }
            }
        });
    }
}

fn conv<T: Number>(node: &Node<'_>) -> Result<Kernel, Error> {
    let convolution = Convolution::read(node)?;
    Ok(Kernel::new(node.input_type(0)?, move |arguments| {
        let plan = convolution.plan(arguments.get(0)?.shape(), arguments.get(1)?.shape())?;
        plan.charge(arguments)?;
        direct::<T>(&plan, arguments)
    }))
}

/// Convolves images of any number of axes and any type.
fn direct<T: Number>(plan: &Plan, arguments: &Arguments<'_>) -> Result<Tensor, Error> {
    let mut results = filled(plan.shape.elements(), T::ZERO)?;
    if let Some(biases) = arguments.find(2) {
        let biases = biases.values::<T>()?;
        check_biases(biases.len(), plan)?;
        let channels = results.chunks_exact_mut(plan.geometry.output_size().max(1));
        channels.zip(biases.iter().cycle()).for_each(|(channel, bias)| channel.fill(*bias));
    }
    let (images, filters) = (arguments.values::<T>(0)?, arguments.values::<T>(1)?);
    plan.add(images, filters, &mut results, |sum: T, pixel, weight| sum.plus(pixel.times(weight)));
    Tensor::new(plan.shape, results)
}

fn check_biases(biases: usize, plan: &Plan) -> Result<(), Error> {
    let channels = plan.groups * plan.outputs;
    match biases == channels {
        true => Ok(()),
        false => Err(Error::rejected(format_args!("{biases} biases for {channels} channels"))),
    }
}

fn conv_f32(node: &Node<'_>) -> Result<Kernel, Error> {
    let convolution = Arc::new(Convolution::read(node)?);
    if let Some(filters) = node.constant(1)
        && let Some(known) = known_filters::KnownFilters::new(&convolution, filters, node)?
    {
        return Ok(known.kernel(filters));
    }
    Ok(Kernel::new(ElementType::F32, move |arguments| {
        let plan = convolution.plan(arguments.get(0)?.shape(), arguments.get(1)?.shape())?;
        plan.charge(arguments)?;
        if plan.geometry.input.len() > 2 {
            return direct::<f32>(&plan, arguments);
        }
        let operation = description(&plan)?;
        let filters = pack_filters(&operation, arguments.values::<f32>(1)?)?;
        let bias = arguments.find(2).map(|biases| biases.values::<f32>()).transpose()?;
        planar(&plan, &filters, arguments.values::<f32>(0)?, bias.unwrap_or_default(), Last::NONE)
    }))
}

/// Describes a convolution of one or two axes.
fn description(plan: &Plan) -> Result<Conv2d, Error> {
    let geometry = &plan.geometry;
    let pair = |list: &[usize], first: usize| match *list {
        [only] => Ok([size(first)?, size(only)?]),
        [one, other] => Ok([size(one)?, size(other)?]),
        _ => Err(Error::rejected("a convolution of more than two axes")),
    };
    let (begins, ends) = (pair(&geometry.begins, 0)?, pair(&geometry.ends, 0)?);
    Ok(Conv2d {
        batch: size(plan.batch)?,
        input_channels: size(plan.inputs * plan.groups)?,
        input: pair(&geometry.input, 1)?,
        output_channels: size(plan.outputs * plan.groups)?,
        kernel: pair(&geometry.kernel, 1)?,
        strides: pair(&geometry.strides, 1)?,
        dilations: pair(&geometry.dilations, 1)?,
        pads: [begins[0], begins[1], ends[0], ends[1]],
        groups: size(plan.groups)?,
        bias: false,
        residual: false,
        activation: Activation::None,
    })
}

/// The last steps of a convolution, done to its sums.
#[derive(Clone, Copy)]
struct Last<'a> {
    /// Images like the output that are added; empty if there are none.
    residual: &'a [f32],
    activation: Activation,
}

impl Last<'_> {
    const NONE: Self = Last { residual: &[], activation: Activation::None };
}

fn planar(
    plan: &Plan,
    filters: &[f32],
    input: &[f32],
    bias: &[f32],
    last: Last<'_>,
) -> Result<Tensor, Error> {
    let mut output = overwritten(plan.shape.elements())?;
    if output.is_empty() {
        return Tensor::new(plan.shape, output);
    }
    if !bias.is_empty() {
        check_biases(bias.len(), plan)?;
    }
    let Last { residual, activation } = last;
    let operation = Conv2d {
        bias: !bias.is_empty(),
        residual: !residual.is_empty(),
        activation,
        ..description(plan)?
    };
    conv2d(&operation, Conv2dData { input, filters, bias, residual, output: &mut output })?;
    Tensor::new(plan.shape, output)
}
