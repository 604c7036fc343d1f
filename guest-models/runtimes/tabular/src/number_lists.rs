//! Lists of numbers, separated by spaces.

use std::str::FromStr;

use wardian_sdk::Error;

/// Reads a double.
///
/// # Errors
/// Failed if it is none; a decimal comma is named as such.
pub(crate) fn double(key: &str, text: &str) -> Result<f64, Error> {
    if text.contains(',') {
        return Err(Error::failed(format_args!(
            "{key} has the decimal comma of another language: {}; save the model again with \
             LC_ALL=C, or write points",
            shortened(text)
        )));
    }
    number(key, text)
}

/// Reads a list of doubles.
///
/// # Errors
/// Failed if there are fewer or more than `count`, or one is no number.
pub(crate) fn doubles(key: &str, text: &str, count: usize) -> Result<Vec<f64>, Error> {
    list(key, text, count, double)
}

/// Reads a whole number.
///
/// # Errors
/// Failed if it is none, or out of the type's range.
pub(crate) fn number<T: FromStr>(key: &str, text: &str) -> Result<T, Error> {
    text.trim().parse().map_err(|_| {
        Error::failed(format_args!("{key} is no number of its kind: {}", shortened(text)))
    })
}

/// Reads a list of whole numbers.
///
/// # Errors
/// Failed if there are fewer or more than `count`, or one is no number of the type.
pub(crate) fn numbers<T: FromStr>(key: &str, text: &str, count: usize) -> Result<Vec<T>, Error> {
    list(key, text, count, number)
}

fn list<T>(
    key: &str,
    text: &str,
    count: usize,
    read: fn(&str, &str) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    // Nothing is reserved for `count`, which the file may overstate.
    let items = text.split_ascii_whitespace();
    let items = items.map(|item| read(key, item)).collect::<Result<Vec<_>, _>>()?;
    if items.len() != count {
        return Err(Error::failed(format_args!("{key} has {} of {count} numbers", items.len())));
    }
    Ok(items)
}

/// A text in quotes, short enough for an error.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
