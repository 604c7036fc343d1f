//! Checks trees and collects them.

use model_file::scratch;
use wardian_sdk::Error;

use super::{Ensemble, Leaf, Node, Number};

/// The most splits between a root and a leaf. Trained trees have a few dozen; the bound keeps a
/// row's time in proportion.
pub const MAX_DEPTH: usize = 4096;

/// The most nodes of an ensemble, so that their numbers fit in 32 bits with room for flags.
const MAX_NODES: usize = 1 << 26;

/// Collects the trees of an [`Ensemble`].
#[derive(Debug)]
pub struct EnsembleBuilder<T> {
    features: usize,
    outputs: usize,
    nodes: usize,
    trees: Vec<Tree<T>>,
    /// Some tree has a number for every output in each of its leaves.
    is_complete: bool,
}

/// A tree that has been checked.
#[derive(Debug)]
pub(super) struct Tree<T> {
    pub(super) root: usize,
    pub(super) nodes: Vec<Node<T>>,
}

// === impl EnsembleBuilder ===

impl<T: Number> EnsembleBuilder<T> {
    /// Starts an ensemble for rows of so many features, which adds to so many outputs.
    pub fn new(features: usize, outputs: usize) -> Self {
        Self { features, outputs, nodes: 0, trees: Vec::new(), is_complete: false }
    }

    /// Adds a tree, whose leaves are added after those of the trees before it. Nodes that cannot be
    /// reached from the root are ignored.
    ///
    /// # Errors
    /// Failed with the tree's number if an index is out of range, a node has two parents, the nodes
    /// form a cycle, or the tree is deeper than [`MAX_DEPTH`].
    pub fn add(&mut self, root: usize, nodes: Vec<Node<T>>) -> Result<(), Error> {
        let tree = self.trees.len();
        self.check(root, &nodes)
            .map_err(|fault| Error::failed(format_args!("tree {tree}: {fault}")))?;
        self.nodes += nodes.len();
        self.is_complete |=
            nodes.iter().all(|node| matches!(node, Node::Split(_) | Node::Leaf(Leaf::All(_))));
        self.trees.push(Tree { root, nodes });
        Ok(())
    }

    /// Makes the ensemble.
    pub fn build(self) -> Ensemble<T> {
        scratch(|| Ensemble::new(self.features, self.outputs, self.trees, self.is_complete))
    }

    /// Makes an ensemble whose leaves are only added to sums that start with zero. If it
    /// [is complete](Ensemble::is_complete), the zeros of leaves are left out: the sums are the
    /// same without them, and the leaves of a fully grown tree become single numbers.
    pub fn build_for_sums(mut self) -> Ensemble<T> {
        if self.is_complete {
            let nodes = self.trees.iter_mut().flat_map(|tree| &mut tree.nodes);
            nodes.for_each(leave_out_zeros);
        }
        self.build()
    }

    fn check(&self, root: usize, nodes: &[Node<T>]) -> Result<(), String> {
        if self.nodes.saturating_add(nodes.len()) > MAX_NODES {
            return Err(format!("the trees have more than {MAX_NODES} nodes"));
        }
        let mut seen = vec![false; nodes.len()];
        let mut open = vec![(root, 0)];
        while let Some((index, depth)) = open.pop() {
            let node = nodes
                .get(index)
                .ok_or_else(|| format!("a split leads to node {index}, of {}", nodes.len()))?;
            if std::mem::replace(&mut seen[index], true) {
                return Err(format!("two splits lead to node {index}"));
            }
            if depth > MAX_DEPTH {
                return Err(format!("it is deeper than {MAX_DEPTH} splits"));
            }
            match node {
                Node::Leaf(leaf) => self.check_leaf(leaf)?,
                Node::Split(split) => {
                    self.check_feature(split.feature)?;
                    open.extend([(split.no, depth + 1), (split.yes, depth + 1)]);
                }
            }
        }
        Ok(())
    }

    fn check_feature(&self, feature: usize) -> Result<(), String> {
        if feature >= self.features {
            return Err(format!("a node asks for feature {feature}, of {}", self.features));
        }
        Ok(())
    }

    fn check_leaf(&self, leaf: &Leaf<T>) -> Result<(), String> {
        match leaf {
            Leaf::One { output, .. } => self.check_output(*output),
            Leaf::Some(weights) => {
                weights.iter().try_for_each(|(output, _)| self.check_output(*output))
            }
            Leaf::All(values) if values.len() == self.outputs => Ok(()),
            Leaf::All(values) => {
                Err(format!("a leaf has {} values for {} outputs", values.len(), self.outputs))
            }
            Leaf::Linear { output, terms, .. } => {
                terms.iter().try_for_each(|(feature, _)| self.check_feature(*feature))?;
                self.check_output(*output)
            }
        }
    }

    fn check_output(&self, output: usize) -> Result<(), String> {
        if output >= self.outputs {
            return Err(format!("a leaf is for output {output}, of {}", self.outputs));
        }
        Ok(())
    }
}

/// Leaves the zeros of a leaf out if few numbers remain.
fn leave_out_zeros<T: Number>(node: &mut Node<T>) {
    let Node::Leaf(Leaf::All(values)) = node else { return };
    let is_zero = |value: &T| *value == T::default();
    let others = || values.iter().copied().enumerate().filter(|(_, value)| !is_zero(value));

    let leaf = match others().count() {
        0 | 1 => {
            let (output, value) = others().next().unwrap_or_default();
            Leaf::One { output, value }
        }
        _ => return,
    };
    *node = Node::Leaf(leaf);
}
