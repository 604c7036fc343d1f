//! A step of long short-term memory.

use wardian_sdk::kernels::panels::Panel;

use crate::lanes::{Lanes, sigmoid, tanh};

/// Updates the states of one layer, unit by unit, for the next character.
///
/// `sums` and `offsets` are added for each vector. Their first quarter belongs to the units' input
/// gates, followed by forget gates, candidates and output gates.
pub(crate) fn step(sums: &Panel, offsets: &[f32], cells: &mut [Lanes], hidden: &mut [Lanes]) {
    let units = cells.len();
    let gate = |quarter: usize, unit: usize| {
        let place = quarter * units + unit;
        sums[place].map(|sum| sum + offsets[place])
    };
    for (unit, (cell, hidden)) in cells.iter_mut().zip(hidden).enumerate() {
        let (into, forget) = (sigmoid(gate(0, unit)), sigmoid(gate(1, unit)));
        let (candidate, out) = (tanh(gate(2, unit)), sigmoid(gate(3, unit)));
        for lane in 0..cell.len() {
            cell[lane] = forget[lane] * cell[lane] + into[lane] * candidate[lane];
        }
        let shown = tanh(*cell);
        for lane in 0..shown.len() {
            hidden[lane] = out[lane] * shown[lane];
        }
    }
}
