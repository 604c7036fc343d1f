//! Reads a TOML file key by key and collects every fault, so that one look at the message mends them all.
//!
//! The reader names each key it knows; whatever is left over is unknown, and refused. A setting that is
//! absent keeps the value it had, so the caller starts from the defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::model::{Origin, parse_duration, parse_size, show_duration, show_size};

/// Everything that is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults {
    file: String,
    list: Vec<Fault>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    line: usize,
    text: String,
}

impl Faults {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(out, "{separator}{} line {}: {}", self.file, fault.line, fault.text)?;
        }
        Ok(())
    }
}

/// Hands the file's keys to `fill`. Fails with everything that is wrong, in the order of the lines. `file`
/// is how messages call the file.
pub(crate) fn read(file: &str, text: &str, fill: impl FnOnce(&mut Keys<'_>)) -> Result<(), Faults> {
    let (table, syntax) = DeTable::parse_recoverable(text);
    let mut faults: Vec<(usize, String)> = syntax.iter().map(place).collect();
    // What is left of a file after a syntax error may be missing half its keys; judging it would mislead.
    if faults.is_empty() {
        let mut keys = Keys::new(String::new(), 0, table.into_inner());
        fill(&mut keys);
        faults = keys.finish();
    }
    let mut list: Vec<Fault> =
        faults.into_iter().map(|(offset, text_of)| Fault { line: line_of(text, offset), text: text_of }).collect();
    list.sort();
    if list.is_empty() { Ok(()) } else { Err(Faults { file: file.into(), list }) }
}

fn place(error: &toml::de::Error) -> (usize, String) {
    (error.span().map_or(0, |span| span.start), error.message().to_owned())
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// The keys of one table.
pub(crate) struct Keys<'t> {
    /// What stands before a key's name in messages, for example `limits.`.
    prefix: String,
    /// Where the table begins in the file.
    start: usize,
    entries: BTreeMap<String, (usize, DeValue<'t>)>,
    known: Vec<&'static str>,
    faults: Vec<(usize, String)>,
}

impl<'t> Keys<'t> {
    fn new(prefix: String, start: usize, table: DeTable<'t>) -> Self {
        let entry = |(key, value): (Spanned<DeString<'t>>, Spanned<DeValue<'t>>)| {
            (key.get_ref().to_string(), (key.span().start, value.into_inner()))
        };
        Keys { prefix, start, entries: table.into_iter().map(entry).collect(), known: Vec::new(), faults: Vec::new() }
    }

    /// Reads one key into `setting`, which keeps its value when the key is absent or faulty.
    pub(crate) fn read<T>(
        &mut self,
        key: &'static str,
        setting: &mut T,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) {
        let Some((offset, value)) = self.take(key) else { return };
        match parse(&value) {
            Ok(value) => *setting = value,
            Err(why) => self.fault(offset, key, &why),
        }
    }

    /// Reads the table under one key, if it is there.
    pub(crate) fn table(&mut self, key: &'static str, fill: impl FnOnce(&mut Keys<'_>)) {
        match self.take(key) {
            None => {}
            Some((start, DeValue::Table(table))) => {
                let mut keys = Keys::new(format!("{}{key}.", self.prefix), start, table);
                fill(&mut keys);
                self.faults.extend(keys.finish());
            }
            Some((offset, other)) => self.fault(offset, key, &expected("a table", &other)),
        }
    }

    /// Refuses a key that means something, but not here or not yet.
    pub(crate) fn refuse(&mut self, key: &'static str, why: &str) {
        if let Some((offset, _)) = self.take(key) {
            self.fault(offset, key, why);
        }
    }

    /// Reports what is wrong between keys, unless their own faults say enough.
    pub(crate) fn require(&mut self, right: bool, why: &str) {
        if !right && self.faults.is_empty() {
            self.faults.push((self.start, format!("{}{why}", self.prefix)));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, DeValue<'t>)> {
        self.known.push(key);
        self.entries.remove(key)
    }

    fn fault(&mut self, offset: usize, key: &str, why: &str) {
        self.faults.push((offset, format!("{}{key}: {why}", self.prefix)));
    }

    fn finish(mut self) -> Vec<(usize, String)> {
        let known = self.known.join(", ");
        for (key, (offset, _)) in std::mem::take(&mut self.entries) {
            let shown: String = key.chars().filter(|char| !char.is_control()).take(64).collect();
            self.fault(offset, &shown, &format!("unknown key; the keys here are {known}"));
        }
        self.faults
    }
}

// === What a value may be ===

/// True or false.
pub(crate) fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| expected("true or false", value))
}

/// Any text.
pub(crate) fn text(value: &DeValue<'_>) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| expected("a text in quotes", value))
}

/// A whole number within the range.
pub(crate) fn number(range: RangeInclusive<u32>) -> impl Fn(&DeValue<'_>) -> Result<u32, String> {
    move |value| {
        let number = whole_number(value)?;
        let within = u32::try_from(number).ok().filter(|number| range.contains(number));
        within.ok_or_else(|| format!("{number} is not between {} and {}", range.start(), range.end()))
    }
}

/// Any whole number that is not negative.
pub(crate) fn whole_number(value: &DeValue<'_>) -> Result<u64, String> {
    let digits = value.as_integer().ok_or_else(|| expected("a whole number", value))?;
    u64::from_str_radix(digits.as_str(), digits.radix())
        .map_err(|_| format!("{} is not a whole number of 0 or more", digits.as_str()))
}

/// A size such as `"256MiB"`, in bytes, within the range.
pub(crate) fn size(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<u64, String> {
    move |value| {
        let written = value.as_str().ok_or_else(|| expected("a size like \"256MiB\"", value))?;
        let size = parse_size(written)?;
        let bounds =
            || format!("{written} is not between {} and {}", show_size(*range.start()), show_size(*range.end()));
        range.contains(&size).then_some(size).ok_or_else(bounds)
    }
}

/// A duration such as `"60s"` within the range.
pub(crate) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&DeValue<'_>) -> Result<Duration, String> {
    move |value| {
        let written = value.as_str().ok_or_else(|| expected("a duration like \"60s\"", value))?;
        let duration = parse_duration(written)?;
        let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
        range
            .contains(&duration)
            .then_some(duration)
            .ok_or_else(|| format!("{written} is not between {least} and {most}"))
    }
}

/// One of a few words, each with what it stands for.
pub(crate) fn one_of<T: Clone, const N: usize>(
    words: [(&'static str, T); N],
) -> impl Fn(&DeValue<'_>) -> Result<T, String> {
    move |value| {
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        let quoted: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        found.map(|(_, meaning)| meaning.clone()).ok_or_else(|| expected(&quoted.join(" or "), value))
    }
}

/// A table of texts.
pub(crate) fn texts(value: &DeValue<'_>) -> Result<BTreeMap<String, String>, String> {
    let table = value.as_table().ok_or_else(|| expected("a table of texts", value))?;
    let pair = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
        let key = key.get_ref();
        let value = text(value.get_ref()).map_err(|why| format!("'{key}': {why}"))?;
        Ok((key.to_string(), value))
    };
    table.iter().map(pair).collect()
}

/// A list of at most so many origins, in order and each once.
pub(crate) fn origins(most: usize) -> impl Fn(&DeValue<'_>) -> Result<Vec<Origin>, String> {
    move |value| {
        let list =
            value.as_array().ok_or_else(|| expected("a list of origins like [\"https://api.example.com\"]", value))?;
        let mut origins = list.iter().map(|item| origin(item.get_ref())).collect::<Result<Vec<_>, _>>()?;
        origins.sort();
        origins.dedup();
        let count = origins.len();
        if count <= most { Ok(origins) } else { Err(format!("{count} origins are more than the {most} allowed")) }
    }
}

fn origin(value: &DeValue<'_>) -> Result<Origin, String> {
    let text = value.as_str().ok_or_else(|| expected("an origin like \"https://api.example.com\"", value))?;
    Origin::parse(text).map_err(|error| error.to_string())
}

/// Says what should stand there and what does.
pub(crate) fn expected(what: &str, value: &DeValue<'_>) -> String {
    match value.as_str() {
        Some(text) => format!("expected {what}, found \"{}\"", text.chars().take(40).collect::<String>()),
        None => format!("expected {what}, found {} {}", article(value.type_str()), value.type_str()),
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
