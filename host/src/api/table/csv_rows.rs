//! A table in CSV (RFC 4180) with a header.

use std::borrow::Cow;

use csv::{Reader, ReaderBuilder, StringRecord};

use super::super::json::shorten;
use super::builder::TableBuilder;
use super::csv_text::{check_quotes, fill_empty_lines};
use super::json_rows::MAX_UNKNOWN;
use crate::tenant::Pacer;

/// Bytes between two checkpoints.
const STEP: u64 = 16 << 10;

/// Reads a table. Fails with a text for the caller.
pub(in crate::api) fn read_csv(
    text: &[u8],
    table: &mut TableBuilder<'_>,
    pacer: &Pacer,
) -> Result<(), String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut check = || pacer.checkpoint().map_err(|stopped| stopped.to_string());
    check_quotes(text, STEP as usize, &mut check)?;
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(text);

    let names = reader.headers().map_err(|error| explain(&error))?.clone();
    if names.is_empty() {
        return Err("the CSV is empty; its first line names the columns".into());
    }
    let most = table.fields().len() + MAX_UNKNOWN;
    if names.len() > most {
        return Err(format!("there are more than {most} columns"));
    }

    let header = header(&names, table)
        .map_err(|error| format!("{error}; the first line of the CSV names the columns"))?;

    // An empty line is an empty text there. All readers pass over other ones.
    let filled = match header.as_slice() {
        [Some(field)] if table.is_text(*field) => Some(fill_empty_lines(text)),
        _ => None,
    };
    if let Some(filled) = &filled {
        reader = ReaderBuilder::new().flexible(true).from_reader(filled.as_slice());
        reader.headers().map_err(|error| explain(&error))?;
    }

    read_rows(reader, &header, table, pacer)
}

/// Reads the rows behind the header, whose columns are these fields.
fn read_rows(
    mut reader: Reader<&[u8]>,
    header: &[Option<usize>],
    table: &mut TableBuilder<'_>,
    pacer: &Pacer,
) -> Result<(), String> {
    let mut record = StringRecord::new();
    let mut checkpoint = STEP;

    while reader.read_record(&mut record).map_err(|error| explain(&error))? {
        table.begin_row()?;
        if record.len() != header.len() {
            let lengths =
                format!("it has {} cells, and there are {} columns", record.len(), header.len());
            return Err(table.row_error(&lengths));
        }

        for (text, field) in record.iter().zip(header) {
            if let Some(field) = field {
                table.read_text(text, *field)?;
            }
        }
        table.end_row()?;

        if reader.position().byte() >= checkpoint {
            checkpoint = reader.position().byte().saturating_add(STEP);
            pacer.checkpoint().map_err(|stopped| stopped.to_string())?;
        }
    }

    Ok(())
}

/// Finds the fields of the header. A column without a name is the index that pandas writes, and is
/// passed over.
fn header(
    names: &StringRecord,
    table: &mut TableBuilder<'_>,
) -> Result<Vec<Option<usize>>, String> {
    let index = usize::from(names.len() > 1 && names.get(0) == Some(""));
    let fields = table.fields();
    let names = names.iter().skip(index).map(|name| match fields.find(name, 0) {
        Some(_) => Cow::Borrowed(name),
        None => Cow::Borrowed(name.trim()),
    });

    let named = table.header(names)?;
    Ok(std::iter::repeat_n(None, index).chain(named).collect())
}

fn explain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { pos, err } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("the CSV is not UTF-8: line {line}: {err}")
        }
        _ => format!("the CSV cannot be read: {}", shorten(&error.to_string())),
    }
}
