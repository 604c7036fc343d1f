//! A sequence of trees whose splits all compare, in the form that the walk takes.

use super::builder::Tree;
use super::columns::Columns;
use super::threshold::Comparison;
use super::walk::{LANES, Step, walk};
use super::{Leaf, Node, Number};

/// Trees that follow each other and have the same kind of leaves.
#[derive(Clone, Debug)]
pub(super) struct TreeSequence<T> {
    steps: Vec<Step<T>>,
    roots: Vec<Root>,
    leaves: Leaves<T>,
}

/// The start of a tree.
#[derive(Clone, Copy, Debug)]
struct Root {
    node: u32,
    depth: u32,
    /// The output of all leaves, if they are in the nodes and do not name their own.
    output: u32,
}

/// The kind of a tree's leaves.
#[derive(Clone, Copy, Debug)]
pub(super) enum LeafKind {
    /// A number for this output.
    OneFor(u32),
    /// A number for one output each.
    One,
    /// A number for every output.
    All,
    /// Any other.
    Other,
}

/// The place of the leaves' numbers.
#[derive(Clone, Debug)]
enum Leaves<T> {
    /// In the place of a threshold. The constant column that a leaf compares is its output, or 0 if
    /// the root has the output.
    Nodes,
    /// In rows of `width`, which start at the place that is given for the node.
    Rows { width: usize, starts: Vec<u32>, values: Vec<T> },
    /// In a table of their own, by the leaf's number.
    Table { numbers: Vec<u32>, leaves: Vec<Leaf<T>> },
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

// === impl LeafKind ===

impl LeafKind {
    /// Returns the kind of a tree's leaves. A leaf can name an output below `constants`, the number
    /// of constant columns.
    pub(super) fn of<T: Number>(tree: &Tree<T>, constants: usize) -> Self {
        let leaves = || {
            tree.nodes.iter().filter_map(|node| match node {
                Node::Leaf(leaf) => Some(leaf),
                Node::Split(_) => None,
            })
        };
        if leaves().all(|leaf| matches!(leaf, Leaf::All(_))) {
            return Self::All;
        }

        let mut outputs = leaves().map(only_output);
        let first = outputs.next().flatten();
        match first.and_then(|first| u32::try_from(first).ok()) {
            Some(output) if outputs.all(|output| output == first) => Self::OneFor(output),
            _ if leaves()
                .all(|leaf| only_output(leaf).is_some_and(|output| output < constants)) =>
            {
                Self::One
            }
            _ => Self::Other,
        }
    }
}

/// Returns the output of a leaf that can be in a node.
fn only_output<T: Number>(leaf: &Leaf<T>) -> Option<usize> {
    match leaf {
        Leaf::One { output, value } if !value.is_nan() => Some(*output),
        _ => None,
    }
}

// === impl TreeSequence ===

impl<T: Number> TreeSequence<T> {
    pub(super) fn new(kind: LeafKind) -> Self {
        let leaves = match kind {
            LeafKind::OneFor(_) | LeafKind::One => Leaves::Nodes,
            LeafKind::All => Leaves::Rows { width: 0, starts: Vec::new(), values: Vec::new() },
            LeafKind::Other => Leaves::Table { numbers: Vec::new(), leaves: Vec::new() },
        };
        Self { steps: Vec::new(), roots: Vec::new(), leaves }
    }

    /// Tells whether trees with such leaves can be added.
    pub(super) fn takes(&self, kind: LeafKind) -> bool {
        match kind {
            LeafKind::OneFor(_) | LeafKind::One => matches!(self.leaves, Leaves::Nodes),
            LeafKind::All => matches!(self.leaves, Leaves::Rows { .. }),
            LeafKind::Other => matches!(self.leaves, Leaves::Table { .. }),
        }
    }

    /// Adds a tree. Its comparisons are by node, `None` for leaves.
    pub(super) fn push(
        &mut self,
        tree: Tree<T>,
        comparisons: &[Option<Comparison<T>>],
        columns: &mut Columns,
        kind: LeafKind,
    ) {
        let output = if let LeafKind::OneFor(output) = kind { Some(output) } else { None };
        let root = self.steps.len() as u32;
        self.steps.push(leaf_step(root));
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
                self.steps.push(leaf_step(low));
                self.steps.push(leaf_step(low + 1));
                open.push((comparison.high, low + 1, level + 1));
                open.push((comparison.low, low, level + 1));
            } else if let Some(Node::Leaf(leaf)) = nodes.get_mut(node) {
                self.place_leaf(place, leaf, output);
            }
        }
        self.roots.push(Root { node: root, depth, output: output.unwrap_or_default() });
    }

    /// Copies the sequence, once all trees are there, to where it stays. A copy has no room for
    /// more.
    pub(super) fn kept(&self) -> Self {
        self.clone()
    }

    /// Calls `put` with the row's number in the block, an output and the leaf's numbers for it and
    /// those after it, for every row in the order of the trees.
    #[inline(always)]
    pub(super) fn visit(&self, block: Block<'_, T>, put: &mut impl FnMut(usize, usize, &[T])) {
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
    fn visit_row(&self, row: usize, block: Block<'_, T>, put: &mut impl FnMut(usize, usize, &[T])) {
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
        put: &mut impl FnMut(usize, usize, &[T]),
    ) {
        let end = end as usize;
        match &self.leaves {
            Leaves::Nodes => {
                let leaf = self.steps[end];
                put(row, output.wrapping_add(leaf.column) as usize, &[leaf.threshold]);
            }
            Leaves::Rows { width, starts, values } => {
                put(row, 0, &values[starts[end] as usize..][..*width]);
            }
            Leaves::Table { numbers, leaves } => {
                let given = &block.rows[row * block.features..][..block.features];
                leaves[numbers[end] as usize]
                    .visit(given, &mut |output, values| put(row, output, values));
            }
        }
    }

    fn set(&mut self, place: u32, step: Step<T>) {
        if let Some(slot) = self.steps.get_mut(place as usize) {
            *slot = step;
        }
    }

    /// Places a leaf, whose root has the output unless it is `None`.
    fn place_leaf(&mut self, place: u32, leaf: &mut Leaf<T>, of_root: Option<u32>) {
        let count = self.steps.len();
        match (&mut self.leaves, leaf) {
            (Leaves::Nodes, Leaf::One { output, value }) => {
                let column = if of_root.is_some() { 0 } else { *output as u32 };
                self.set(place, Step { threshold: *value, column, low: place });
            }
            (Leaves::Rows { width, starts, values }, Leaf::All(leaf)) => {
                *width = leaf.len();
                number(starts, count, place, values.len());
                values.append(leaf);
            }
            (Leaves::Table { numbers, leaves }, leaf) => {
                number(numbers, count, place, leaves.len());
                leaves.push(std::mem::replace(leaf, Leaf::Some(Vec::new())));
            }
            (Leaves::Nodes | Leaves::Rows { .. }, _) => {}
        }
    }
}

/// Gives the node at `place`, of `count` nodes so far, a number.
fn number(numbers: &mut Vec<u32>, count: usize, place: u32, number: usize) {
    numbers.resize(count, 0);
    if let Some(slot) = numbers.get_mut(place as usize) {
        *slot = number as u32;
    }
}

fn leaf_step<T: Number>(place: u32) -> Step<T> {
    Step { threshold: T::default(), column: 0, low: place }
}
