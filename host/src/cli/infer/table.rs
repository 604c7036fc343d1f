//! `wardian infer --table`: a request for predictions from a file.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cli::npy::Array;

/// A table and its media type.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) body: Vec<u8>,
    pub(super) media_type: &'static str,
}

const CSV: &str = "text/csv";
const JSON: &str = "application/json";

/// Reads a table: CSV, JSON or an array of NumPy, by the ending of the file's name. Of standard
/// input, `-`, the first character tells JSON from CSV.
pub(super) fn read(file: &Path) -> Result<Table> {
    let read = || match file.to_str() {
        Some("-") => {
            let mut body = Vec::new();
            std::io::stdin().read_to_end(&mut body).map(|_| body)
        }
        _ => fs::read(file),
    };
    let body = read().with_context(|| format!("cannot read {}", file.display()))?;

    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "csv" => Ok(Table { body, media_type: CSV }),
        "json" => Ok(Table { body, media_type: JSON }),
        "npy" => rows_of(&body).with_context(|| format!("cannot use {}", file.display())),
        "" if file.to_str() == Some("-") => Ok(Table { media_type: told_by(&body), body }),
        _ => bail!("{} is none of .csv, .json and .npy", file.display()),
    }
}

/// Returns an array as rows.
fn rows_of(body: &[u8]) -> Result<Table> {
    let array = Array::parse(body)?;
    if array.shape.is_empty() {
        bail!("it is a single number; a table has rows");
    }
    let rows = array.to_json(Some("null"))?;

    Ok(Table { body: format!("{{\"instances\":{rows}}}").into_bytes(), media_type: JSON })
}

fn told_by(body: &[u8]) -> &'static str {
    match body.trim_ascii_start().first() {
        Some(b'{' | b'[') => JSON,
        _ => CSV,
    }
}
