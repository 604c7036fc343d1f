//! Trees that have been checked, ready to answer.

use std::ops::AddAssign;

use model_file::keep;

use super::builder::Tree;
use super::columns::Columns;
use super::threshold::Comparison;
use super::tree_sequence::{Block, LeafKind, TreeSequence};
use super::{Leaf, Node, Number};

/// Numbers in a block of prepared rows: they and a tree fit in the processor's first cache.
const BLOCK: usize = 4096;

/// The most rows in a block. More would not spread the cost of a tree any further.
const BLOCK_ROWS: usize = 128;

/// The most constant columns of a row.
const MOST_CONSTANTS: usize = 32;

/// Decision trees whose leaves are added.
#[derive(Debug)]
pub struct Ensemble<T> {
    features: usize,
    outputs: usize,
    trees: usize,
    is_complete: bool,
    columns: Columns,
    parts: Vec<Part<T>>,
}

/// Trees that follow each other.
#[derive(Debug)]
enum Part<T> {
    /// All splits compare.
    Sequence(TreeSequence<T>),
    /// Some split asks something else.
    Tree(Tree<T>),
}

/// The leaf that counts, of all trees'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The lowest.
    Lowest,
    /// The highest.
    Highest,
}

// === impl Ensemble ===

impl<T: Number> Ensemble<T> {
    pub(super) fn new(
        features: usize,
        outputs: usize,
        trees: Vec<Tree<T>>,
        is_complete: bool,
    ) -> Self {
        let count = trees.len();
        let mut columns = Columns::new(constants(outputs));
        let mut parts = Vec::new();
        for tree in trees {
            push(&mut parts, tree, &mut columns);
        }
        keep(|| {
            let columns = columns.kept();
            let parts = parts.iter().map(Part::kept).collect();
            Self { features, outputs, trees: count, is_complete, columns, parts }
        })
    }

    /// Returns the number of features of a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Returns the number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the number of trees.
    pub fn trees(&self) -> usize {
        self.trees
    }

    /// Returns true if every row gets a number for every output.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Adds every tree's leaf to `sums`, in the order of the trees and in their type, which may be
    /// wider than that of the leaves. `rows` is `[n, features]`, `sums` is `[n, outputs]` and holds
    /// what the sums start with.
    pub fn add_to<S: AddAssign>(&self, rows: &[T], sums: &mut [S])
    where
        T: Into<S>,
    {
        let outputs = self.outputs;
        let count = sums.len().checked_div(outputs).unwrap_or_default();
        self.visit(rows, count, |row, output, values| {
            let start = row * outputs + output;
            let sums = &mut sums[start..start + values.len()];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += (*value).into());
        });
    }

    /// Sets each output's lowest or highest leaf in `extremes`, `[n, outputs]` for `rows` of
    /// `[n, features]`. Outputs that no leaf is for keep their value.
    pub fn extremes(&self, which: Extreme, rows: &[T], extremes: &mut [T]) {
        let outputs = self.outputs;
        let count = extremes.len().checked_div(outputs).unwrap_or_default();
        let mut found = vec![false; extremes.len()];
        self.visit(rows, count, |row, output, values| {
            for (place, value) in (row * outputs + output..).zip(values) {
                let is_better = match which {
                    Extreme::Lowest => *value < extremes[place],
                    Extreme::Highest => *value > extremes[place],
                };
                if is_better || !found[place] {
                    extremes[place] = *value;
                    found[place] = true;
                }
            }
        });
    }

    /// Calls `put` with a row's number, an output and a leaf's numbers for it and those after it,
    /// for every row in the order of the trees. `count` is the number of rows.
    #[inline(always)]
    fn visit(&self, rows: &[T], count: usize, mut put: impl FnMut(usize, usize, &[T])) {
        let columns = self.columns.len();
        let block_rows = (BLOCK / columns).clamp(8, BLOCK_ROWS);
        let mut prepared = vec![T::default(); columns * block_rows.min(count)];
        for first in (0..count).step_by(block_rows) {
            let count = block_rows.min(count - first);
            let start = first.saturating_mul(self.features);
            let Some(rows) = rows.get(start..start + count * self.features) else { return };
            self.prepare(rows, count, &mut prepared);
            let block =
                Block { rows, features: self.features, prepared: &prepared, columns, count };
            for part in &self.parts {
                let put = &mut |row: usize, output, values: &[T]| put(first + row, output, values);
                match part {
                    Part::Sequence(sequence) => sequence.visit(block, put),
                    Part::Tree(tree) => tree.visit(block, put),
                }
            }
        }
    }

    fn prepare(&self, rows: &[T], count: usize, prepared: &mut [T]) {
        for (number, prepared) in prepared.chunks_mut(self.columns.len()).take(count).enumerate() {
            let row = rows.get(number * self.features..).unwrap_or_default();
            self.columns.prepare(row, prepared);
        }
    }
}

/// Adds a tree, to the last sequence if it is of its kind.
fn push<T: Number>(parts: &mut Vec<Part<T>>, tree: Tree<T>, columns: &mut Columns) {
    let Some(comparisons) = comparisons(&tree) else {
        return parts.push(Part::Tree(tree));
    };
    let kind = LeafKind::of(&tree, columns.constants());
    let is_alike = match parts.last() {
        Some(Part::Sequence(sequence)) => sequence.takes(kind),
        _ => false,
    };
    if !is_alike {
        parts.push(Part::Sequence(TreeSequence::new(kind)));
    }
    if let Some(Part::Sequence(sequence)) = parts.last_mut() {
        sequence.push(tree, &comparisons, columns, kind);
    }
}

/// Returns the comparison of every node that can be reached; `None` if a split asks something else.
fn comparisons<T: Number>(tree: &Tree<T>) -> Option<Vec<Option<Comparison<T>>>> {
    let mut comparisons = Vec::with_capacity(tree.nodes.len());
    for node in &tree.nodes {
        comparisons.push(match node {
            Node::Leaf(_) => None,
            Node::Split(split) => Some(Comparison::of(split)?),
        });
    }
    Some(comparisons)
}

/// Returns the number of constant columns: as many as outputs, so that each leaf can name its own,
/// unless they would take too much of a block.
fn constants(outputs: usize) -> usize {
    if outputs <= MOST_CONSTANTS { outputs.max(1) } else { 1 }
}

// === impl Part ===

impl<T: Number> Part<T> {
    /// Copies the part to where it stays.
    fn kept(&self) -> Self {
        match self {
            Self::Sequence(sequence) => Self::Sequence(sequence.kept()),
            Self::Tree(tree) => Self::Tree(Tree { root: tree.root, nodes: tree.nodes.clone() }),
        }
    }
}

// === impl Tree ===

impl<T: Number> Tree<T> {
    fn visit(&self, block: Block<'_, T>, put: &mut impl FnMut(usize, usize, &[T])) {
        for number in 0..block.count {
            let row = block.rows.get(number * block.features..).unwrap_or_default();
            if let Some(leaf) = self.leaf(row) {
                leaf.visit(row, &mut |output, values| put(number, output, values));
            }
        }
    }

    fn leaf(&self, row: &[T]) -> Option<&Leaf<T>> {
        let mut index = self.root;
        loop {
            match self.nodes.get(index)? {
                Node::Leaf(leaf) => return Some(leaf),
                Node::Split(split) => {
                    let yes = split.answer(*row.get(split.feature)?);
                    index = if yes { split.yes } else { split.no };
                }
            }
        }
    }
}
