//! `metadata.json`: what is known of a model when it is saved, and its file does not hold.

use std::collections::BTreeMap;

use serde::Deserialize;
use wardian_sdk::{Error, Metadata, OrError, ParameterValue, artifacts};

/// The name of the file in the version's folder.
const FILE: &str = "metadata.json";

/// The content of `metadata.json`. Every field may be absent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SavedMetadata {
    /// A sentence for people.
    pub description: Option<String>,
    /// The classes of a classifier, in the order of its outputs: all whole numbers or all texts.
    pub classes: Option<Vec<Class>>,
    /// The categories of columns, by the column's name, in the order of their codes: where the file
    /// lacks them, or has them wrong.
    pub categories: BTreeMap<String, Vec<Class>>,
    /// The names of a frame's columns and the inputs they became, where a converter changed them.
    pub columns: BTreeMap<String, String>,
    /// The columns of the training frame that had categories, in their order, where a file lists
    /// the categories without their columns' names.
    pub categorical_columns: Option<Vec<String>>,
    /// The value that stands for a missing one, besides NaN.
    pub missing: Option<f64>,
    /// More properties for clients.
    pub properties: BTreeMap<String, String>,
}

/// A class of a classifier, or a category of a column.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Class {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

impl SavedMetadata {
    /// Reads the file from the version's folder; the default if there is none.
    ///
    /// # Errors
    /// Failed if the file is not valid; the text names the field.
    pub fn read() -> Result<Self, Error> {
        match artifacts::find(FILE)? {
            Some(file) => serde_json::from_slice(&file).or_failed(FILE),
            None => Ok(Self::default()),
        }
    }

    /// Adds the description and the properties to a model's metadata.
    pub fn add_to(&self, metadata: Metadata) -> Metadata {
        let metadata = match &self.description {
            Some(text) => metadata.description(text),
            None => metadata,
        };
        let add = |metadata: Metadata, (name, value): (&String, &String)| {
            metadata.property(name, ParameterValue::from(value.as_str()))
        };
        self.properties.iter().fold(metadata, add)
    }
}
