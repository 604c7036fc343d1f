//! The forms of a table in JSON: records, lists, columns, and the frames of pandas.

use std::borrow::Cow;

use super::super::json::{JsonError, Reader, shorten};
use super::builder::TableBuilder;
use super::fields::ByPlace;

/// Reads an array of rows: objects with named fields, or cells by place.
pub(in crate::api) fn read_rows(
    reader: &mut Reader<'_>,
    table: &mut TableBuilder<'_>,
) -> Result<(), JsonError> {
    let mut named = None;
    reader.array(|reader| {
        let by_name = || reader.peek() == Some(b'{') && !is_base64(reader);
        match *named.get_or_insert_with(by_name) {
            true => read_record(reader, table, &[]),
            false => read_row(reader, table),
        }
    })
}

/// True if the next object is a value: `{"b64": …}`.
fn is_base64(reader: &Reader<'_>) -> bool {
    let mut ahead = reader.clone();
    let mut keys = 0;
    let mut base64 = false;
    let read = ahead.object(|reader, key| {
        keys += 1;
        base64 = key == "b64";
        reader.skip()
    });

    read.is_ok() && keys == 1 && base64
}

/// Reads an object as one row, and skips these keys.
pub(in crate::api) fn read_record(
    reader: &mut Reader<'_>,
    table: &mut TableBuilder<'_>,
    skipped: &[&str],
) -> Result<(), JsonError> {
    table.begin_row().map_err(|error| reader.error(error))?;
    if reader.peek() != Some(b'{') {
        return Err(reader.error(table.row_error("expected an object, as in the rows before")));
    }

    read_members(reader, table, skipped)?;
    table.end_row().map_err(|error| reader.error(error))
}

fn read_members(
    reader: &mut Reader<'_>,
    table: &mut TableBuilder<'_>,
    skipped: &[&str],
) -> Result<(), JsonError> {
    let mut likely = 0;
    reader.object(|reader, key| match table.fields().find(&key, likely) {
        _ if skipped.contains(&key.as_ref()) => reader.skip(),
        Some(field) => {
            likely = field + 1;
            table.read_json(reader, field)
        }
        None => {
            table.pass_over(&key).map_err(|error| reader.error(error))?;
            reader.skip()
        }
    })
}

/// Reads an array of records that have the fields of `context` as well.
pub(in crate::api) fn read_examples(
    reader: &mut Reader<'_>,
    context: Option<&Reader<'_>>,
    table: &mut TableBuilder<'_>,
) -> Result<(), JsonError> {
    reader.array(|reader| {
        table.begin_row().map_err(|error| reader.error(error))?;
        read_members(reader, table, &[])?;
        if let Some(context) = context {
            read_members(&mut context.clone(), table, &[])?;
        }
        table.end_row().map_err(|error| reader.error(error))
    })
}

/// Reads the cells of a row without names.
pub(in crate::api) fn read_row(
    reader: &mut Reader<'_>,
    table: &mut TableBuilder<'_>,
) -> Result<(), JsonError> {
    table.begin_row().map_err(|error| reader.error(error))?;

    match table.fields().by_place() {
        ByPlace::Cell(field) => table.read_json(reader, field)?,
        ByPlace::Columns { first, count } => read_cells(reader, table, first, count)?,
        ByPlace::Inputs => {
            let count = table.fields().inputs().len();
            read_cells(reader, table, 0, count)?;
        }
    }

    table.end_row().map_err(|error| reader.error(error))
}

/// Reads an array with the cells of `count` fields from `first` on.
fn read_cells(
    reader: &mut Reader<'_>,
    table: &mut TableBuilder<'_>,
    first: usize,
    count: usize,
) -> Result<(), JsonError> {
    if reader.peek() != Some(b'[') {
        return Err(reader.error(table.row_error(&format!("expected a list of {count} values"))));
    }

    let mut seen = 0;
    reader.array(|reader| {
        if seen == count {
            return Err(wrong_length(reader, table, "more than", count));
        }
        seen += 1;
        table.read_json(reader, first + seen - 1)
    })?;

    if seen < count {
        Err(wrong_length(reader, table, &format!("{seen} of"), count))
    } else {
        Ok(())
    }
}

fn wrong_length(
    reader: &Reader<'_>,
    table: &TableBuilder<'_>,
    found: &str,
    count: usize,
) -> JsonError {
    reader.error(table.row_error(&format!("it has {found} {count} values")))
}

/// Reads an object of columns: an array of cells for each field.
pub(in crate::api) fn read_columns(
    reader: &mut Reader<'_>,
    table: &mut TableBuilder<'_>,
) -> Result<(), JsonError> {
    if !table.fields().are_stacked() {
        return read_record(reader, table, &[]);
    }

    // The readers of the columns, each at its beginning.
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    let mut readers = Vec::new();
    let most = table.fields().len() + MAX_UNKNOWN;

    reader.object(|reader, key| {
        if names.len() == most {
            return Err(reader.error(format!("there are more than {most} columns")));
        }
        readers.push(reader.clone());
        names.push(key);
        reader.skip()
    })?;

    let fields = table
        .header(names.iter().map(|name| Cow::Borrowed(name.as_ref())))
        .map_err(|error| reader.error(error))?;
    let columns =
        fields.into_iter().zip(readers).filter_map(|(field, reader)| Some((field?, reader)));

    read_side_by_side(reader, table, columns.collect())
}

/// Limit of columns beyond those of the model.
pub(super) const MAX_UNKNOWN: usize = 1000;

/// Reads columns row by row.
fn read_side_by_side(
    end: &Reader<'_>,
    table: &mut TableBuilder<'_>,
    mut columns: Vec<(usize, Reader<'_>)>,
) -> Result<(), JsonError> {
    let mut first = true;
    loop {
        let mut more = None;
        for (field, reader) in &mut columns {
            let has = reader.next_element(first).map_err(|error| {
                error.in_context(format!("column '{}'", shorten(&table.fields().name(*field))))
            })?;
            if *more.get_or_insert(has) != has {
                return Err(reader.error("the columns have different numbers of rows"));
            }
        }

        if more != Some(true) {
            return Ok(());
        }

        table.begin_row().map_err(|error| end.error(error))?;
        for (field, reader) in &mut columns {
            table.read_json(reader, *field)?;
        }
        table.end_row().map_err(|error| end.error(error))?;
        first = false;
    }
}

const FRAME_KEYS: &[&str] = &["columns", "index", "data", "index_names", "column_names"];

/// Reads the object of pandas' orientation `split`: the names of the columns, and lists of cells.
pub(in crate::api) fn read_frame<'a>(
    reader: &mut Reader<'a>,
    table: &mut TableBuilder<'_>,
) -> Result<(), JsonError> {
    let mut columns: Option<Reader<'a>> = None;
    let mut data: Option<Reader<'a>> = None;

    reader.object_with_keys(FRAME_KEYS, |reader, key| {
        match key {
            "columns" if !reader.null()? => columns = Some(reader.clone()),
            "columns" => return Ok(()),
            "data" => data = Some(reader.clone()),
            // The labels of the rows are no field.
            _ => {}
        }
        reader.skip()
    })?;

    let mut data = data.ok_or_else(|| reader.error("the frame has no 'data'"))?;
    let Some(mut columns) = columns else { return read_rows(&mut data, table) };

    let names = column_names(&mut columns, table.fields().len() + MAX_UNKNOWN)?;
    let header = table.header(names.into_iter()).map_err(|error| reader.error(error))?;

    data.array(|reader| read_frame_row(reader, table, &header))
}

fn column_names<'a>(reader: &mut Reader<'a>, most: usize) -> Result<Vec<Cow<'a, str>>, JsonError> {
    let mut names = Vec::new();
    reader.array(|reader| {
        if names.len() == most {
            return Err(reader.error(format!("there are more than {most} columns")));
        }
        // pandas numbers the columns that have no names.
        let name = match reader.peek() {
            Some(b'0'..=b'9') => Cow::Borrowed(reader.number()?.text),
            _ => reader.string().map_err(|error| error.in_context("columns"))?,
        };
        names.push(name);
        Ok(())
    })?;
    Ok(names)
}

fn read_frame_row(
    reader: &mut Reader<'_>,
    table: &mut TableBuilder<'_>,
    header: &[Option<usize>],
) -> Result<(), JsonError> {
    table.begin_row().map_err(|error| reader.error(error))?;
    if reader.peek() != Some(b'[') {
        return Err(reader.error(table.row_error("expected a list with one value a column")));
    }

    let mut cells = header.iter();
    reader.array(|reader| match cells.next() {
        Some(Some(field)) => table.read_json(reader, *field),
        Some(None) => reader.skip(),
        None => Err(wrong_length(reader, table, "more than", header.len())),
    })?;

    let missing = cells.len();
    if missing > 0 {
        let found = format!("{} of", header.len() - missing);
        return Err(wrong_length(reader, table, &found, header.len()));
    }

    table.end_row().map_err(|error| reader.error(error))
}
