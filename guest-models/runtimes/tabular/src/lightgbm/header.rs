//! The lines before the trees.

use std::collections::BTreeMap;

use wardian_sdk::{Error, OrError};

use super::lines::Line;
use super::{Lines, Objective};
use crate::number_lists::{number, shortened};

/// The fields of the versions 2 to 4.
const FIELDS: [&str; 11] = [
    "average_output",
    "feature_infos",
    "feature_names",
    "label_index",
    "max_feature_idx",
    "monotone_constraints",
    "num_class",
    "num_tree_per_iteration",
    "objective",
    "tree_sizes",
    "version",
];

/// The statements of a file about all of its trees.
pub(super) struct Header<'a> {
    /// `v2`, `v3` or `v4`.
    pub(super) version: &'a str,
    /// The numbers that a row has as answer, before the last step.
    pub(super) outputs: usize,
    /// The columns, in the order of a row.
    pub(super) features: Vec<Feature<'a>>,
    /// The last step.
    pub(super) objective: Objective,
    /// True if the answer is the mean of the trees, and not their sum.
    pub(super) is_average: bool,
    /// The number of trees, if the file tells it.
    pub(super) trees: Option<usize>,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Feature<'a> {
    pub(super) name: &'a str,
    /// `[lowest:highest]`, the categories `3:1:2`, or `none`.
    pub(super) values: &'a str,
}

// === impl Header ===

impl<'a> Header<'a> {
    /// Reads the lines up to the first tree.
    ///
    /// # Errors
    /// Failed with the field that is absent, unknown or contradictory.
    pub(super) fn read(lines: &mut Lines<'a>) -> Result<Self, Error> {
        let fields = fields(lines)?;
        let outputs = outputs(&fields)?;
        let objective = Objective::parse(fields.get("objective").copied(), outputs)?;
        let trees = fields.get("tree_sizes").map(|sizes| sizes.split_ascii_whitespace().count());
        let is_average = fields.contains_key("average_output");
        let (version, features) = (version(&fields)?, features(&fields)?);
        Ok(Self { version, outputs, features, objective, is_average, trees })
    }
}

type Fields<'a> = BTreeMap<&'a str, &'a str>;

fn fields<'a>(lines: &mut Lines<'a>) -> Result<Fields<'a>, Error> {
    let mut fields = Fields::new();
    while !matches!(lines.peek(), Some(Line::Tree | Line::End)) {
        let Line::Field(key, value) = lines.next()? else { continue };
        if !FIELDS.contains(&key) {
            return Err(Error::failed(format_args!(
                "the field {} is none of LightGBM's format 2 to 4",
                shortened(key)
            )));
        }
        if fields.insert(key, value.trim_ascii()).is_some() {
            return Err(Error::failed(format_args!("the field {key} occurs twice")));
        }
    }
    Ok(fields)
}

fn field<'a>(fields: &Fields<'a>, key: &str) -> Result<&'a str, Error> {
    fields.get(key).copied().or_failed(format_args!("the field {key} is absent"))
}

fn version<'a>(fields: &Fields<'a>) -> Result<&'a str, Error> {
    let version = field(fields, "version")?;
    if !["v2", "v3", "v4"].contains(&version) {
        return Err(Error::failed(format_args!(
            "the format's version is {}, and only v2, v3 and v4 are served; load the file with \
             LightGBM 4 and save it again",
            shortened(version)
        )));
    }
    Ok(version)
}

fn outputs(fields: &Fields<'_>) -> Result<usize, Error> {
    let classes: usize = number("num_class", field(fields, "num_class")?)?;
    let outputs = match fields.get("num_tree_per_iteration") {
        Some(text) => number("num_tree_per_iteration", text)?,
        None => classes,
    };
    if outputs == 0 || outputs != classes {
        return Err(Error::failed(format_args!(
            "num_class is {classes}, and num_tree_per_iteration {outputs}; they must be the same, \
             and not 0"
        )));
    }
    Ok(outputs)
}

fn features<'a>(fields: &Fields<'a>) -> Result<Vec<Feature<'a>>, Error> {
    let last: usize = number("max_feature_idx", field(fields, "max_feature_idx")?)?;
    let names: Vec<_> = field(fields, "feature_names")?.split_ascii_whitespace().collect();
    let values: Vec<_> = field(fields, "feature_infos")?.split_ascii_whitespace().collect();
    if [names.len(), values.len()] != [last.saturating_add(1); 2] {
        return Err(Error::failed(format_args!(
            "max_feature_idx is {last}, with {} feature_names and {} feature_infos; each must be \
             one more",
            names.len(),
            values.len()
        )));
    }
    Ok(names.into_iter().zip(values).map(|(name, values)| Feature { name, values }).collect())
}
