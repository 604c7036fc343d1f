//! The nodes of a tree.

use wardian_sdk::{Error, OrError};

use super::document::TreeFields;
use crate::frame::Column;
use crate::number_lists::{doubles, numbers};
use crate::trees::{Categories, Leaf, Missing, Node, Split, Test};

/// The feature of a leaf, and the set of a split without one.
const NONE: i64 = -1;

/// The lists of a tree as numbers.
struct Lists {
    feature: Vec<i64>,
    number: Vec<f64>,
    left: Vec<usize>,
    right: Vec<usize>,
    missing_left: Vec<u8>,
    set: Vec<i64>,
    sets: Vec<Option<Vec<u32>>>,
}

/// Reads a tree, whose leaves are for one output. The root is the first node.
///
/// # Errors
/// Failed if the lists are not as long as each other, or a set is not of a column with categories.
pub(super) fn nodes(
    fields: &TreeFields<'_>,
    columns: &[Column],
    output: usize,
) -> Result<Vec<Node<f64>>, Error> {
    let mut lists = Lists::read(fields)?;
    (0..lists.feature.len()).map(|index| lists.node(index, columns, output)).collect()
}

// === impl Lists ===

impl Lists {
    fn read(fields: &TreeFields<'_>) -> Result<Self, Error> {
        let count = fields.feature.split_ascii_whitespace().count();
        let set = fields.set.as_ref();
        let words = |text: &str| {
            let count = text.split_ascii_whitespace().count();
            numbers("sets", text, count).map(Some)
        };
        Ok(Self {
            feature: numbers("feature", &fields.feature, count)?,
            number: doubles("number", &fields.number, count)?,
            left: numbers("left", &fields.left, count)?,
            right: numbers("right", &fields.right, count)?,
            missing_left: numbers("missing_left", &fields.missing_left, count)?,
            set: set.map_or_else(|| Ok(vec![NONE; count]), |set| numbers("set", set, count))?,
            sets: fields.sets.iter().map(|text| words(text)).collect::<Result<_, _>>()?,
        })
    }

    fn node(
        &mut self,
        index: usize,
        columns: &[Column],
        output: usize,
    ) -> Result<Node<f64>, Error> {
        let number = self.number[index];
        if number.is_nan() {
            return Err(Error::failed(format_args!("node {index} has the number NaN")));
        }
        if self.feature[index] == NONE {
            return Ok(Node::Leaf(Leaf::One { output, value: number }));
        }
        let feature = usize::try_from(self.feature[index]);
        let feature = feature.or_failed(format_args!("node {index} has a feature below -1"))?;
        let missing = match self.missing_left[index] {
            0 => Missing::NanIsNo,
            1 => Missing::NanIsYes,
            other => {
                return Err(Error::failed(format_args!(
                    "node {index} has missing_left {other}, not 0 or 1"
                )));
            }
        };
        let test = match self.set[index] {
            NONE => Test::LessOrEqual(number),
            set => self.category(set, columns.get(feature))?,
        };
        let (yes, no) = (self.left[index], self.right[index]);
        Ok(Node::Split(Split { feature, test, missing, yes, no }))
    }

    /// The question whether the code of a category is in a set.
    fn category(&mut self, set: i64, column: Option<&Column>) -> Result<Test<f64>, Error> {
        if column.is_some_and(|column| column.categories.is_none()) {
            return Err(Error::failed("a split has a set, and its column no categories"));
        }
        // A set that many splits named would be copied for each, so a small file could fill the
        // memory.
        let place = usize::try_from(set).ok().and_then(|set| self.sets.get_mut(set));
        let members = place.and_then(Option::take).or_failed(format_args!(
            "a split names set {set}, which there is not, or which another split has named"
        ))?;
        let categories = Categories { members, known: None, below_zero_is_zero: false };
        Ok(Test::Category(categories))
    }
}
