//! Reads a TOML file key by key and collects every fault, so that one error message covers them
//! all.
//!
//! The caller names each known key; a key that is left over is unknown and refused. A setting whose
//! key is absent keeps its value, so the caller starts from the defaults.

mod unquoted;
mod values;

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::model::{nearest, sanitize};

pub(crate) use values::{
    boolean, duration, expected, list, number, one_of, origins, size, text, texts, whole_number,
};

/// All faults of one file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TomlFaults {
    file: String,
    /// The first faults, at most ten.
    list: Vec<Fault>,
    count: usize,
}

/// Maximum number of faults in a message. A file that is not TOML at all has a fault at every byte.
const MAX_LISTED: usize = 10;
/// Maximum length of one fault's text in bytes. It may quote the file.
const MAX_TEXT: usize = 400;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    line: usize,
    text: String,
}

impl TomlFaults {
    /// Total number of faults.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for TomlFaults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(out, "{separator}{} line {}: {}", self.file, fault.line, fault.text)?;
        }

        match self.count - self.list.len() {
            0 => Ok(()),
            more => write!(out, "; and {more} more"),
        }
    }
}

/// Passes the keys of a file to `fill`. Fails with every fault, in the order of the file. Messages
/// refer to the file as `file`.
pub(crate) fn read(
    file: &str,
    text: &str,
    fill: impl FnOnce(&mut TableReader<'_>),
) -> Result<(), TomlFaults> {
    let (table, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        return Err(read_quoted(file, text, syntax.iter().map(offset_and_message).collect(), fill));
    }

    let faults = read_table(text, table, fill);
    if faults.is_empty() { Ok(()) } else { Err(keep_first(file, text, faults)) }
}

fn read_table<'t>(
    text: &'t str,
    table: Spanned<DeTable<'t>>,
    fill: impl FnOnce(&mut TableReader<'_>),
) -> Vec<(usize, String)> {
    let mut keys = TableReader::new(text, String::new(), 0, table.into_inner());
    fill(&mut keys);
    keys.finish()
}

/// Returns the faults of a file with syntax errors. Half its keys may be missing after a syntax
/// error, so the keys are read only if nothing but quotes is missing.
fn read_quoted(
    file: &str,
    text: &str,
    syntax: Vec<(usize, String)>,
    fill: impl FnOnce(&mut TableReader<'_>),
) -> TomlFaults {
    // A message holds no more than these, and finding each line scans the file.
    let few = syntax.len() <= MAX_LISTED;
    let quoted =
        few.then(|| unquoted::quote(text, syntax.iter().map(|(offset, _)| *offset))).flatten();
    let Some(unquoted::QuotedText { text: quoted, values }) = quoted else {
        return keep_first(file, text, syntax);
    };

    let (table, still) = DeTable::parse_recoverable(&quoted);
    if !still.is_empty() {
        return keep_first(file, text, syntax);
    }

    let mut faults = read_table(&quoted, table, fill);
    for value in values {
        let told = faults.iter().any(|(offset, _)| (value.start..=value.end).contains(offset));
        if !told {
            faults.push((value.start, value.advice));
        }
    }

    keep_first(file, &quoted, faults)
}

/// Keeps the faults that fit in a message. Finding a line scans the file, so it is not done for
/// all.
fn keep_first(file: &str, text: &str, mut faults: Vec<(usize, String)>) -> TomlFaults {
    faults.sort();
    let told = faults.iter().take(MAX_LISTED);
    let list = told
        .map(|(offset, fault)| Fault { line: line_of(text, *offset), text: clip(fault) })
        .collect();
    TomlFaults { file: file.into(), list, count: faults.len() }
}

fn clip(text: &str) -> String {
    sanitize(text, MAX_TEXT)
}

fn offset_and_message(error: &toml::de::Error) -> (usize, String) {
    (error.span().map_or(0, |span| span.start), error.message().to_owned())
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// The keys of one table that have not been read yet.
pub(crate) struct TableReader<'t> {
    /// Text of the whole file.
    source: &'t str,
    /// Prefix of key names in messages, for example `limits.`.
    prefix: String,
    /// Byte offset of the table in the file.
    start: usize,
    entries: BTreeMap<String, (usize, DeValue<'t>)>,
    known: Vec<&'static str>,
    faults: Vec<(usize, String)>,
}

impl<'t> TableReader<'t> {
    fn new(source: &'t str, prefix: String, start: usize, table: DeTable<'t>) -> Self {
        let entry = |(key, value): (Spanned<DeString<'t>>, Spanned<DeValue<'t>>)| {
            (key.get_ref().to_string(), (key.span().start, value.into_inner()))
        };
        let entries = table.into_iter().map(entry).collect();
        TableReader { source, prefix, start, entries, known: Vec::new(), faults: Vec::new() }
    }

    /// Reads one key into `setting`, which keeps its value if the key is absent or faulty.
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

    /// Reads a required key. Returns `None` if it is absent or faulty.
    pub(crate) fn read_required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        if !self.entries.contains_key(key) {
            self.fault(self.start, key, "missing");
        }
        let mut found = None;
        self.read(key, &mut found, |value| parse(value).map(Some));
        found
    }

    /// Reads the table under one key, if present.
    pub(crate) fn table(&mut self, key: &'static str, fill: impl FnOnce(&mut TableReader<'_>)) {
        if let Some((start, value)) = self.take(key) {
            self.read_inner(key, start, value, fill);
        }
    }

    /// Reads every remaining key as a table of that name.
    pub(crate) fn tables(&mut self, mut fill: impl FnMut(&str, &mut TableReader<'_>)) {
        for (name, (start, value)) in std::mem::take(&mut self.entries) {
            self.read_inner(&shown(&name), start, value, |keys| fill(&name, keys));
        }
    }

    /// Reads every remaining key as a text.
    pub(crate) fn texts(&mut self, setting: &mut BTreeMap<String, String>) {
        for (name, (offset, value)) in std::mem::take(&mut self.entries) {
            match text(&value) {
                Ok(value) => drop(setting.insert(name, value)),
                Err(why) => self.fault(offset, &shown(&name), &why),
            }
        }
    }

    /// Reads the list of tables under one key, if present.
    pub(crate) fn list(&mut self, key: &'static str, mut fill: impl FnMut(&mut TableReader<'_>)) {
        match self.take(key) {
            None => {}
            Some((_, DeValue::Array(list))) => {
                for (index, item) in list.into_iter().enumerate() {
                    let start = item.span().start;
                    self.read_inner(
                        &format!("{key}[{index}]"),
                        start,
                        item.into_inner(),
                        &mut fill,
                    );
                }
            }
            Some((offset, other)) => self.fault(offset, key, &expected("a list of tables", &other)),
        }
    }

    /// Line on which the table begins.
    pub(crate) fn line(&self) -> usize {
        line_of(self.source, self.start)
    }

    /// Reports a conflict between keys, unless a key of the table has a fault of its own.
    pub(crate) fn check(&mut self, right: bool, why: &str) {
        if !right && self.faults.is_empty() {
            self.faults.push((self.start, format!("{}{why}", self.prefix)));
        }
    }

    /// Reports a fault of the table as a whole.
    pub(crate) fn report_table(&mut self, why: &str) {
        let text = match self.prefix.strip_suffix('.') {
            Some(table) => format!("{table}: {why}"),
            None => why.to_owned(),
        };
        self.faults.push((self.start, text));
    }

    fn read_inner(
        &mut self,
        name: &str,
        start: usize,
        value: DeValue<'t>,
        fill: impl FnOnce(&mut TableReader<'_>),
    ) {
        match value {
            DeValue::Table(table) => {
                let mut keys =
                    TableReader::new(self.source, format!("{}{name}.", self.prefix), start, table);
                fill(&mut keys);
                self.faults.extend(keys.finish());
            }
            other => self.fault(start, name, &expected("a table", &other)),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, DeValue<'t>)> {
        self.known.push(key);
        self.entries.remove(key)
    }

    fn fault(&mut self, offset: usize, key: &str, why: &str) {
        self.faults.push((offset, format!("{}{key}: {why}", self.prefix)));
    }

    fn unknown_key(&self, key: &str) -> String {
        let known = self.known.join(", ");
        // Faults beyond the first ones are not shown, and comparing every key with every known one
        // is slow.
        let compared = if self.faults.len() < MAX_LISTED { self.known.as_slice() } else { &[] };

        match nearest(key, compared.iter().copied()).first() {
            Some(near) => format!("unknown key; the keys here are {known}; did you mean '{near}'?"),
            None => format!("unknown key; the keys here are {known}"),
        }
    }

    fn finish(mut self) -> Vec<(usize, String)> {
        for (key, (offset, _)) in std::mem::take(&mut self.entries) {
            let why = self.unknown_key(&key);
            self.fault(offset, &shown(&key), &why);
        }
        self.faults
    }
}

/// Returns a name from the file in printable form, for a message.
fn shown(name: &str) -> String {
    sanitize(name, 64)
}
