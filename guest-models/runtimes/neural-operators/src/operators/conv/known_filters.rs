//! Convolutions whose filters are constants: packed when the file is read, and one with the
//! normalization, the sum and the activation that follow.

use std::sync::Arc;

use wardian_sdk::Error;
use wardian_sdk::kernels::{Activation, Conv2d};

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::arithmetic::join;
use onnx_executor::operators::number::Number;
use onnx_executor::tensor::{ElementType, Shape, Tensor};

use super::super::fused::{self, activation, channel_constants};
use super::{Convolution, Last, planar};
use crate::kernels::{pack_filters, size};

/// A convolution of one or two axes with constant filters.
#[derive(Clone)]
pub(super) struct KnownFilters {
    convolution: Arc<Convolution>,
    shape: Shape,
    packed: Arc<Vec<f32>>,
    bias: Bias,
    /// The input that is added to the sums.
    residual: Option<usize>,
    activation: Activation,
    /// The number of inputs.
    inputs: usize,
    /// The inputs that are in the filters or the bias.
    consumed: Vec<usize>,
}

#[derive(Clone)]
enum Bias {
    /// One for each output channel, or none.
    Known(Arc<Vec<f32>>),
    /// The third input.
    Given,
}

impl KnownFilters {
    /// Packs the filters; `None` if there are none or they are of another number of axes.
    pub(super) fn new(
        convolution: &Arc<Convolution>,
        filters: &Tensor,
        node: &Node<'_>,
    ) -> Result<Option<Self>, Error> {
        let Some(packed) = pack(convolution, filters, filters.values::<f32>()?)? else {
            return Ok(None);
        };
        let known = node.constant(2).map(|bias| bias.values::<f32>()).transpose()?;
        let bias = match known {
            Some(bias) => Bias::Known(Arc::new(bias.to_vec())),
            None if node.has_input(2) => Bias::Given,
            None => Bias::Known(Arc::default()),
        };
        Ok(Some(KnownFilters {
            convolution: Arc::clone(convolution),
            shape: *filters.shape(),
            packed: Arc::new(packed),
            consumed: if known.is_some() { vec![1, 2] } else { vec![1] },
            bias,
            residual: None,
            activation: Activation::None,
            inputs: node.inputs(),
        }))
    }

    /// Returns the kernel, which becomes one with what follows. `filters` are those that `packed`
    /// was made of.
    pub(super) fn kernel(self, filters: &Arc<Tensor>) -> Kernel {
        let (consumed, convolution) = (self.consumed.clone(), self.clone());
        let filters = Arc::clone(filters);
        Kernel::new(ElementType::F32, move |arguments| self.run(arguments))
            .consuming(consumed)
            .fusing(move |node, index| convolution.fuse(&filters, node, index))
    }

    fn run(&self, arguments: &mut Arguments<'_>) -> Result<Tensor, Error> {
        let plan = self.convolution.plan(arguments.get(0)?.shape(), &self.shape)?;
        plan.charge(arguments)?;
        let bias = match &self.bias {
            Bias::Known(bias) => bias,
            Bias::Given => arguments.values::<f32>(2)?,
        };
        let input = arguments.values::<f32>(0)?;

        let residual = self.residual.map(|index| arguments.get(index)).transpose()?;
        match residual {
            Some(residual) if *residual.shape() != plan.shape => {
                let sums = planar(&plan, &self.packed, input, bias, Last::NONE)?;
                fused::activated(join(&sums, residual, f32::plus)?, self.activation)
            }
            residual => {
                let residual = residual.map(|residual| residual.values::<f32>()).transpose()?;
                let residual = residual.unwrap_or_default();
                let last = Last { residual, activation: self.activation };
                planar(&plan, &self.packed, input, bias, last)
            }
        }
    }

    /// Makes one kernel of this one and the node that uses its output.
    fn fuse(
        &self,
        filters: &Arc<Tensor>,
        node: &Node<'_>,
        index: usize,
    ) -> Result<Option<Kernel>, Error> {
        if self.activation != Activation::None {
            return Ok(None);
        }
        let inputs = self.inputs + node.inputs() - 1;
        let further = self.inputs..inputs;
        if let Some(activation) = activation(node, self.shape.len()) {
            let consumed = self.consumed.iter().copied().chain(further).collect();
            let fused = KnownFilters { activation, inputs, consumed, ..self.clone() };
            return Ok(Some(fused.kernel(filters)));
        }
        if self.residual.is_some() {
            return Ok(None);
        }
        if let Some([scale, shift]) = self.channels(node, index)? {
            return self.scaled(filters, &scale, &shift, inputs);
        }
        if fused::is_sum(node) && node.constant(1 - index).is_none() {
            let residual = Some(self.inputs);
            let fused = KnownFilters { residual, inputs, ..self.clone() };
            return Ok(Some(fused.kernel(filters)));
        }
        Ok(None)
    }

    /// Returns what a node multiplies each output channel with, and adds to it, if that is all that
    /// it does.
    fn channels(&self, node: &Node<'_>, index: usize) -> Result<Option<[Vec<f32>; 2]>, Error> {
        if matches!(self.bias, Bias::Given) {
            return Ok(None);
        }
        channel_constants(node, index, self.shape.len(), self.shape[0])
    }

    /// Returns the kernel with other filters and biases, which has these inputs.
    fn scaled(
        &self,
        filters: &Tensor,
        scale: &[f32],
        shift: &[f32],
        inputs: usize,
    ) -> Result<Option<Kernel>, Error> {
        let Bias::Known(bias) = &self.bias else { return Ok(None) };
        let before = bias.iter().copied().chain(std::iter::repeat(0.0));
        let bias = before.zip(scale).zip(shift).map(|((bias, scale), shift)| bias * scale + shift);
        let bias = Bias::Known(Arc::new(bias.collect()));

        let each = filters.len() / scale.len().max(1);
        let filters_of_channels = filters.values::<f32>()?.chunks_exact(each.max(1));
        let values = filters_of_channels.zip(scale);
        let values = values.flat_map(|(filter, scale)| filter.iter().map(move |v| v * scale));
        let filters = Arc::new(Tensor::new(self.shape, values.collect())?);

        let Some(packed) = pack(&self.convolution, &filters, filters.values::<f32>()?)? else {
            return Ok(None);
        };
        let consumed = self.consumed.iter().copied().chain(self.inputs..inputs).collect();
        let packed = Arc::new(packed);
        let fused = KnownFilters { bias, packed, inputs, consumed, ..self.clone() };
        Ok(Some(fused.kernel(&filters)))
    }
}

/// Packs filters of one or two axes.
fn pack(
    convolution: &Convolution,
    filters: &Tensor,
    values: &[f32],
) -> Result<Option<Vec<f32>>, Error> {
    let shape = *filters.shape();
    let (inputs, kernel) = match *shape {
        [_, inputs, width] => (inputs, [1, width]),
        [_, inputs, height, width] => (inputs, [height, width]),
        _ => return Ok(None),
    };
    if values.is_empty() || !shape[0].is_multiple_of(convolution.groups) {
        return Ok(None);
    }
    let kernel = [size(kernel[0])?, size(kernel[1])?];
    let operation = Conv2d {
        batch: 1,
        input_channels: size(inputs.saturating_mul(convolution.groups))?,
        input: kernel,
        output_channels: size(shape[0])?,
        kernel,
        strides: [1, 1],
        dilations: [1, 1],
        pads: [0; 4],
        groups: size(convolution.groups)?,
        bias: false,
        residual: false,
        activation: Activation::None,
    };
    pack_filters(&operation, values).map(Some)
}
