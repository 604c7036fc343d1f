//! TreeEnsemble, which lists branches and leaves apart.

use std::collections::VecDeque;

use wardian_sdk::{Error, OrError};

use super::Precision;
use super::attributes::leaf;
use super::regressor::{Aggregate, Regression};
use crate::onnx::ml::post_transform::PostTransform;
use crate::trees::{self, EnsembleBuilder, Extreme, Missing, Split, Test};
use onnx_executor::kernel::Kernel;
use onnx_executor::node::Node;
use onnx_executor::operators::matrix::indices;
use onnx_executor::operators::{Domain, Operator};
use onnx_executor::tensor::{Element, ElementType, Shape, Tensor};

pub(in crate::onnx::ml) const ENSEMBLE: Operator = Operator {
    domain: Domain::Ml,
    name: "TreeEnsemble",
    versions: (5, Domain::NEWEST_ML),
    accepts: ElementType::FLOATS,
    build: |node| match node.input_type(0)? {
        ElementType::F64 => build::<f64>(node, |values, _, _| values),
        _ => build::<f32>(node, |mut values, transform, targets| {
            values.chunks_mut(targets.max(1)).for_each(|row| transform.apply(row));
            values
        }),
    },
};

/// The branches and leaves of all trees.
struct Lists<T> {
    features: Vec<usize>,
    tests: Vec<Test<T>>,
    missing_is_true: Vec<usize>,
    true_children: Vec<usize>,
    true_leaves: Vec<usize>,
    false_children: Vec<usize>,
    false_leaves: Vec<usize>,
    leaf_outputs: Vec<usize>,
    leaf_weights: Vec<T>,
}

/// A node that an answer leads to.
struct Child {
    /// The place among the branches, or among the leaves.
    index: usize,
    is_leaf: bool,
}

fn build<T: Precision + Element>(
    node: &Node<'_>,
    transform: fn(Vec<T>, PostTransform, usize) -> Vec<T>,
) -> Result<Kernel, Error> {
    let targets = usize::try_from(node.integer("n_targets", 1)).or_failed("n_targets")?;
    let aggregate = match node.integer("aggregate_function", 1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Extreme(Extreme::Lowest),
        3 => Aggregate::Extreme(Extreme::Highest),
        other => {
            return Err(Error::failed(format_args!("the aggregate_function {other} is unknown")));
        }
    };
    let post_transform = PostTransform::read_number(node)?;
    if T::TYPE == ElementType::F64 && post_transform != PostTransform::None {
        return Err(Error::failed("a post_transform of doubles is not served"));
    }

    let lists = Lists::<T>::read(node)?;
    let features = lists.features.iter().map(|feature| feature + 1).max().unwrap_or_default();
    let mut builder = EnsembleBuilder::new(features, targets);
    let mut seen = vec![false; lists.tests.len()];
    for root in indices("tree_roots", node.integers("tree_roots"))? {
        builder.add(0, lists.tree(root, &mut seen, targets)?)?;
    }
    let regression = Regression {
        ensemble: builder.build(),
        aggregate,
        base: Vec::new(),
        transform: post_transform,
    };
    Ok(Kernel::new(T::TYPE, move |arguments| {
        let (rows, values) = regression.predict(arguments)?;
        let values = transform(values, regression.transform, targets);
        Tensor::new(Shape::new(&[rows, targets])?, values)
    }))
}

impl<T: Precision> Lists<T> {
    fn read(node: &Node<'_>) -> Result<Self, Error> {
        let list = |name: &'static str| indices(name, node.integers(name));
        let features = list("nodes_featureids")?;
        let lists = Self {
            tests: tests(node)?,
            missing_is_true: match node.integers("nodes_missing_value_tracks_true") {
                [] => vec![0; features.len()],
                _ => list("nodes_missing_value_tracks_true")?,
            },
            features,
            true_children: list("nodes_truenodeids")?,
            true_leaves: list("nodes_trueleafs")?,
            false_children: list("nodes_falsenodeids")?,
            false_leaves: list("nodes_falseleafs")?,
            leaf_outputs: list("leaf_targetids")?,
            leaf_weights: tensor(node, "leaf_weights")?,
        };
        // Hit rates of the training do not change an answer.
        node.tensor("nodes_hitrates")?;
        lists.check()?;
        Ok(lists)
    }

    fn check(&self) -> Result<(), Error> {
        let nodes = [
            self.features.len(),
            self.tests.len(),
            self.missing_is_true.len(),
            self.true_children.len(),
            self.true_leaves.len(),
            self.false_children.len(),
            self.false_leaves.len(),
        ];
        let leaves = [self.leaf_outputs.len(), self.leaf_weights.len()];
        for (name, lengths) in [("nodes_*", &nodes[..]), ("leaf_*", &leaves[..])] {
            if lengths.iter().any(|length| Some(length) != lengths.first()) {
                let text = format!("the attributes {name} have lengths {lengths:?}");
                return Err(Error::failed(text));
            }
        }
        Ok(())
    }

    /// Makes the tree of a root. Marks its branches, each of which belongs to one tree only.
    fn tree(
        &self,
        root: usize,
        seen: &mut [bool],
        targets: usize,
    ) -> Result<Vec<trees::Node<T>>, Error> {
        let mut made = Vec::new();
        let mut next = 1;
        let mut open = VecDeque::from([Child { index: root, is_leaf: false }]);
        while let Some(Child { index, is_leaf }) = open.pop_front() {
            if is_leaf {
                made.push(self.leaf(index, targets)?);
                continue;
            }
            let is_seen =
                seen.get_mut(index).or_failed(format_args!("there is no node {index}"))?;
            if std::mem::replace(is_seen, true) {
                return Err(Error::failed(format_args!(
                    "two splits or roots lead to node {index}"
                )));
            }
            let (split, children) = self.split(index, next).or_failed("a list is too short")?;
            made.push(trees::Node::Split(split));
            open.extend(children);
            next += 2;
        }
        Ok(made)
    }

    fn leaf(&self, index: usize, targets: usize) -> Result<trees::Node<T>, Error> {
        let weight = self.leaf_outputs.get(index).zip(self.leaf_weights.get(index));
        let (output, value) = weight.or_failed(format_args!("there is no leaf {index}"))?;
        Ok(trees::Node::Leaf(leaf(vec![(*output, *value)], targets)))
    }

    /// Returns a split whose children are made as nodes `next` and the one after it, and those
    /// children.
    fn split(&self, index: usize, next: usize) -> Option<(Split<T>, [Child; 2])> {
        let split = Split {
            feature: *self.features.get(index)?,
            test: self.tests.get(index)?.clone(),
            missing: match self.missing_is_true.get(index)? {
                0 => Missing::Never,
                _ => Missing::NanIsYes,
            },
            yes: next,
            no: next + 1,
        };
        let yes = Child {
            index: *self.true_children.get(index)?,
            is_leaf: *self.true_leaves.get(index)? != 0,
        };
        let no = Child {
            index: *self.false_children.get(index)?,
            is_leaf: *self.false_leaves.get(index)? != 0,
        };
        Some((split, [yes, no]))
    }
}

/// Reads the questions of all nodes.
fn tests<T: Precision>(node: &Node<'_>) -> Result<Vec<Test<T>>, Error> {
    let modes =
        node.tensor("nodes_modes")?.or_failed("the attribute \"nodes_modes\" is missing")?;
    let modes = modes.into_values::<u8>()?;
    let values = tensor::<T>(node, "nodes_splits")?;
    if values.len() != modes.len() {
        let text = format!("{} nodes_splits for {} nodes_modes", values.len(), modes.len());
        return Err(Error::failed(text));
    }
    let members = match node.tensor("membership_values")? {
        Some(tensor) => T::exactly(tensor)?,
        None => Vec::new(),
    };
    // NaN ends a set; the sets belong to the nodes that ask for members, in their order.
    let mut sets = members.split(|member| member.is_nan());
    let test = |(mode, value): (u8, T)| {
        Ok(match mode {
            0 => Test::LessOrEqual(value),
            1 => Test::Less(value),
            2 => Test::GreaterOrEqual(value),
            3 => Test::Greater(value),
            4 => Test::Equal(value),
            5 => Test::NotEqual(value),
            6 => Test::OneOf(sets.next().or_failed("too few sets in membership_values")?.to_vec()),
            other => return Err(Error::failed(format_args!("nodes of mode {other} are unknown"))),
        })
    };
    modes.into_iter().zip(values).map(test).collect()
}

fn tensor<T: Precision>(node: &Node<'_>, name: &'static str) -> Result<Vec<T>, Error> {
    let tensor = node.tensor(name)?.or_failed(format_args!("the attribute {name:?} is missing"))?;
    T::exactly(tensor).or_failed(format_args!("the attribute {name:?}"))
}
