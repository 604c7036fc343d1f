//! The network: character embeddings, two layers of LSTM, an average over the window weighted by
//! attention, and a dense layer with softmax.

use wardian_sdk::kernels::panels::multiply;
use wardian_sdk::kernels::{dot, softmax};
use wardian_sdk::weights::Reader;

use crate::lanes::Lanes;
use crate::lstm;
use crate::vocabulary::NOTHING;
use crate::windows::{WINDOW, Windows};

pub(crate) struct Network {
    width: usize,
    units: usize,
    /// One row for each character.
    embeddings: Vec<f32>,
    /// The contribution of each character to the first layer's gates, biases included. It is
    /// constant, so it is computed once.
    first_gates: Vec<f32>,
    first_recurrent: Vec<f32>,
    /// Weights for the first layer's states and the second layer's own.
    second: Vec<f32>,
    second_biases: Vec<f32>,
    /// Weights of the score of a vector, a hidden state and another one.
    attention: Vec<f32>,
    output: Vec<f32>,
    output_biases: Vec<f32>,
    /// The windows after nothing but [`NOTHING`].
    start: Windows,
}

impl Network {
    /// Parses everything but the vocabulary.
    pub(crate) fn parse(
        reader: &mut Reader<'_>,
        codes: usize,
        width: usize,
        units: usize,
    ) -> Option<Self> {
        let (gates, seen) = (units.checked_mul(4)?, units.checked_mul(2)?.checked_add(width)?);
        let embeddings = reader.floats(codes, width)?;
        let first = reader.floats(gates, width)?;
        let first_recurrent = reader.floats(gates, units)?;
        let first_biases = reader.floats(gates, 1)?;
        let mut network = Self {
            width,
            units,
            first_gates: gates_of_characters(&embeddings, &first, &first_biases, width),
            embeddings,
            first_recurrent,
            second: reader.floats(gates, 2 * units)?,
            second_biases: reader.floats(gates, 1)?,
            attention: reader.floats(seen, 1)?,
            output: reader.floats(codes, seen)?,
            output_biases: reader.floats(codes, 1)?,
            start: Windows::new(width, units),
        };
        network.start = network.after_nothing();
        Some(network)
    }

    /// Returns the windows before a text. [`NOTHING`] stands before it, as often as a window is
    /// long.
    pub(crate) fn start(&self) -> Windows {
        self.start.clone()
    }

    fn after_nothing(&self) -> Windows {
        let mut windows = self.start();
        (0..WINDOW).for_each(|_| self.step(&mut windows, NOTHING));
        windows
    }

    /// Adds the next character to every window.
    pub(crate) fn step(&self, windows: &mut Windows, code: usize) {
        windows.start_next();
        self.step_first_layer(windows, code);
        self.step_second_layer(windows);
        let character = row(&self.embeddings, code, self.width);
        for (attention, hidden) in windows.attention.iter_mut().zip(&windows.hidden) {
            attention.add(self.scores(character, hidden), character, hidden);
        }
    }

    fn step_first_layer(&self, windows: &mut Windows, code: usize) {
        let hidden: Vec<&[Lanes]> =
            windows.hidden.iter().map(|hidden| &hidden[..self.units]).collect();
        let sums = multiply(&self.first_recurrent, self.units, &hidden);
        let offsets = row(&self.first_gates, code, 4 * self.units);
        for (sums, (cells, hidden)) in
            sums.iter().zip(windows.cells.iter_mut().zip(&mut windows.hidden))
        {
            lstm::step(sums, offsets, &mut cells[..self.units], &mut hidden[..self.units]);
        }
    }

    fn step_second_layer(&self, windows: &mut Windows) {
        let sums = multiply(&self.second, 2 * self.units, &windows.hidden);
        for (sums, (cells, hidden)) in
            sums.iter().zip(windows.cells.iter_mut().zip(&mut windows.hidden))
        {
            lstm::step(
                sums,
                &self.second_biases,
                &mut cells[self.units..],
                &mut hidden[self.units..],
            );
        }
    }

    fn scores(&self, character: &[f32], hidden: &[Lanes]) -> Lanes {
        let (for_character, for_hidden) = self.attention.split_at(self.width);
        let mut scores = [dot(for_character, character); _];
        for (numbers, weight) in hidden.iter().zip(for_hidden) {
            for (score, number) in scores.iter_mut().zip(numbers) {
                *score += number * weight;
            }
        }
        scores
    }

    /// Returns the probability of each next code; the sum is 1.
    pub(crate) fn probabilities(&self, windows: &Windows) -> Vec<f32> {
        let seen = windows.average();
        let rows = self.output.chunks_exact(seen.len()).zip(&self.output_biases);
        let mut scores: Vec<f32> = rows.map(|(row, bias)| dot(row, &seen) + bias).collect();
        softmax(&mut scores);
        scores
    }
}

fn gates_of_characters(
    embeddings: &[f32],
    kernel: &[f32],
    biases: &[f32],
    width: usize,
) -> Vec<f32> {
    let characters = embeddings.chunks_exact(width);
    let gates = |character| {
        kernel.chunks_exact(width).zip(biases).map(move |(row, bias)| dot(row, character) + bias)
    };
    characters.flat_map(gates).collect()
}

fn row(matrix: &[f32], index: usize, width: usize) -> &[f32] {
    &matrix[index * width..][..width]
}
