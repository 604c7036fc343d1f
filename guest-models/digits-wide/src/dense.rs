//! A dense layer, for one item and for many at once.

use wardian_sdk::kernels::dot;
use wardian_sdk::kernels::panels::{Panel, multiply};

pub(crate) struct Dense {
    inputs: usize,
    /// One row of `inputs` numbers for each output.
    weights: Vec<f32>,
    biases: Vec<f32>,
}

// === impl Dense ===

impl Dense {
    /// Takes the layer off the front of `bytes`; nothing if they end too early.
    pub(crate) fn parse(bytes: &mut &[u8]) -> Option<Self> {
        let inputs = u32::from_le_bytes(take(bytes)?) as usize;
        let outputs = u32::from_le_bytes(take(bytes)?) as usize;
        let weights = floats(bytes, inputs.checked_mul(outputs)?)?;
        let biases = floats(bytes, outputs)?;
        Some(Self { inputs, weights, biases })
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn outputs(&self) -> usize {
        self.biases.len()
    }

    /// The outputs for one item.
    pub(crate) fn apply(&self, input: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(self.inputs);
        rows.zip(&self.biases).map(|(row, bias)| dot(row, input) + bias).collect()
    }

    /// The outputs for many items, in as many panels. It reads each weight once for all of them.
    pub(crate) fn apply_to_panels(&self, inputs: &[Panel]) -> Vec<Panel> {
        let mut outputs = multiply(&self.weights, self.inputs, inputs);
        for panel in &mut outputs {
            panel.iter_mut().zip(&self.biases).for_each(|(sums, bias)| *sums = sums.map(|sum| sum + bias));
        }
        outputs
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
