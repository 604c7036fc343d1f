//! Parsers of values. Each fails with a text that describes the accepted values.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeValue};

use crate::model::{Origin, format_duration, format_size, parse_duration, parse_size};

/// Parses `true` or `false`.
pub(crate) fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| expected("true or false", value))
}

/// Parses any text.
pub(crate) fn text(value: &DeValue<'_>) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| expected("a text in quotes", value))
}

/// Parses a whole number within the range.
pub(crate) fn number(range: RangeInclusive<u32>) -> impl Fn(&DeValue<'_>) -> Result<u32, String> {
    move |value| {
        let number = whole_number(value)?;
        let within = u32::try_from(number).ok().filter(|number| range.contains(number));
        within
            .ok_or_else(|| format!("{number} is not between {} and {}", range.start(), range.end()))
    }
}

/// Parses a whole number of 0 or more.
pub(crate) fn whole_number(value: &DeValue<'_>) -> Result<u64, String> {
    let digits = value.as_integer().ok_or_else(|| expected("a whole number", value))?;
    u64::from_str_radix(digits.as_str(), digits.radix())
        .map_err(|_| format!("{} is not a whole number of 0 or more", digits.as_str()))
}

/// Parses a size such as `"256MiB"` within the range. Returns bytes.
pub(crate) fn size(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<u64, String> {
    move |value| {
        let written = value.as_str().ok_or_else(|| expected("a size like \"256MiB\"", value))?;
        let size = parse_size(written)?;
        let bounds = || {
            format!(
                "{written} is not between {} and {}",
                format_size(*range.start()),
                format_size(*range.end())
            )
        };
        range.contains(&size).then_some(size).ok_or_else(bounds)
    }
}

/// Parses a duration such as `"60s"` within the range.
pub(crate) fn duration(
    range: RangeInclusive<Duration>,
) -> impl Fn(&DeValue<'_>) -> Result<Duration, String> {
    move |value| {
        let written = value.as_str().ok_or_else(|| expected("a duration like \"60s\"", value))?;
        let duration = parse_duration(written)?;
        let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
        range
            .contains(&duration)
            .then_some(duration)
            .ok_or_else(|| format!("{written} is not between {least} and {most}"))
    }
}

/// Parses one of a few words. Returns its value.
pub(crate) fn one_of<T: Clone, const N: usize>(
    words: [(&'static str, T); N],
) -> impl Fn(&DeValue<'_>) -> Result<T, String> {
    move |value| {
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        let quoted: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        found
            .map(|(_, meaning)| meaning.clone())
            .ok_or_else(|| expected(&quoted.join(" or "), value))
    }
}

/// Parses a list of values. An error names the index of the first faulty item, counted from 0.
pub(crate) fn list<T>(
    item: impl Fn(&DeValue<'_>) -> Result<T, String>,
) -> impl Fn(&DeValue<'_>) -> Result<Vec<T>, String> {
    move |value| {
        let list = value.as_array().ok_or_else(|| expected("a list in square brackets", value))?;
        let read = |(index, value): (usize, &Spanned<DeValue<'_>>)| {
            item(value.get_ref()).map_err(|why| format!("item {index}: {why}"))
        };
        list.iter().enumerate().map(read).collect()
    }
}

/// Parses a list of at most `most` origins. Returns them sorted and without duplicates.
pub(crate) fn origins(most: usize) -> impl Fn(&DeValue<'_>) -> Result<Vec<Origin>, String> {
    move |value| {
        let mut origins = list(origin)(value)?;
        origins.sort();
        origins.dedup();
        let count = origins.len();
        if count <= most {
            Ok(origins)
        } else {
            Err(format!("{count} origins are more than the {most} allowed"))
        }
    }
}

fn origin(value: &DeValue<'_>) -> Result<Origin, String> {
    let text = value
        .as_str()
        .ok_or_else(|| expected("an origin like \"https://api.example.com\"", value))?;
    Origin::parse(text).map_err(|error| error.to_string())
}

/// Parses a table of texts.
pub(crate) fn texts(value: &DeValue<'_>) -> Result<BTreeMap<String, String>, String> {
    let table = value.as_table().ok_or_else(|| expected("a table of texts", value))?;
    let pair = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
        let key = key.get_ref();
        let value = text(value.get_ref()).map_err(|why| format!("'{key}': {why}"))?;
        Ok((key.to_string(), value))
    };

    table.iter().map(pair).collect()
}

/// Returns an error text with the expected and the actual value.
pub(crate) fn expected(what: &str, value: &DeValue<'_>) -> String {
    match value.as_str() {
        Some(text) => {
            format!("expected {what}, found \"{}\"", text.chars().take(40).collect::<String>())
        }
        None => {
            format!("expected {what}, found {} {}", article(value.type_str()), value.type_str())
        }
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
