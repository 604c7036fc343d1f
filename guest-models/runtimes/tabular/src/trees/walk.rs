//! The walk: several at once, without branches.
//!
//! In the sandbox every iteration of a loop checks the time, and a branch that depends on data is
//! mispredicted every other time. So a step is arithmetic only, a leaf leads to itself, and the
//! walks of [`LANES`] rows or trees take their steps side by side.

use super::Number;

/// The walks that are taken at once.
pub(super) const LANES: usize = 8;

/// The steps between two looks at whether all walks have ended.
const STRIDE: usize = 4;

/// A node. Values of the column up to the threshold lead to node `low`, others and NaN to the one
/// after it. A leaf compares the lowest number and leads to itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<T> {
    pub(super) threshold: T,
    pub(super) column: u32,
    pub(super) low: u32,
}

/// Walks from `nodes` for at most `depth` steps and returns the leaves. Each walk has a row, which
/// starts at its place in `rows`.
#[inline(always)]
pub(super) fn walk<T: Number>(
    steps: &[Step<T>],
    depth: u32,
    rows: &[T],
    starts: [u32; LANES],
    mut nodes: [u32; LANES],
) -> [u32; LANES] {
    let mut left = depth as usize;
    while left > STRIDE {
        for _ in 0..STRIDE - 1 {
            step(steps, rows, starts, &mut nodes);
        }
        let before = nodes;
        step(steps, rows, starts, &mut nodes);
        if before == nodes {
            return nodes;
        }
        left -= STRIDE;
    }
    for _ in 0..left {
        step(steps, rows, starts, &mut nodes);
    }
    nodes
}

#[inline(always)]
fn step<T: Number>(steps: &[Step<T>], rows: &[T], starts: [u32; LANES], nodes: &mut [u32; LANES]) {
    for (node, start) in nodes.iter_mut().zip(starts) {
        let step = steps[*node as usize];
        let value = rows[start.wrapping_add(step.column) as usize];
        let is_low = value <= step.threshold;
        *node = step.low.wrapping_add(u32::from(!is_low));
    }
}
