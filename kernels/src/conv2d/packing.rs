//! Packing filters: for each group, panels of 16 output channels.

use crate::error::product;
use crate::matmul::pack_block;
use crate::progress::run_pieces;
use crate::simd::PANEL;
use crate::{Checkpoint, Error, InstructionSet};

/// Returns the length of the packed filters: `outputs` filters of `depth` elements for each group.
pub(super) fn packed_len(groups: u64, depth: u64, outputs: u64) -> Result<u64, Error> {
    let outputs = outputs.next_multiple_of(PANEL as u64);
    product(&[groups, depth, outputs], "the filters")
}

/// The most elements of a filter in a piece of work.
const DEPTH: usize = 4096;

/// Packs filters of `depth` elements each, `outputs` of them in each group.
pub(super) fn pack(
    filters: &[f32],
    packed: &mut [f32],
    depth: usize,
    outputs: usize,
    start: u64,
    checkpoint: Checkpoint<'_>,
) -> Result<Option<u64>, Error> {
    let panels = outputs.div_ceil(PANEL);
    let groups = filters.len() / (depth * outputs);
    let depth_pieces = depth.div_ceil(DEPTH);
    let pieces = (groups * panels * depth_pieces) as u64;

    run_pieces(InstructionSet::PORTABLE, start, pieces, checkpoint, |piece| {
        let panel_of_all = piece as usize / depth_pieces;
        let from_depth = piece as usize % depth_pieces * DEPTH;
        let depths = DEPTH.min(depth - from_depth);
        let [group, panel] = [panel_of_all / panels, panel_of_all % panels];

        pack_block(
            &filters[(group * outputs + panel * PANEL) * depth + from_depth..],
            [1, depth],
            depths,
            PANEL.min(outputs - panel * PANEL),
            &mut packed[panel_of_all * depth * PANEL + from_depth * PANEL..],
            [PANEL, 0],
        );
        (depths * PANEL) as u64
    })
}

/// Copies filters that need no packing.
pub(super) fn copy(
    filters: &[f32],
    packed: &mut [f32],
    start: u64,
    checkpoint: Checkpoint<'_>,
) -> Result<Option<u64>, Error> {
    let pieces = filters.len().div_ceil(DEPTH) as u64;

    run_pieces(InstructionSet::PORTABLE, start, pieces, checkpoint, |piece| {
        let from = piece as usize * DEPTH;
        let to = filters.len().min(from + DEPTH);
        packed[from..to].copy_from_slice(&filters[from..to]);
        (to - from) as u64
    })
}
