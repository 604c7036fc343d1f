//! A multi-layer perceptron: dense layers with ReLU between them and softmax at the end.

use wardian_sdk::Error;
use wardian_sdk::kernels::{Activation, softmax};
use wardian_sdk::weights::Reader;

use crate::dense::Dense;

/// The layers, in order. There is at least one.
pub(crate) struct Network {
    layers: Vec<Dense>,
}

impl Network {
    /// Parses the format described at the head of train.py. Returns `None` if the file ends too
    /// early.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut layers = vec![Dense::parse(&mut reader)?];
        while !reader.is_at_end() {
            layers.push(Dense::parse(&mut reader)?);
        }
        Some(Self { layers })
    }

    pub(crate) fn inputs(&self) -> usize {
        self.layers.first().map_or(0, Dense::inputs)
    }

    pub(crate) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, Dense::outputs)
    }

    /// Returns the probability of each class, item by item; the sum is 1 for each item.
    pub(crate) fn probabilities(&self, items: &[f32]) -> Result<Vec<f32>, Error> {
        let mut scores = self.scores(items)?;
        scores.chunks_exact_mut(self.outputs()).for_each(softmax);
        Ok(scores)
    }

    fn scores(&self, items: &[f32]) -> Result<Vec<f32>, Error> {
        let Some((last, hidden)) = self.layers.split_last() else { return Ok(Vec::new()) };
        let mut values = items.to_vec();
        for layer in hidden {
            values = layer.apply(&values, Activation::Relu)?;
        }
        last.apply(&values, Activation::None)
    }
}
