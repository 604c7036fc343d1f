//! The lines of a file.

use std::str::Lines as StrLines;

use wardian_sdk::{Error, OrError};

/// The lines that may follow the trees, by version of the format.
const ENDS: [&str; 3] = ["end of trees", "feature_importances:", "feature importances:"];

/// Walks through the lines, with either kind of line end.
pub(super) struct Lines<'a> {
    text: &'a str,
    rest: StrLines<'a>,
}

/// A line of the header or of a tree.
pub(super) enum Line<'a> {
    /// Nothing.
    Blank,
    /// `key=value`, or a key alone.
    Field(&'a str, &'a str),
    /// The first line of a tree.
    Tree,
    /// The line after the last tree.
    End,
}

// === impl Lines ===

impl<'a> Lines<'a> {
    /// Begins with a file's first line, and steps over it.
    ///
    /// # Errors
    /// Failed if the file is not UTF-8, or is the JSON of `dump_model`.
    pub(super) fn new(file: &'a [u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(file).or_failed("the file is not UTF-8")?;
        let text = text.trim_ascii_start();
        if text.starts_with('{') {
            return Err(Error::failed(
                "this is the JSON of LightGBM's dump_model, which cannot be loaded again; save the \
                 model with booster.save_model(\"model.txt\")",
            ));
        }
        let mut rest = text.lines();
        match rest.next() {
            Some("tree") => Ok(Self { text, rest }),
            _ => Err(Error::failed("the first line is not \"tree\"")),
        }
    }

    /// Takes the next line of the header or the trees.
    ///
    /// # Errors
    /// Failed at the end of the file, which has more lines when it is whole.
    pub(super) fn next(&mut self) -> Result<Line<'a>, Error> {
        let line = self.peek().ok_or_else(cut)?;
        self.rest.next();
        Ok(line)
    }

    /// Returns the next line without taking it; `None` at the end of the file.
    pub(super) fn peek(&self) -> Option<Line<'a>> {
        let line = self.rest.clone().next()?;
        Some(match line.split_once('=') {
            _ if line.trim_ascii().is_empty() => Line::Blank,
            _ if ENDS.contains(&line) => Line::End,
            Some(("Tree", _)) => Line::Tree,
            Some((key, value)) => Line::Field(key, value),
            None => Line::Field(line, ""),
        })
    }

    /// Returns the value of a parameter that the library writes after the trees.
    pub(super) fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut lines = self.rest.clone();
        lines.find(|line| *line == "parameters:")?;
        let mut lines = lines.take_while(|line| *line != "end of parameters");
        lines.find_map(|line| {
            let line = line.strip_prefix('[')?.strip_suffix(']')?;
            Some(line.strip_prefix(name)?.strip_prefix(':')?.trim_ascii())
        })
    }

    /// Returns the JSON of the pandas categories, which is the last line.
    pub(super) fn pandas_categories(&self) -> Option<&'a str> {
        let last = self.text.trim_ascii_end().rsplit('\n').next()?;
        last.strip_prefix("pandas_categorical:")
    }
}

fn cut() -> Error {
    Error::failed("the file ends within its trees: it was cut; copy it again")
}
