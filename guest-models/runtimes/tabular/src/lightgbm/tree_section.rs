//! The section of one tree in a LightGBM file: its lines, read into nodes and leaves.

use std::collections::BTreeMap;

use wardian_sdk::{Error, OrError};

use super::Lines;
use super::lines::Line;
use crate::number_lists::{doubles, number, numbers, shortened};
use crate::trees::{Categories, Leaf, Missing, Node, Split, Test};

/// The fields that decide a row's leaf and what it adds.
const FIELDS: [&str; 13] = [
    "num_leaves",
    "num_cat",
    "split_feature",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
    "leaf_const",
    "num_features",
];

/// More of them, and those that only say how the tree was trained.
const MORE_FIELDS: [&str; 12] = [
    "leaf_features",
    "leaf_coeff",
    "split_gain",
    "leaf_weight",
    "leaf_count",
    "leaf_parent",
    "internal_value",
    "internal_weight",
    "internal_count",
    "leaf_depth",
    "has_categorical",
    "shrinkage",
];

/// The bits of a split's `decision_type`.
const IS_CATEGORICAL: i8 = 1;
const IS_LEFT_IF_MISSING: i8 = 2;

/// The fields of one tree.
struct Section<'a> {
    fields: BTreeMap<&'a str, &'a str>,
    leaves: usize,
    /// Sets of categories.
    sets: usize,
}

/// Reads the lines after `Tree=` up to the next blank one. The root is the first node.
///
/// # Errors
/// Failed with the field that is absent, unknown or contradictory.
pub(super) fn read(lines: &mut Lines<'_>, output: usize) -> Result<Vec<Node<f64>>, Error> {
    let section = Section::read(lines)?;
    let mut nodes = section.splits()?;
    nodes.extend(section.leaves(output)?.into_iter().map(Node::Leaf));
    Ok(nodes)
}

// === impl Section ===

impl<'a> Section<'a> {
    fn read(lines: &mut Lines<'a>) -> Result<Self, Error> {
        let mut fields = BTreeMap::new();
        while let Some(Line::Field(key, value)) = lines.peek() {
            lines.next()?;
            if !FIELDS.contains(&key) && !MORE_FIELDS.contains(&key) {
                return Err(Error::failed(format_args!(
                    "the field {} is none of LightGBM's format 2 to 4",
                    shortened(key)
                )));
            }
            if fields.insert(key, value).is_some() {
                return Err(Error::failed(format_args!("the field {key} occurs twice")));
            }
        }
        let mut section = Self { fields, leaves: 0, sets: 0 };
        section.leaves = number("num_leaves", section.field("num_leaves")?)?;
        section.sets = number("num_cat", section.field("num_cat")?)?;
        if section.leaves == 0 {
            return Err(Error::failed("num_leaves is 0"));
        }
        section.check_lengths()?;
        Ok(section)
    }

    /// Checks the lists that no answer depends on. The library reads them, and refuses a file in
    /// which one is cut.
    fn check_lengths(&self) -> Result<(), Error> {
        let splits = self.leaves.saturating_sub(1);
        if splits == 0 {
            // The library does not read the lists of a tree that is one leaf.
            return Ok(());
        }
        for (key, count) in [
            ("leaf_weight", self.leaves),
            ("leaf_count", self.leaves),
            ("split_gain", splits),
            ("internal_value", splits),
            ("internal_weight", splits),
            ("internal_count", splits),
        ] {
            let Some(list) = self.fields.get(key) else { continue };
            let found = list.split_ascii_whitespace().count();
            if found != count {
                return Err(Error::failed(format_args!("{key} has {found} of {count} numbers")));
            }
        }
        Ok(())
    }

    fn field(&self, key: &str) -> Result<&'a str, Error> {
        let value = self.fields.get(key).copied();
        value.or_failed(format_args!("the field {key} is absent; the file may have been cut"))
    }

    fn splits(&self) -> Result<Vec<Node<f64>>, Error> {
        let count = self.leaves - 1;
        if count == 0 {
            return Ok(Vec::new());
        }
        let features: Vec<usize> = numbers("split_feature", self.field("split_feature")?, count)?;
        let thresholds = doubles("threshold", self.field("threshold")?, count)?;
        let left: Vec<i64> = numbers("left_child", self.field("left_child")?, count)?;
        let right: Vec<i64> = numbers("right_child", self.field("right_child")?, count)?;
        let types = match self.fields.get("decision_type") {
            Some(text) => numbers("decision_type", text, count)?,
            None => vec![0; count],
        };
        let mut sets = self.sets()?;

        let mut nodes = Vec::with_capacity(count);
        for (index, feature) in features.into_iter().enumerate() {
            let (test, missing) = question(types[index], thresholds[index], &mut sets)?;
            let (yes, no) = (self.node(left[index])?, self.node(right[index])?);
            nodes.push(Node::Split(Split { feature, test, missing, yes, no }));
        }
        Ok(nodes)
    }

    /// Returns the index of a child: a split, or the complement of a leaf's number. Leaves come
    /// after the splits.
    fn node(&self, child: i64) -> Result<usize, Error> {
        let splits = self.leaves - 1;
        let index = match usize::try_from(child) {
            Ok(split) if split < splits => Some(split),
            Ok(_) => None,
            Err(_) => usize::try_from(!child).ok().filter(|leaf| *leaf < self.leaves),
        };
        let index = index.map(|index| if child < 0 { splits + index } else { index });
        index.or_failed(format_args!(
            "a split leads to node {child}, of {splits} splits and {} leaves",
            self.leaves
        ))
    }

    /// The sets of categories that splits name by their index.
    fn sets(&self) -> Result<Vec<Option<Vec<u32>>>, Error> {
        if self.sets == 0 {
            return Ok(Vec::new());
        }
        let ends = self.sets.saturating_add(1);
        let ends: Vec<usize> = numbers("cat_boundaries", self.field("cat_boundaries")?, ends)?;
        let total = ends.last().copied().unwrap_or_default();
        let words: Vec<u32> = numbers("cat_threshold", self.field("cat_threshold")?, total)?;
        if ends.first() != Some(&0) || !ends.is_sorted() {
            return Err(Error::failed("cat_boundaries do not ascend from 0"));
        }
        let set = |pair: &[usize]| words.get(pair[0]..pair[1]).map(<[u32]>::to_vec);
        Ok(ends.windows(2).map(set).collect())
    }

    fn leaves(&self, output: usize) -> Result<Vec<Leaf<f64>>, Error> {
        let values = doubles("leaf_value", self.field("leaf_value")?, self.leaves)?;
        match self.fields.get("is_linear").map(|text| text.trim_ascii()) {
            None | Some("0") => {
                Ok(values.into_iter().map(|value| Leaf::One { output, value }).collect())
            }
            Some("1") => self.linear_leaves(output, values),
            Some(other) => Err(Error::failed(format_args!("is_linear is {}", shortened(other)))),
        }
    }

    fn linear_leaves(&self, output: usize, values: Vec<f64>) -> Result<Vec<Leaf<f64>>, Error> {
        let constants = doubles("leaf_const", self.field("leaf_const")?, self.leaves)?;
        let counts: Vec<usize> = numbers("num_features", self.field("num_features")?, self.leaves)?;
        let total = counts.iter().fold(0, |total: usize, count| total.saturating_add(*count));
        let features: Vec<usize> = numbers("leaf_features", self.field("leaf_features")?, total)?;
        let coefficients = doubles("leaf_coeff", self.field("leaf_coeff")?, total)?;

        let mut all = features.into_iter().zip(coefficients);
        let leaves = values.into_iter().zip(constants).zip(counts);
        let leaf = |((otherwise, constant), count)| {
            let terms = all.by_ref().take(count).collect();
            Leaf::Linear { output, constant, terms, otherwise }
        };
        Ok(leaves.map(leaf).collect())
    }
}

/// Returns the question of a split, and the side of missing values.
fn question(
    decision_type: i8,
    threshold: f64,
    sets: &mut [Option<Vec<u32>>],
) -> Result<(Test<f64>, Missing), Error> {
    // Without any set the library takes every split for one of numbers.
    if decision_type & IS_CATEGORICAL != 0 && !sets.is_empty() {
        let count = sets.len();
        let index = (0.0..count as f64).contains(&threshold).then_some(threshold as usize);
        // A set that many splits named would be copied for each, so a small file could fill the
        // memory.
        let members = index.and_then(|index| sets.get_mut(index)?.take());
        let members = members.or_failed(format_args!(
            "a threshold names the set of categories {threshold}, of {count}, or names it again"
        ))?;
        let categories = Categories { members, known: None, below_zero_is_zero: true };
        return Ok((Test::Category(categories), Missing::NanIsNo));
    }
    let is_left = decision_type & IS_LEFT_IF_MISSING != 0;
    let missing = match (decision_type >> 2 & 3, is_left) {
        (0, _) => Missing::NanIsZero,
        (1, true) => Missing::ZeroIsYes,
        (1, false) => Missing::ZeroIsNo,
        (2, true) => Missing::NanIsYes,
        (2, false) => Missing::NanIsNo,
        _ => {
            return Err(Error::failed(format_args!(
                "the decision_type {decision_type} has a missing type that is not known"
            )));
        }
    };
    Ok((Test::LessOrEqual(threshold), missing))
}
