//! A dense layer, whose weights are packed for the host's products of matrices.

use wardian_sdk::Error;
use wardian_sdk::kernels::{Activation, Bias, Matmul, MatmulData, PackedMatrix, matmul};
use wardian_sdk::weights::Reader;

pub(crate) struct Dense {
    inputs: usize,
    /// One row of `inputs` numbers for each output, packed.
    weights: PackedMatrix,
    biases: Vec<f32>,
}

// === impl Dense ===

impl Dense {
    /// Reads the next layer. Returns `None` if the file ends too early, or the layer has no inputs
    /// or no outputs.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let inputs = reader.integer()? as usize;
        let outputs = reader.integer()? as usize;
        let weights = reader.floats(outputs, inputs)?;
        let weights = PackedMatrix::transposed(&weights, outputs, inputs).ok()?;
        let biases = reader.floats(1, outputs)?;
        Some(Self { inputs, weights, biases })
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn outputs(&self) -> usize {
        self.biases.len()
    }

    /// Returns the outputs for each item. The host reads each weight once for all of them.
    pub(crate) fn apply(&self, items: &[f32], activation: Activation) -> Result<Vec<f32>, Error> {
        let count = items.len() / self.inputs;
        let mut outputs = vec![0.0; count * self.outputs()];
        if count == 0 {
            return Ok(outputs);
        }

        let operation =
            Matmul { bias: Bias::Columns, activation, ..self.weights.product(count as u32) };
        let data = MatmulData {
            left: items,
            right: self.weights.numbers(),
            bias: &self.biases,
            residual: &[],
            output: &mut outputs,
        };
        matmul(&operation, data)?;
        Ok(outputs)
    }
}
