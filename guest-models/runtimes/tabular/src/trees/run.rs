//! A run of trees whose splits all compare, in the form that the walk takes.

use super::builder::Tree;
use super::columns::{Columns, LOWEST};
use super::threshold::Comparison;
use super::walk::{LANES, Step, walk};
use super::{Leaf, Node, Number};

/// Trees that follow each other and have the same kind of leaves.
#[derive(Debug)]
pub(super) struct Run<T> {
    steps: Vec<Step<T>>,
    roots: Vec<Root>,
    leaves: Leaves<T>,
}

/// The start of a tree.
#[derive(Clone, Copy, Debug)]
struct Root {
    node: u32,
    depth: u32,
    /// The output of all leaves, if they are in the nodes.
    output: u32,
}

/// The place of the leaves' numbers.
#[derive(Debug)]
enum Leaves<T> {
    /// In the place of a threshold: each tree adds to one output.
    InNodes,
    /// In a table of their own, by the leaf's number.
    InTable { numbers: Vec<u32>, leaves: Vec<Leaf<T>> },
}

/// The rows of a block, as given and as prepared.
#[derive(Clone, Copy)]
pub(super) struct Block<'a, T> {
    pub(super) rows: &'a [T],
    pub(super) features: usize,
    pub(super) prepared: &'a [T],
    pub(super) columns: usize,
    pub(super) count: usize,
}

// === impl Run ===

impl<T: Number> Run<T> {
    pub(super) fn new(in_nodes: bool) -> Self {
        let table = Leaves::InTable { numbers: Vec::new(), leaves: Vec::new() };
        let leaves = if in_nodes { Leaves::InNodes } else { table };
        Self { steps: Vec::new(), roots: Vec::new(), leaves }
    }

    /// Tells whether the leaves are in the nodes.
    pub(super) fn is_in_nodes(&self) -> bool {
        matches!(self.leaves, Leaves::InNodes)
    }

    /// Adds a tree. Its comparisons are by node, `None` for leaves.
    pub(super) fn push(
        &mut self,
        tree: Tree<T>,
        comparisons: &[Option<Comparison<T>>],
        columns: &mut Columns,
        output: u32,
    ) {
        let root = self.steps.len() as u32;
        self.steps.push(leaf_step(root, T::default()));
        let mut nodes = tree.nodes;
        let mut depth = 0;
        let mut open = vec![(tree.root, root, 0)];
        while let Some((node, place, level)) = open.pop() {
            depth = depth.max(level);
            if let Some(Some(comparison)) = comparisons.get(node) {
                let low = self.steps.len() as u32;
                let column = columns.number(comparison.column);
                let step = Step { threshold: comparison.threshold, column, low };
                self.set(place, step);
                self.steps.push(leaf_step(low, T::default()));
                self.steps.push(leaf_step(low + 1, T::default()));
                open.push((comparison.high, low + 1, level + 1));
                open.push((comparison.low, low, level + 1));
            } else if let Some(Node::Leaf(leaf)) = nodes.get_mut(node) {
                self.place_leaf(place, leaf);
            }
        }
        self.roots.push(Root { node: root, depth, output });
    }

    /// Calls `put` with the row's number in the block, an output and the leaf's number for it, for
    /// every row in the order of the trees.
    #[inline(always)]
    pub(super) fn visit(&self, block: Block<'_, T>, put: &mut impl FnMut(usize, usize, T)) {
        let in_lanes = block.count - block.count % LANES;
        for root in &self.roots {
            for first in (0..in_lanes).step_by(LANES) {
                let starts: [u32; LANES] =
                    std::array::from_fn(|lane| ((first + lane) * block.columns) as u32);
                let nodes = [root.node; LANES];
                let ends = walk(&self.steps, root.depth, block.prepared, starts, nodes);
                for (lane, end) in ends.into_iter().enumerate() {
                    self.put(root.output, end, first + lane, block, put);
                }
            }
        }
        for row in in_lanes..block.count {
            self.visit_row(row, block, put);
        }
    }

    /// Does the same for one row, with several trees at once.
    #[inline(always)]
    fn visit_row(&self, row: usize, block: Block<'_, T>, put: &mut impl FnMut(usize, usize, T)) {
        let starts = [(row * block.columns) as u32; LANES];
        for roots in self.roots.chunks(LANES) {
            let root = |lane: usize| roots.get(lane).or(roots.first());
            let nodes = std::array::from_fn(|lane| root(lane).map_or(0, |root| root.node));
            let depth = roots.iter().map(|root| root.depth).max().unwrap_or_default();
            let ends = walk(&self.steps, depth, block.prepared, starts, nodes);
            for (root, end) in roots.iter().zip(ends) {
                self.put(root.output, end, row, block, put);
            }
        }
    }

    #[inline(always)]
    fn put(
        &self,
        output: u32,
        end: u32,
        row: usize,
        block: Block<'_, T>,
        put: &mut impl FnMut(usize, usize, T),
    ) {
        match &self.leaves {
            Leaves::InNodes => put(row, output as usize, self.steps[end as usize].threshold),
            Leaves::InTable { numbers, leaves } => {
                let given = &block.rows[row * block.features..][..block.features];
                leaves[numbers[end as usize] as usize]
                    .visit(given, &mut |output, value| put(row, output, value));
            }
        }
    }

    fn set(&mut self, place: u32, step: Step<T>) {
        if let Some(slot) = self.steps.get_mut(place as usize) {
            *slot = step;
        }
    }

    fn place_leaf(&mut self, place: u32, leaf: &mut Leaf<T>) {
        match (&mut self.leaves, leaf) {
            (Leaves::InNodes, Leaf::One { value, .. }) => {
                let step = leaf_step(place, *value);
                self.set(place, step);
            }
            (Leaves::InNodes, _) => {}
            (Leaves::InTable { numbers, leaves }, leaf) => {
                numbers.resize(self.steps.len(), 0);
                if let Some(number) = numbers.get_mut(place as usize) {
                    *number = leaves.len() as u32;
                }
                leaves.push(std::mem::replace(leaf, Leaf::Some(Vec::new())));
            }
        }
    }
}

fn leaf_step<T>(place: u32, value: T) -> Step<T> {
    Step { threshold: value, column: LOWEST, low: place }
}
