//! Trees as the attributes of the classifier and the regressor list them: by tree and node.

use std::collections::BTreeMap;

use model_file::scratch;
use wardian_sdk::{Error, OrError};

use super::Precision;
use crate::trees::{self, EnsembleBuilder, Leaf, Missing, Split, Test};
use onnx_executor::node::Node;
use onnx_executor::operators::matrix::indices;

/// The lists of `nodes_*`, all of one length.
struct Nodes<'a, T> {
    trees: &'a [i64],
    nodes: &'a [i64],
    features: Vec<usize>,
    modes: Vec<Mode>,
    values: Vec<T>,
    true_nodes: &'a [i64],
    false_nodes: &'a [i64],
    missing_is_true: &'a [i64],
}

/// The question of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    NotEqual,
    Leaf,
}

/// The weights of leaves: `class_*` or `target_*`.
pub(super) struct Weights<T> {
    /// By tree and node: outputs and weights.
    leaves: BTreeMap<(i64, i64), Vec<(usize, T)>>,
}

/// The place of a node: its index in the lists, and in its tree.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    in_tree: usize,
}

/// A tree while it is read: its nodes by their numbers.
type Tree = BTreeMap<i64, Place>;

// === Weights ===

impl<T: Precision> Weights<T> {
    /// Reads the weights of attributes that start with `class` or `target`.
    ///
    /// # Errors
    /// Failed if the lists differ in length, or an output is negative.
    pub(super) fn read(node: &Node<'_>, start: &'static str) -> Result<Self, Error> {
        scratch(|| Self::read_here(node, start))
    }

    fn read_here(node: &Node<'_>, start: &'static str) -> Result<Self, Error> {
        let trees = node.integers(&format!("{start}_treeids"));
        let nodes = node.integers(&format!("{start}_nodeids"));
        let name = format!("{start}_ids");
        let outputs = indices(&name, node.integers(&name))?;
        let weights = numbers(node, &format!("{start}_weights"))?;
        let counts = [trees.len(), nodes.len(), outputs.len(), weights.len()];
        all_equal(&format!("{start}_*"), &counts)?;

        let mut leaves = BTreeMap::<_, Vec<_>>::new();
        let places = trees.iter().copied().zip(nodes.iter().copied());
        for (place, weight) in places.zip(outputs.into_iter().zip(weights)) {
            leaves.entry(place).or_default().push(weight);
        }
        Ok(Self { leaves })
    }

    /// Returns all outputs and weights.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(usize, T)> {
        self.leaves.values().flatten()
    }
}

/// Reads numbers, which are floats or a tensor.
///
/// # Errors
/// Failed if the tensor is not of the type in which the input is compared.
pub(super) fn numbers<T: Precision>(node: &Node<'_>, name: &str) -> Result<Vec<T>, Error> {
    let tensor = node.tensor(&format!("{name}_as_tensor"))?;
    let floats = node.floats(name);
    match tensor {
        Some(tensor) if floats.is_empty() => {
            T::exactly(tensor).or_failed(format_args!("the attribute \"{name}_as_tensor\""))
        }
        Some(_) => Err(Error::failed(format_args!("both {name} and {name}_as_tensor"))),
        None => Ok(floats.iter().copied().map(T::from).collect()),
    }
}

fn all_equal(name: &str, lengths: &[usize]) -> Result<(), Error> {
    if lengths.iter().any(|length| Some(length) != lengths.first()) {
        return Err(Error::failed(format_args!("the attributes {name} have lengths {lengths:?}")));
    }
    Ok(())
}

// === Trees ===

/// Reads the trees, whose leaves add to so many outputs.
///
/// # Errors
/// Failed if the nodes do not form trees, or the lists differ in length.
pub(super) fn read<T: Precision>(
    node: &Node<'_>,
    weights: Weights<T>,
    outputs: usize,
) -> Result<EnsembleBuilder<T>, Error> {
    scratch(|| read_trees(node, weights, outputs))
}

fn read_trees<T: Precision>(
    node: &Node<'_>,
    mut weights: Weights<T>,
    outputs: usize,
) -> Result<EnsembleBuilder<T>, Error> {
    let nodes = Nodes::<T>::read(node)?;
    let mut order = Vec::new();
    let mut trees = BTreeMap::<i64, Tree>::new();
    for (index, (tree, node)) in nodes.trees.iter().zip(nodes.nodes).enumerate() {
        let places = trees.entry(*tree).or_insert_with(|| {
            order.push(*tree);
            Tree::new()
        });
        let place = Place { index, in_tree: places.len() };
        if places.insert(*node, place).is_some() {
            return Err(Error::failed(format_args!("tree {tree} has node {node} twice")));
        }
    }

    let mut builder = EnsembleBuilder::new(nodes.feature_count(), outputs);
    for number in order {
        let tree = trees.remove(&number).unwrap_or_default();
        let root = nodes.root(&tree).or_failed(format_args!("tree {number}"))?;
        let made = nodes.tree(number, &tree, &mut weights, outputs)?;
        builder.add(root, made)?;
    }
    match weights.leaves.first_key_value() {
        Some(((tree, node), _)) => {
            Err(Error::failed(format_args!("tree {tree} has no node {node}, which has a weight")))
        }
        None => Ok(builder),
    }
}

impl<'a, T: Precision> Nodes<'a, T> {
    fn read(node: &Node<'a>) -> Result<Self, Error> {
        let modes = node.texts("nodes_modes")?;
        let modes = modes.iter().map(|mode| Mode::of(mode)).collect::<Result<Vec<_>, _>>()?;
        let nodes = Self {
            trees: node.integers("nodes_treeids"),
            nodes: node.integers("nodes_nodeids"),
            features: indices("nodes_featureids", node.integers("nodes_featureids"))?,
            values: numbers(node, "nodes_values")?,
            true_nodes: node.integers("nodes_truenodeids"),
            false_nodes: node.integers("nodes_falsenodeids"),
            missing_is_true: node.integers("nodes_missing_value_tracks_true"),
            modes,
        };
        // Hit rates of the training do not change an answer.
        numbers::<f64>(node, "nodes_hitrates")?;

        let counts = [
            nodes.modes.len(),
            nodes.trees.len(),
            nodes.nodes.len(),
            nodes.features.len(),
            nodes.values.len(),
            nodes.true_nodes.len(),
            nodes.false_nodes.len(),
        ];
        all_equal("nodes_*", &counts)?;
        if !nodes.missing_is_true.is_empty() {
            let lengths = [nodes.modes.len(), nodes.missing_is_true.len()];
            all_equal("nodes_missing_value_tracks_true", &lengths)?;
        }
        Ok(nodes)
    }

    /// Returns the number of features that the rows need at least.
    fn feature_count(&self) -> usize {
        let splits = self.features.iter().zip(&self.modes).filter(|(_, mode)| **mode != Mode::Leaf);
        splits.map(|(feature, _)| feature + 1).max().unwrap_or_default()
    }

    /// Returns the node of a tree that no other leads to.
    fn root(&self, tree: &Tree) -> Result<usize, Error> {
        let mut is_below = vec![false; tree.len()];
        for place in tree.values().filter(|place| self.mode(**place) != Mode::Leaf) {
            for children in [self.true_nodes, self.false_nodes] {
                let child = children.get(place.index).and_then(|child| tree.get(child));
                if let Some(slot) = child.and_then(|child| is_below.get_mut(child.in_tree)) {
                    *slot = true;
                }
            }
        }
        let mut roots = (0..tree.len()).filter(|node| is_below.get(*node) == Some(&false));
        match (roots.next(), roots.next()) {
            (Some(root), None) => Ok(root),
            (None, _) => Err(Error::failed("its nodes form a cycle")),
            (Some(_), Some(_)) => Err(Error::failed("it has several roots")),
        }
    }

    fn mode(&self, place: Place) -> Mode {
        self.modes.get(place.index).copied().unwrap_or(Mode::Leaf)
    }

    /// Makes the nodes of a tree. Takes the weights of its nodes.
    fn tree(
        &self,
        number: i64,
        tree: &Tree,
        weights: &mut Weights<T>,
        outputs: usize,
    ) -> Result<Vec<trees::Node<T>>, Error> {
        let mut made = vec![trees::Node::Leaf(Leaf::Some(Vec::new())); tree.len()];
        for (node, place) in tree {
            let weights = weights.leaves.remove(&(number, *node)).unwrap_or_default();
            let split = self.split(tree, *place).or_failed(format_args!("tree {number}"))?;
            if let Some(slot) = made.get_mut(place.in_tree) {
                *slot = match split {
                    Some(split) => trees::Node::Split(split),
                    None => trees::Node::Leaf(leaf(weights, outputs)),
                };
            }
        }
        Ok(made)
    }

    /// Returns the split of a node; `None` if it is a leaf.
    fn split(&self, tree: &Tree, place: Place) -> Result<Option<Split<T>>, Error> {
        let index = place.index;
        let child = |children: &[i64]| {
            let number = children.get(index).copied().unwrap_or_default();
            let child = tree.get(&number).map(|child| child.in_tree);
            child.or_failed(format_args!("a split leads to node {number}, which is not there"))
        };
        let missing = match self.missing_is_true.get(index) {
            None | Some(0) => Missing::Never,
            Some(_) => Missing::NanIsYes,
        };
        let (Some(value), Some(feature)) = (self.values.get(index), self.features.get(index))
        else {
            return Ok(None);
        };
        let test = match self.mode(place) {
            Mode::Leaf => return Ok(None),
            Mode::LessOrEqual => Test::LessOrEqual(*value),
            Mode::Less => Test::Less(*value),
            Mode::GreaterOrEqual => Test::GreaterOrEqual(*value),
            Mode::Greater => Test::Greater(*value),
            Mode::Equal => Test::Equal(*value),
            Mode::NotEqual => Test::NotEqual(*value),
        };
        let (yes, no) = (child(self.true_nodes)?, child(self.false_nodes)?);
        Ok(Some(Split { feature: *feature, test, missing, yes, no }))
    }
}

impl Mode {
    fn of(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "BRANCH_LEQ" => Self::LessOrEqual,
            "BRANCH_LT" => Self::Less,
            "BRANCH_GTE" => Self::GreaterOrEqual,
            "BRANCH_GT" => Self::Greater,
            "BRANCH_EQ" => Self::Equal,
            "BRANCH_NEQ" => Self::NotEqual,
            "LEAF" => Self::Leaf,
            other => {
                return Err(Error::failed(format_args!("nodes of mode {other:?} are not served")));
            }
        })
    }
}

/// Makes a leaf in the form that is fastest to add.
pub(super) fn leaf<T: Precision>(weights: Vec<(usize, T)>, outputs: usize) -> Leaf<T> {
    let is_for_all = weights.len() == outputs
        && weights.iter().enumerate().all(|(place, (output, _))| *output == place);
    match *weights {
        [(output, value)] => Leaf::One { output, value },
        _ if is_for_all => Leaf::All(weights.into_iter().map(|(_, value)| value).collect()),
        _ => Leaf::Some(weights),
    }
}
