//! The fields of a file.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use wardian_sdk::{Error, OrError};

use super::LastStep;
use model_file::Class;

/// The version that is read.
const VERSION: u32 = 1;

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document<'a> {
    /// Always `wardian-trees`.
    format: Cow<'a, str>,
    version: u32,
    /// The producer and its version.
    #[serde(default)]
    pub(super) library: String,
    /// The loss that was minimized.
    #[serde(default)]
    pub(super) objective: String,
    #[serde(borrow)]
    pub(super) columns: Vec<ColumnFields<'a>>,
    pub(super) classes: Option<Vec<Class>>,
    pub(super) last_step: LastStep,
    #[serde(borrow)]
    pub(super) baseline: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) trees: Vec<TreeFields<'a>>,
}

/// A column of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnFields<'a> {
    pub(super) name: String,
    #[serde(borrow)]
    pub(super) categories: Option<Vec<&'a RawValue>>,
}

/// A tree. Each list has a number for each node.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TreeFields<'a> {
    #[serde(borrow)]
    pub(super) feature: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) number: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) left: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) right: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) missing_left: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) set: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) sets: Vec<Cow<'a, str>>,
}

/// The version, of a file of any version.
#[derive(Deserialize)]
struct Version {
    version: Option<serde_json::Value>,
}

// === impl Document ===

impl<'a> Document<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// Failed if it is of another version, or a field is absent, unknown or of another type.
    pub(super) fn read(file: &'a [u8]) -> Result<Self, Error> {
        let read: Result<Self, _> = serde_json::from_slice(file);
        let document = match read {
            Ok(document) => document,
            Err(error) => return Err(check_version(file).err().unwrap_or(Error::failed(error))),
        };
        if document.format != "wardian-trees" || document.version != VERSION {
            return Err(other_version(&document.version.into()));
        }
        Ok(document)
    }
}

/// Names the version as the fault of a file that cannot be read.
fn check_version(file: &[u8]) -> Result<(), Error> {
    let told: Version = serde_json::from_slice(file).or_failed("the file is no JSON")?;
    match told.version {
        Some(version) if version != VERSION => Err(other_version(&version)),
        _ => Ok(()),
    }
}

fn other_version(version: &serde_json::Value) -> Error {
    let version = crate::number_lists::shortened(&version.to_string());
    Error::failed(format_args!(
        "the file is not of the format wardian-trees, version {VERSION}, but of version {version}; \
         save the model again with the package of this server's release"
    ))
}
