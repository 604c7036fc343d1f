//! One tree of a file.

use wardian_sdk::{Error, OrError};

use super::document::{Fields, Value};
use crate::trees::{Categories, Leaf, Missing, Node, Split, Test};

/// The codes of categories are below it, so that a float has them exactly.
const MAX_CATEGORY: i64 = 1 << 24;

/// Reads the trees of a model one after another.
pub(super) struct TreeReader {
    /// The number of outputs of the model.
    pub(super) outputs: usize,
    /// The words that sets of categories may still take, for all trees together.
    pub(super) words: usize,
}

/// The arrays of a tree, of which each has an element for each node.
struct Columns {
    left: Vec<i64>,
    right: Vec<i64>,
    features: Vec<i64>,
    conditions: Vec<f32>,
    default_left: Vec<i64>,
    /// For splits by category the codes that go right.
    categories: Vec<Option<Vec<u32>>>,
    leaves: Leaves,
}

/// The place of the leaves' values.
enum Leaves {
    /// In place of a threshold.
    Conditions,
    /// In rows of this many, one row for each leaf; the number of the leaf is in place of a child.
    ByLeaf(usize, Vec<f32>),
    /// In rows of this many, one row for each node.
    ByNode(usize, Vec<f32>),
}

// === impl Leaves ===

impl Leaves {
    /// The values that are not in place of a threshold.
    fn values(&self) -> &[f32] {
        match self {
            Self::Conditions => &[],
            Self::ByLeaf(_, values) | Self::ByNode(_, values) => values,
        }
    }
}

// === impl TreeReader ===

impl TreeReader {
    /// Reads the nodes of a tree; the first is the root. `output` is the one that its leaves are
    /// for, unless they have a value for each. `weight` turns the value of a leaf into what is
    /// added.
    ///
    /// # Errors
    /// Failed if the tree is not valid.
    pub(super) fn read(
        &mut self,
        tree: Value,
        output: usize,
        weight: impl Fn(f32) -> f32,
    ) -> Result<Vec<Node<f32>>, Error> {
        let object = tree.into_object().or_failed("it is not an object")?;
        let columns = self.columns(Fields::new("a tree", object))?;
        (0..columns.left.len()).map(|index| columns.node(index, output, &weight)).collect()
    }

    fn columns(&mut self, mut fields: Fields) -> Result<Columns, Error> {
        let mut sizes = fields.fields("tree_param")?;
        let nodes = sizes.count("num_nodes", 1)? as usize;
        let leaf_size = sizes.count("size_leaf_vector", 1)? as usize;
        sizes.ignore(&["num_deleted", "num_feature", "num_roots"]);
        sizes.finish()?;

        let leaves = self.leaves(&mut fields, leaf_size)?;
        let columns = Columns {
            left: fields.integers("left_children")?,
            right: fields.integers("right_children")?,
            features: fields.integers("split_indices")?,
            conditions: fields.numbers("split_conditions")?,
            default_left: fields.integers("default_left")?,
            categories: self.categories(&mut fields, nodes)?,
            leaves,
        };
        fields.ignore(&["id", "loss_changes", "sum_hessian", "parents", "leaf_child_counts"]);
        fields.finish()?;
        columns.check(nodes)?;
        Ok(columns)
    }

    fn leaves(&self, fields: &mut Fields, size: usize) -> Result<Leaves, Error> {
        if size <= 1 {
            fields.ignore(&["base_weights", "leaf_weights"]);
            return Ok(Leaves::Conditions);
        }
        if size != self.outputs {
            let outputs = self.outputs;
            let text = format!("its leaves have {size} values for a model of {outputs} outputs");
            return Err(Error::failed(text));
        }
        // Before 3.2 every node had its values.
        match fields.find("leaf_weights") {
            None => Ok(Leaves::ByNode(size, fields.numbers("base_weights")?)),
            Some(weights) => {
                fields.ignore(&["base_weights"]);
                let weights =
                    weights.into_numbers().or_failed("leaf_weights is not an array of numbers")?;
                Ok(Leaves::ByLeaf(size, weights))
            }
        }
    }

    /// Reads the codes of the splits by category, for every node.
    fn categories(
        &mut self,
        fields: &mut Fields,
        nodes: usize,
    ) -> Result<Vec<Option<Vec<u32>>>, Error> {
        let Some(types) = fields.find("split_type") else { return Ok(Vec::new()) };
        let types = types.into_integers().filter(|types| types.len() == nodes);
        let types = types.or_failed("split_type has not one number for each node")?;
        let codes = fields.integers("categories")?;
        let starts = fields.integers("categories_segments")?;
        let sizes = fields.integers("categories_sizes")?;
        let of_nodes = fields.integers("categories_nodes")?;
        if starts.len() != of_nodes.len() || sizes.len() != of_nodes.len() {
            return Err(Error::failed(
                "categories_nodes, categories_segments and categories_sizes have different lengths",
            ));
        }
        if types.iter().all(|kind| *kind == 0) && of_nodes.is_empty() {
            return Ok(Vec::new());
        }

        let mut all = vec![None; nodes];
        for ((node, start), size) in of_nodes.iter().zip(starts).zip(sizes) {
            let place = usize::try_from(*node).ok().and_then(|node| all.get_mut(node));
            let place = place.or_failed(format_args!("categories_nodes has a node {node}"))?;
            let codes = segment(&codes, start, size).or_failed(format_args!(
                "the categories of node {node} are {size} from {start}, of {}",
                codes.len()
            ))?;
            *place = Some(self.words(codes)?);
        }
        let fits =
            |(kind, set): (&i64, &Option<_>)| matches!((kind, set), (0, None) | (1, Some(_)));
        match types.iter().zip(&all).position(|pair| !fits(pair)) {
            None => Ok(all),
            Some(node) => Err(Error::failed(format_args!(
                "split_type and categories_nodes differ about node {node}"
            ))),
        }
    }

    /// Makes a set of codes.
    fn words(&mut self, codes: &[i64]) -> Result<Vec<u32>, Error> {
        let largest = codes.iter().copied().max().unwrap_or_default();
        let is_code = |code: &i64| (0..MAX_CATEGORY).contains(code);
        if !codes.iter().all(is_code) {
            return Err(Error::failed(format_args!(
                "categories has a code that is not from 0 to {}",
                MAX_CATEGORY - 1
            )));
        }
        let words = largest as usize / 32 + 1;
        self.words = self
            .words
            .checked_sub(words)
            .or_failed("the sets of categories are too large for a file of this size")?;
        Ok(Categories::words(codes.iter().map(|code| *code as u32)))
    }
}

fn segment(codes: &[i64], start: i64, size: i64) -> Option<&[i64]> {
    let (start, size) = (usize::try_from(start).ok()?, usize::try_from(size).ok()?);
    codes.get(start..start.checked_add(size)?).filter(|codes| !codes.is_empty())
}

// === impl Columns ===

impl Columns {
    fn check(&self, nodes: usize) -> Result<(), Error> {
        let lengths = [
            ("left_children", self.left.len()),
            ("right_children", self.right.len()),
            ("split_indices", self.features.len()),
            ("split_conditions", self.conditions.len()),
            ("default_left", self.default_left.len()),
        ];
        // The library writes no NaN and reads no null.
        if self.conditions.iter().chain(self.leaves.values()).any(|number| number.is_nan()) {
            return Err(Error::failed("split_conditions or leaf_weights has null or NaN"));
        }
        match lengths.into_iter().find(|(_, length)| *length != nodes) {
            None => Ok(()),
            Some((field, length)) => Err(Error::failed(format_args!(
                "{field} has {length} elements for num_nodes {nodes}"
            ))),
        }
    }

    fn node(
        &self,
        index: usize,
        output: usize,
        weight: &impl Fn(f32) -> f32,
    ) -> Result<Node<f32>, Error> {
        let at = |column: &[i64]| column.get(index).copied().unwrap_or_default();
        let (left, right) = (at(&self.left), at(&self.right));
        if left == -1 {
            let leaf = self.leaf(index, right, output, weight);
            return leaf.map(Node::Leaf).or_failed(format_args!("node {index} has no leaf values"));
        }
        // The library takes the node after the left child for the right one.
        if right != left.wrapping_add(1) {
            let text =
                format!("the children of node {index} are {left} and {right}, not neighbours");
            return Err(Error::failed(text));
        }
        let number = |number: i64, what: &str| {
            usize::try_from(number).or_failed(format_args!("the {what} of node {index}"))
        };
        let feature = number(at(&self.features), "split_indices")?;
        let (left, right) = (number(left, "left_children")?, number(right, "right_children")?);
        Ok(Node::Split(self.split(index, feature, left, right)))
    }

    fn split(&self, index: usize, feature: usize, left: usize, right: usize) -> Split<f32> {
        let default_left = self.default_left.get(index) == Some(&1);
        match self.categories.get(index).cloned().flatten() {
            None => {
                let threshold = self.conditions.get(index).copied().unwrap_or_default();
                let missing = if default_left { Missing::NanIsYes } else { Missing::NanIsNo };
                Split { feature, test: Test::Less(threshold), missing, yes: left, no: right }
            }
            Some(members) => {
                let categories = Categories { members, known: None, below_zero_is_zero: false };
                let missing = if default_left { Missing::NanIsNo } else { Missing::NanIsYes };
                Split { feature, test: Test::Category(categories), missing, yes: right, no: left }
            }
        }
    }

    fn leaf(
        &self,
        index: usize,
        leaf: i64,
        output: usize,
        weight: &impl Fn(f32) -> f32,
    ) -> Option<Leaf<f32>> {
        let row = |values: &[f32], row: usize, size: usize| {
            let start = row.checked_mul(size)?;
            let values = values.get(start..start.checked_add(size)?)?;
            Some(Leaf::All(values.iter().map(|value| weight(*value)).collect()))
        };
        match &self.leaves {
            Leaves::Conditions => {
                Some(Leaf::One { output, value: weight(*self.conditions.get(index)?) })
            }
            Leaves::ByNode(size, values) => row(values, index, *size),
            Leaves::ByLeaf(size, values) => row(values, usize::try_from(leaf).ok()?, *size),
        }
    }
}
