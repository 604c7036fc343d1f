//! The categories of columns, which files since 3.1 name.

use std::collections::BTreeMap;

use wardian_sdk::{Error, OrError};

use super::document::{Fields, Value, shown};
use super::version::Version;
use crate::SavedMetadata;
use model_file::Class;

/// The categories of a column, and the code of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Categories {
    /// The column has none.
    None,
    /// Texts.
    Texts(BTreeMap<String, u32>),
    /// So many texts, which are not known. The Python package before 3.4 counted characters where
    /// the library counts bytes, so names beyond ASCII are cut and run into each other.
    Cut(usize),
    /// Whole numbers.
    Numbers(BTreeMap<i64, u32>),
}

/// Reads the field `cats`: the categories of each column, or nothing if no column has any.
///
/// # Errors
/// Failed if the field is not valid.
pub(super) fn read(
    value: Value,
    features: usize,
    version: Version,
) -> Result<Vec<Categories>, Error> {
    let object = value.into_object().or_failed("cats is not an object")?;
    let mut fields = Fields::new("cats", object);
    let columns = fields.array("enc")?;
    // They follow from the categories.
    fields.ignore(&["feature_segments", "sorted_idx"]);
    fields.finish()?;

    let columns: Vec<_> = columns
        .into_iter()
        .map(|column| Categories::read(column, version))
        .collect::<Result<_, _>>()?;
    if columns.iter().all(|column| *column == Categories::None) {
        return Ok(Vec::new());
    }
    if columns.len() != features {
        let found = columns.len();
        let text = format!("cats has categories for {found} columns, of {features}");
        return Err(Error::failed(text));
    }
    Ok(columns)
}

// === impl Categories ===

impl Categories {
    fn read(column: Value, version: Version) -> Result<Self, Error> {
        let object = column.into_object().or_failed("a column of cats is not an object")?;
        let mut fields = Fields::new("a column of cats", object);
        let offsets = fields.find("offsets");
        let kind = fields.find("type");
        let values = fields.integers("values")?;
        fields.finish()?;
        match (offsets, kind) {
            (Some(offsets), None) => texts(offsets, &values, version)
                .or_failed("a column of cats has offsets that do not divide its values into texts"),
            (None, Some(kind)) => numbers(kind, &values)
                .or_failed("a column of cats has a type that is not of whole numbers"),
            _ => Err(Error::failed("a column of cats has neither offsets nor a type, or both")),
        }
    }
}

impl Categories {
    /// Takes the categories that `metadata.json` has for the column, if it has any.
    ///
    /// # Errors
    /// Failed if there are none and the file's are cut, or if their number is not that of the
    /// file's.
    pub(super) fn or_saved(self, column: &str, saved: &SavedMetadata) -> Result<Self, Error> {
        let shown = shown(column);
        let Some(saved) = saved.categories.get(column) else {
            return match self {
                Self::Cut(_) => Err(Error::failed(format_args!(
                    "the names of the categories of {shown} are cut, as XGBoost's Python package \
                     did beyond ASCII before 3.4: give them in metadata.json, {{\"categories\": \
                     {{{shown}: [..]}}}}, in the order of their codes, or train with 3.4"
                ))),
                categories => Ok(categories),
            };
        };
        let named = Self::named(saved).filter(|named| named.count() == saved.len());
        named.filter(|named| named.count() == self.count()).or_failed(format_args!(
            "metadata.json must name the {} categories of {shown}, all different numbers or texts",
            self.count()
        ))
    }

    fn named(names: &[Class]) -> Option<Self> {
        let coded = || names.iter().zip(0..);
        let texts = coded().map(|(name, code)| match name {
            Class::Text(text) => Some((text.clone(), code)),
            Class::Number(_) => None,
        });
        let numbers = coded().map(|(name, code)| match name {
            Class::Number(number) => Some((*number, code)),
            Class::Text(_) => None,
        });
        let texts = texts.collect::<Option<_>>().map(Self::Texts);
        texts.or_else(|| numbers.collect::<Option<_>>().map(Self::Numbers))
    }

    /// Returns the categories in the order of their codes; `None` if there are none.
    pub(super) fn to_json(&self) -> Option<serde_json::Value> {
        let mut values: Vec<(u32, serde_json::Value)> = match self {
            Self::None | Self::Cut(_) => return None,
            Self::Texts(codes) => {
                codes.iter().map(|(text, code)| (*code, text.as_str().into())).collect()
            }
            Self::Numbers(codes) => {
                codes.iter().map(|(number, code)| (*code, (*number).into())).collect()
            }
        };
        values.sort_by_key(|(code, _)| *code);
        Some(values.into_iter().map(|(_, value)| value).collect())
    }

    fn count(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Texts(codes) => codes.len(),
            Self::Numbers(codes) => codes.len(),
            Self::Cut(count) => *count,
        }
    }
}

fn texts(offsets: Value, values: &[i64], version: Version) -> Option<Categories> {
    let offsets = offsets.into_integers()?;
    if offsets.len() < 2 {
        return Some(Categories::None);
    }
    let bytes: Option<Vec<u8>> = values.iter().map(|value| byte(*value)).collect();
    let bytes = bytes?;
    if !version.is_from(3, 4) && !bytes.is_ascii() {
        return Some(Categories::Cut(offsets.len() - 1));
    }
    let mut texts = BTreeMap::new();
    for (code, pair) in offsets.windows(2).enumerate() {
        let [start, end] = *pair else { return None };
        let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        let text = std::str::from_utf8(bytes.get(range)?).ok()?;
        texts.entry(text.to_owned()).or_insert(u32::try_from(code).ok()?);
    }
    Some(Categories::Texts(texts))
}

/// Returns the byte that a number from -128 or up to 255 is.
fn byte(value: i64) -> Option<u8> {
    u8::try_from(value).ok().or_else(|| i8::try_from(value).ok().map(i8::cast_unsigned))
}

/// Reads numbers of a type: 9 to 16 are the signed and unsigned ones of 8, 16, 32 and 64 bits.
/// UBJSON has no unsigned ones above 8 bits.
fn numbers(kind: Value, values: &[i64]) -> Option<Categories> {
    let number: fn(i64) -> Option<i64> = match kind.into_integer()? {
        9 | 10 | 11 | 13 | 15 => Some,
        12 => |value| Some(value & 0xFFFF),
        14 => |value| Some(value & 0xFFFF_FFFF),
        16 => |value| Some(value).filter(|value| *value >= 0),
        _ => return None,
    };
    if values.is_empty() {
        return Some(Categories::None);
    }
    let mut numbers = BTreeMap::new();
    for (code, value) in values.iter().enumerate() {
        numbers.entry(number(*value)?).or_insert(u32::try_from(code).ok()?);
    }
    Some(Categories::Numbers(numbers))
}
