//! A dense layer, for one item and for many at once.

use wardian_sdk::kernels::dot;
use wardian_sdk::kernels::panels::{Panel, multiply};
use wardian_sdk::weights::Reader;

pub(crate) struct Dense {
    inputs: usize,
    /// One row of `inputs` numbers for each output.
    weights: Vec<f32>,
    biases: Vec<f32>,
}

// === impl Dense ===

impl Dense {
    /// Reads the next layer. Returns `None` if the file ends too early.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let inputs = reader.integer()? as usize;
        let outputs = reader.integer()? as usize;
        let weights = reader.floats(outputs, inputs)?;
        let biases = reader.floats(1, outputs)?;
        Some(Self { inputs, weights, biases })
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn outputs(&self) -> usize {
        self.biases.len()
    }

    /// Returns the outputs for one item.
    pub(crate) fn apply(&self, input: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(self.inputs);
        rows.zip(&self.biases).map(|(row, bias)| dot(row, input) + bias).collect()
    }

    /// Returns the outputs for many items, in as many panels. Reads each weight once for all of
    /// them.
    pub(crate) fn apply_to_panels(&self, inputs: &[Panel]) -> Vec<Panel> {
        let mut outputs = multiply(&self.weights, self.inputs, inputs);
        for panel in &mut outputs {
            panel
                .iter_mut()
                .zip(&self.biases)
                .for_each(|(sums, bias)| *sums = sums.map(|sum| sum + bias));
        }
        outputs
    }
}
