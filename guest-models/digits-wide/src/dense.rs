//! A dense layer, for one item and for many at once.
//!
//! For one item an output is a dot product, and every weight is read to be used once. For a batch,
//! items lie side by side in panels of [`PANEL`], so that a weight serves as many items as fit into
//! two SIMD registers, and [`ROWS`] rows of weights share each reading of a panel. Rows are the outer
//! loop: whatever the number of panels, the weights pass through the cache once.

use std::array;

use wardian_sdk::kernels::dot;

/// Items side by side.
pub(crate) const PANEL: usize = 8;

/// Rows of weights that are multiplied at once: eight sums of four lanes, which fill half the SIMD
/// registers there are.
const ROWS: usize = 4;

/// Inputs per turn of the inner loop, at each of which the host looks whether time is up.
const STEPS: usize = 4;

/// One value of each item, then the next value of each.
pub(crate) type Panel = Vec<[f32; PANEL]>;

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

    /// The outputs for many items, in as many panels.
    pub(crate) fn apply_to_panels(&self, inputs: &[Panel]) -> Vec<Panel> {
        let mut outputs: Vec<Panel> = inputs.iter().map(|_| Panel::with_capacity(self.outputs())).collect();
        let blocks = self.weights.chunks(ROWS * self.inputs);
        for (rows, biases) in blocks.zip(self.biases.chunks(ROWS)) {
            let rows = self.block(rows);
            for (input, output) in inputs.iter().zip(&mut outputs) {
                let sums = products(rows, input);
                output.extend(sums.iter().zip(biases).map(|(sums, bias)| sums.map(|sum| sum + bias)));
            }
        }
        outputs
    }

    /// The rows of a block. The last block may lack some; the first stands in for them, and having no
    /// bias of their own they are left out of the result.
    fn block<'a>(&self, rows: &'a [f32]) -> [&'a [f32]; ROWS] {
        let row = |index| rows.chunks_exact(self.inputs).nth(index);
        array::from_fn(|index| row(index).unwrap_or(&rows[..self.inputs]))
    }
}

fn products(rows: [&[f32]; ROWS], input: &[[f32; PANEL]]) -> [[f32; PANEL]; ROWS] {
    let mut sums = [[0.0; PANEL]; ROWS];
    let (steps, rest) = input.as_chunks::<STEPS>();
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = rows.map(|row| row.as_chunks::<STEPS>());
    for ((((values, a), b), c), d) in steps.iter().zip(a).zip(b).zip(c).zip(d) {
        for step in 0..STEPS {
            add_products(&mut sums, [a[step], b[step], c[step], d[step]], &values[step]);
        }
    }
    for ((((values, a), b), c), d) in rest.iter().zip(a_rest).zip(b_rest).zip(c_rest).zip(d_rest) {
        add_products(&mut sums, [*a, *b, *c, *d], values);
    }
    sums
}

#[inline]
fn add_products(sums: &mut [[f32; PANEL]; ROWS], weights: [f32; ROWS], values: &[f32; PANEL]) {
    for (sums, weight) in sums.iter_mut().zip(weights) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += weight * value;
        }
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
