//! A multi-layer perceptron: dense layers with ReLU between them and softmax at the end.

use wardian_sdk::kernels::{dot, softmax};
use wardian_sdk::weights::Reader;

/// The layers, in order. There is at least one.
pub(crate) struct Network {
    layers: Vec<Layer>,
}

struct Layer {
    inputs: usize,
    /// One row of `inputs` numbers for each output, so that an output is one dot product.
    weights: Vec<f32>,
    biases: Vec<f32>,
}

// === impl Network ===

impl Network {
    /// Parses the format described at the head of train.py. Returns `None` if the file ends too
    /// early.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut layers = vec![Layer::parse(&mut reader)?];
        while !reader.is_at_end() {
            layers.push(Layer::parse(&mut reader)?);
        }
        Some(Self { layers })
    }

    pub(crate) fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.inputs)
    }

    pub(crate) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.biases.len())
    }

    /// Returns the probability of each class; the sum is 1.
    pub(crate) fn probabilities(&self, input: &[f32]) -> Vec<f32> {
        let mut layers = self.layers.iter();
        let first = layers.next().map_or_else(Vec::new, |layer| layer.apply(input));
        let mut scores = layers.fold(first, |values, layer| layer.apply(&relu(values)));
        softmax(&mut scores);
        scores
    }
}

fn relu(mut values: Vec<f32>) -> Vec<f32> {
    values.iter_mut().for_each(|value| *value = value.max(0.0));
    values
}

// === impl Layer ===

impl Layer {
    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let inputs = reader.integer()? as usize;
        let outputs = reader.integer()? as usize;
        let weights = reader.floats(outputs, inputs)?;
        let biases = reader.floats(1, outputs)?;
        Some(Self { inputs, weights, biases })
    }

    fn apply(&self, input: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(self.inputs);
        rows.zip(&self.biases).map(|(row, bias)| dot(row, input) + bias).collect()
    }
}
