//! Products with a constant right matrix: packed when the file is read, and one with the biases,
//! the sum and the activation that follow.

use std::sync::Arc;

use wardian_sdk::Error;
use wardian_sdk::kernels::Activation;

use onnx_executor::kernel::{Arguments, Kernel};
use onnx_executor::node::Node;
use onnx_executor::operators::arithmetic::join;
use onnx_executor::operators::matmul::Product;
use onnx_executor::operators::number::Number;
use onnx_executor::tensor::{ElementType, Tensor};

use super::{Last, PackedMatrix, multiply_packed};
use crate::operators::fused;

/// A product with a constant matrix.
#[derive(Clone)]
pub(super) struct KnownMatrix {
    packed: Arc<PackedMatrix>,
    scale: f32,
    /// One for each column, or none.
    bias: Arc<Vec<f32>>,
    /// The input that is added to the sums.
    residual: Option<usize>,
    activation: Activation,
    /// The number of inputs.
    inputs: usize,
    /// The inputs that are in the matrix or the biases.
    consumed: Vec<usize>,
}

impl KnownMatrix {
    /// A product of the first input with the second, which is this matrix.
    pub(super) fn new(packed: PackedMatrix, scale: f32) -> Self {
        KnownMatrix {
            packed: Arc::new(packed),
            scale,
            bias: Arc::default(),
            residual: None,
            activation: Activation::None,
            inputs: 2,
            consumed: vec![1],
        }
    }

    /// Returns the kernel, which becomes one with what follows.
    pub(super) fn kernel(self) -> Kernel {
        let (consumed, product) = (self.consumed.clone(), self.clone());
        Kernel::new(ElementType::F32, move |arguments| self.run(arguments))
            .consuming(consumed)
            .fusing(move |node, index| Ok(product.fused(node, index).map(KnownMatrix::kernel)))
    }

    fn run(&self, arguments: &mut Arguments<'_>) -> Result<Tensor, Error> {
        let left = arguments.get(0)?;
        let plan = Product::new(left.shape(), &self.packed.shape)?;
        arguments.charge(plan.work())?;
        let rows = plan.rows * plan.stack.elements();
        let left = arguments.values::<f32>(0)?;
        let sums = Last { scale: self.scale, ..Last::biased(&self.bias) };

        let residual = self.residual.map(|index| arguments.get(index)).transpose()?;
        match residual {
            Some(residual) if *residual.shape() != plan.shape => {
                let output = multiply_packed(left, rows, &self.packed, sums)?;
                let sums = join(&Tensor::new(plan.shape, output)?, residual, f32::plus)?;
                fused::activated(sums, self.activation)
            }
            residual => {
                let residual = residual.map(|residual| residual.values::<f32>()).transpose()?;
                let residual = residual.unwrap_or_default();
                let last = Last { residual, activation: self.activation, ..sums };
                Tensor::new(plan.shape, multiply_packed(left, rows, &self.packed, last)?)
            }
        }
    }

    /// Returns the product with what a node does with it, if the node alone uses it.
    fn fused(&self, node: &Node<'_>, index: usize) -> Option<Self> {
        if self.activation != Activation::None {
            return None;
        }
        let inputs = self.inputs + node.inputs() - 1;
        let consumed = self.consumed.iter().copied().chain(self.inputs..inputs).collect();
        if let Some(activation) = fused::activation(node, 0) {
            return Some(KnownMatrix { activation, inputs, consumed, ..self.clone() });
        }
        if self.residual.is_some() {
            return None;
        }
        if self.bias.is_empty()
            && let Some(bias) = fused::row_constants(node, index, self.packed.shape[1])
        {
            return Some(KnownMatrix { bias: Arc::new(bias), inputs, consumed, ..self.clone() });
        }
        if fused::is_sum(node) && node.constant(1 - index).is_none() {
            return Some(KnownMatrix { residual: Some(self.inputs), inputs, ..self.clone() });
        }
        None
    }
}
