//! A multi-layer perceptron: dense layers with ReLU between them and softmax at the end.

use wardian_sdk::kernels::dot;

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
    /// Reads the format that the head of train.py describes; nothing if the file ends too early.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut layers = vec![Layer::parse(&mut bytes)?];
        while !bytes.is_empty() {
            layers.push(Layer::parse(&mut bytes)?);
        }
        Some(Self { layers })
    }

    pub(crate) fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.inputs)
    }

    pub(crate) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.biases.len())
    }

    /// How likely each class is; the sum is 1.
    pub(crate) fn probabilities(&self, input: &[f32]) -> Vec<f32> {
        let mut layers = self.layers.iter();
        let first = layers.next().map_or_else(Vec::new, |layer| layer.apply(input));
        let scores = layers.fold(first, |values, layer| layer.apply(&relu(values)));
        softmax(scores)
    }
}

fn relu(mut values: Vec<f32>) -> Vec<f32> {
    values.iter_mut().for_each(|value| *value = value.max(0.0));
    values
}

fn softmax(mut scores: Vec<f32>) -> Vec<f32> {
    // Less the greatest, so that no exponential overflows.
    let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - greatest).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
    scores
}

// === impl Layer ===

impl Layer {
    fn parse(bytes: &mut &[u8]) -> Option<Self> {
        let inputs = u32::from_le_bytes(take(bytes)?) as usize;
        let outputs = u32::from_le_bytes(take(bytes)?) as usize;
        let weights = floats(bytes, inputs.checked_mul(outputs)?)?;
        let biases = floats(bytes, outputs)?;
        Some(Self { inputs, weights, biases })
    }

    fn apply(&self, input: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(self.inputs);
        rows.zip(&self.biases).map(|(row, bias)| dot(row, input) + bias).collect()
    }
}

fn floats(bytes: &mut &[u8], count: usize) -> Option<Vec<f32>> {
    // A count that cannot be true must not reserve memory.
    let length = count.checked_mul(4).filter(|length| *length <= bytes.len())?;
    let (head, rest) = bytes.split_at(length);
    *bytes = rest;
    Some(head.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}
