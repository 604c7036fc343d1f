//! The columns that the categories of a frame belong to.
//!
//! The file lists the categories of a frame's columns in their order, without saying which columns
//! these are. Unordered categories are categorical features of the trees; ordered ones are numbers
//! to them. A caller may also have named columns of plain numbers as categorical.

use serde_json::value::RawValue;
use wardian_sdk::{Error, OrError};

use super::header::{Feature, Header};
use super::lines::Lines;
use crate::SavedMetadata;
use crate::frame::{Categories, Column};

/// Returns the columns with their categories.
///
/// # Errors
/// Failed if it is uncertain which columns have categories.
pub(super) fn read(
    header: &Header<'_>,
    lines: &Lines<'_>,
    saved: &SavedMetadata,
) -> Result<Vec<Column>, Error> {
    let features = &header.features;
    let lists = lines.pandas_categories().map_or_else(|| Ok(Vec::new()), read_lists)?;
    let with_categories = match &saved.categorical_columns {
        Some(names) => named(names, features, &lists)?,
        None => guessed(&categorical(lines, features), features, &lists)?,
    };

    let column = |feature: &Feature<'_>| Column { name: feature.name.into(), categories: None };
    let mut columns: Vec<_> = features.iter().map(column).collect();
    for (index, list) in with_categories.into_iter().zip(lists) {
        if let Some(column) = columns.get_mut(index) {
            column.categories = Some(list);
        }
    }
    Ok(columns)
}

fn read_lists(json: &str) -> Result<Vec<Categories>, Error> {
    let context = "pandas_categorical";
    let lists: Option<Vec<Vec<&RawValue>>> = serde_json::from_str(json).or_failed(context)?;
    let lists = lists.unwrap_or_default();
    lists.iter().map(|list| Categories::read(list).or_failed(context)).collect()
}

/// The columns that `metadata.json` names.
fn named(
    names: &[String],
    features: &[Feature<'_>],
    lists: &[Categories],
) -> Result<Vec<usize>, Error> {
    if names.len() != lists.len() {
        return Err(Error::failed(format_args!(
            "metadata.json names {} categorical_columns, and the file has categories for {}",
            names.len(),
            lists.len()
        )));
    }
    let find = |name: &String| {
        let found = features.iter().position(|feature| feature.name == name);
        found.or_failed(format_args!("categorical_columns: the file has no column {name:?}"))
    };
    names.iter().map(find).collect()
}

/// The categorical features of the trees: from the parameters if they are kept, otherwise from the
/// values that the columns had.
fn categorical(lines: &Lines<'_>, features: &[Feature<'_>]) -> Vec<usize> {
    let parameter = lines.parameter("categorical_feature");
    let indices = parameter.and_then(|list| {
        let indices: Result<Vec<usize>, _> = list.split(',').map(str::parse).collect();
        indices.ok().filter(|indices| indices.is_sorted())
    });
    indices.unwrap_or_else(|| {
        (0..features.len()).filter(|index| is_categorical(&features[*index])).collect()
    })
}

/// Takes the only sensible order: the categorical features if they are as many as the lists, or the
/// only way to put each list to a column whose values it explains.
fn guessed(
    categorical: &[usize],
    features: &[Feature<'_>],
    lists: &[Categories],
) -> Result<Vec<usize>, Error> {
    let explains = |column: usize, list: &Categories| {
        features.get(column).is_some_and(|feature| explains(list, feature))
    };
    let fits = |columns: &[usize]| {
        columns.len() == lists.len()
            && columns.iter().zip(lists).all(|(column, list)| explains(*column, list))
    };
    if fits(categorical) {
        return Ok(categorical.to_vec());
    }
    let must_have = if categorical.len() < lists.len() { categorical } else { &[] };
    only_way(features, lists, must_have).or_failed(
        "the file has the categories of a frame, and it is uncertain of which columns; name them in \
         metadata.json: {\"categorical_columns\": [\"first\", \"second\"]}",
    )
}

/// Returns the columns of the lists if there is exactly one way to choose them in order, with those
/// that must be among them.
fn only_way(
    features: &[Feature<'_>],
    lists: &[Categories],
    must_have: &[usize],
) -> Option<Vec<usize>> {
    // For each number of lists that have been given to columns so far: how many ways there are, and
    // one of them. Only 0, 1 and "more" matter.
    let mut ways: Vec<(u8, Vec<usize>)> = vec![(0, Vec::new()); lists.len() + 1];
    ways[0].0 = 1;
    for (column, feature) in features.iter().enumerate() {
        for given in (0..=lists.len()).rev() {
            let before = given.checked_sub(1).filter(|list| explains(&lists[*list], feature));
            let (count, mut way) = before.map_or((0, Vec::new()), |before| ways[before].clone());
            way.push(column);
            if must_have.contains(&column) {
                ways[given] = (0, Vec::new());
            }
            let total = ways[given].0.saturating_add(count).min(2);
            if count > 0 {
                ways[given].1 = way;
            }
            ways[given].0 = total;
        }
    }
    ways.pop().filter(|(count, _)| *count == 1).map(|(_, way)| way)
}

fn is_categorical(feature: &Feature<'_>) -> bool {
    feature.values != "none" && !feature.values.starts_with('[')
}

/// Tells whether the values of a column in training can be codes of the categories.
fn explains(list: &Categories, feature: &Feature<'_>) -> bool {
    let is_code = |text: &str| {
        // A column without a value in some row has the code -1.
        text.parse().is_ok_and(|code: f64| {
            code == -1.0 || (code >= 0.0 && code.fract() == 0.0 && code < list.len() as f64)
        })
    };
    match feature.values {
        "none" => true,
        values => values.trim_matches(['[', ']']).split(':').all(is_code),
    }
}
