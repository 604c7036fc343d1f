//! `wardian infer --output`: outputs as files. Numbers keep the server's digits.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::cli::npy;
use crate::cli::request::inputs::{MAX_DEPTH, nested_shape};

/// A file for the outputs, or for one of them.
#[derive(Clone, Debug)]
pub(in crate::cli) struct OutputFile {
    name: Option<String>,
    path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Csv,
    Json,
    Npy,
}

/// An output of the model.
pub(super) struct OutputTensor<'a> {
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) shape: Vec<usize>,
    /// The elements as the server wrote them.
    pub(super) data: Vec<&'a str>,
}

impl OutputFile {
    /// Parses `FILE` or `NAME=FILE`.
    pub(in crate::cli) fn parse(text: &str) -> Result<OutputFile> {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) => (Some(name.to_owned()), file),
            None => (None, text),
        };
        let path = PathBuf::from(file);
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let format = match ending.to_ascii_lowercase().as_str() {
            "csv" => Format::Csv,
            "json" => Format::Json,
            "npy" => Format::Npy,
            _ => bail!("'{file}' is none of .csv, .json and .npy"),
        };

        Ok(OutputFile { name, path, format })
    }

    /// Writes the file.
    pub(super) fn write(&self, outputs: &[OutputTensor<'_>]) -> Result<()> {
        let chosen: Vec<&OutputTensor<'_>> = match &self.name {
            None => outputs.iter().collect(),
            Some(name) => {
                let output = outputs.iter().find(|output| output.name == *name);
                vec![output.with_context(|| format!("there is no output '{name}'"))?]
            }
        };

        let content = match self.format {
            Format::Csv => csv(&chosen),
            Format::Json => json(&chosen),
            Format::Npy => array(&chosen),
        };
        let content = content.with_context(|| format!("cannot write {}", self.path.display()))?;

        std::fs::write(&self.path, content)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Reads the outputs of predictions. `metadata` has their names and datatypes.
pub(super) fn of_predictions<'a>(
    predictions: &[&'a RawValue],
    metadata: &Value,
) -> Result<Vec<OutputTensor<'a>>> {
    let specs = metadata["outputs"].as_array().map_or(&[][..], Vec::as_slice);
    let single = specs.len() == 1;
    let mut outputs = Vec::new();

    for spec in specs {
        let text = |key: &str| spec[key].as_str().unwrap_or_default().to_owned();
        let name = text("name");
        let values: Vec<&'a RawValue> = match single {
            true => predictions.to_vec(),
            false => predictions.iter().filter_map(|row| member(row, &name)).collect(),
        };
        // An optional output may be missing.
        if values.len() == predictions.len() {
            outputs.push(stacked(name, text("datatype"), &values)?);
        }
    }

    Ok(outputs)
}

/// Returns the member of an object.
fn member<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    let members: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_str(object.get()).ok()?;
    members.get(name).copied()
}

fn stacked<'a>(name: String, datatype: String, rows: &[&'a RawValue]) -> Result<OutputTensor<'a>> {
    let mut data = Vec::new();
    let mut shape = None;

    for row in rows {
        let of_row =
            nested_shape(row, MAX_DEPTH, &mut data).with_context(|| format!("output '{name}'"))?;
        let first = shape.get_or_insert_with(|| of_row.clone());
        ensure!(*first == of_row, "output '{name}' has rows of different shapes; write .json");
    }

    let row = shape.unwrap_or_default().into_iter().map(|length| length as usize);
    let shape = std::iter::once(rows.len()).chain(row).collect();
    Ok(OutputTensor { name, datatype, shape, data: data.iter().map(|raw| raw.get()).collect() })
}

impl<'a> OutputTensor<'a> {
    /// Returns the elements of each row.
    fn rows(&self) -> Result<Vec<&[&'a str]>> {
        let (&count, _) = self
            .shape
            .split_first()
            .ok_or_else(|| anyhow!("output '{}' has no rows", self.name))?;
        let width = self.data.len().checked_div(count).unwrap_or_default();
        if width == 0 {
            return Ok(vec![&[]; count]);
        }
        Ok(self.data.chunks(width).collect())
    }
}

fn row_count(outputs: &[&OutputTensor<'_>]) -> Result<usize> {
    let counts: Vec<_> = outputs.iter().map(|output| output.shape.first().copied()).collect();
    match counts.first() {
        Some(Some(count)) if counts.iter().all(|other| *other == Some(*count)) => Ok(*count),
        None => bail!("there are no outputs"),
        _ => bail!("the outputs have different numbers of rows; choose one, as NAME=FILE"),
    }
}

/// One column for each element of a row.
fn csv(outputs: &[&OutputTensor<'_>]) -> Result<Vec<u8>> {
    let count = row_count(outputs)?;
    let rows = outputs.iter().map(|output| output.rows()).collect::<Result<Vec<_>>>()?;
    let mut writer = csv::Writer::from_writer(Vec::new());

    let header = outputs.iter().flat_map(|output| {
        let width: usize = output.shape.iter().skip(1).product();
        let alone = output.shape.len() == 1 || width == 1;
        (0..width).map(move |index| match alone {
            true => output.name.clone(),
            false => format!("{}_{index}", output.name),
        })
    });
    writer.write_record(header)?;

    for index in 0..count {
        let cells = rows.iter().filter_map(|rows| rows.get(index)).flat_map(|row| row.iter());
        writer.write_record(cells.map(|cell| plain(cell)).collect::<Result<Vec<_>>>()?)?;
    }

    writer.into_inner().map_err(|error| anyhow!("{error}"))
}

/// Returns a text without its quotes, and any other element as it is.
fn plain(element: &str) -> Result<String> {
    match element.starts_with('"') {
        true => Ok(serde_json::from_str(element)?),
        false => Ok(element.to_owned()),
    }
}

/// One record for each row.
fn json(outputs: &[&OutputTensor<'_>]) -> Result<Vec<u8>> {
    let count = row_count(outputs)?;
    let rows = outputs.iter().map(|output| output.rows()).collect::<Result<Vec<_>>>()?;
    let mut records = Vec::with_capacity(count);

    for index in 0..count {
        let members = outputs.iter().zip(&rows).filter_map(|(output, rows)| {
            let value = npy::nested(output.shape.get(1..)?, rows.get(index)?);
            Some(format!("{}:{value}", serde_json::Value::from(output.name.as_str())))
        });
        records.push(format!("{{{}}}", members.collect::<Vec<_>>().join(",")));
    }

    Ok(format!("[{}]\n", records.join(",\n")).into_bytes())
}

fn array(outputs: &[&OutputTensor<'_>]) -> Result<Vec<u8>> {
    let [output] = outputs else {
        bail!("a file of NumPy has one array; choose an output, as NAME=FILE")
    };
    npy::file(&output.datatype, &output.shape, &output.data)
}

/// True if two files are the same.
pub(super) fn same_path(files: &[OutputFile]) -> Option<&Path> {
    let mut paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
    paths.sort_unstable();
    paths.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
