//! From the outputs of a model to the body of an answer.

use crate::api::json::{shorten, write_string};
use crate::api::table::{Output, PredictionWriter, Style, varies_by_row};
use crate::model::{
    AnswerForm, AnswerOutputs, Datatype, InferError, InferResponse, Metadata, ModelRoute,
    OutputSource, Tensor, TensorSpec, bytes_elements,
};
use crate::tenant::Pacer;

/// A value of an answer.
enum Value<'a> {
    Output(Output<'a>),
    /// JSON that the route fixes.
    Fixed(&'a str),
}

/// The values of one row.
enum Row<'a> {
    Single(Option<Value<'a>>),
    Object(Vec<(&'a str, Value<'a>)>),
}

/// Writes the body of an answer. `limit` is the most that the model may answer with, in bytes.
/// Fails with [`InferError::NothingFound`] if the answer is one row and there is none.
pub(super) fn write(
    route: &ModelRoute,
    metadata: &Metadata,
    response: &InferResponse,
    limit: u64,
    pacer: &Pacer,
) -> Result<Vec<u8>, InferError> {
    match route.answer {
        AnswerForm::Empty => return Ok(Vec::new()),
        AnswerForm::Raw => return raw(route, metadata, response),
        AnswerForm::Row | AnswerForm::Rows | AnswerForm::Columns => {}
    }

    let rows = match route.answer {
        AnswerForm::Columns => None,
        _ => Some(count_rows(route, metadata, response)?),
    };
    if route.answer == AnswerForm::Row {
        match rows {
            Some(0) => return Err(InferError::NothingFound),
            Some(2..) => {
                let reason = "the outputs have several rows, and the route answers with one";
                return Err(InferError::BadOutput(reason.into()));
            }
            _ => {}
        }
    }

    let mut row = row(route, metadata, response, rows)?;
    let mut writer = PredictionWriter::new(Style::Flat, response, limit, pacer);
    match (route.answer, rows) {
        (AnswerForm::Rows, Some(rows)) => write_rows(&mut writer, &mut row, rows)?,
        _ => write_row(&mut writer, &mut row)?,
    }

    Ok(writer.out)
}

fn write_rows(
    writer: &mut PredictionWriter<'_>,
    row: &mut Row<'_>,
    rows: u64,
) -> Result<(), InferError> {
    writer.out.push(b'[');
    for index in 0..rows {
        if index > 0 {
            writer.out.push(b',');
        }
        write_row(writer, row)?;
    }
    writer.out.push(b']');

    Ok(())
}

fn write_row(writer: &mut PredictionWriter<'_>, row: &mut Row<'_>) -> Result<(), InferError> {
    match row {
        Row::Single(Some(value)) => write_value(writer, value)?,
        Row::Single(None) => writer.out.extend_from_slice(b"null"),
        Row::Object(members) => {
            writer.out.push(b'{');
            for (index, (key, value)) in members.iter_mut().enumerate() {
                if index > 0 {
                    writer.out.push(b',');
                }
                write_string(&mut writer.out, key);
                writer.out.push(b':');
                write_value(writer, value)?;
            }
            writer.out.push(b'}');
        }
    }

    writer.check_length()
}

fn write_value(writer: &mut PredictionWriter<'_>, value: &mut Value<'_>) -> Result<(), InferError> {
    match value {
        Value::Output(output) => writer.write_output(output),
        Value::Fixed(json) => {
            writer.out.extend_from_slice(json.as_bytes());
            Ok(())
        }
    }
}

/// Returns the values of the answer, before the first row. An optional output that is absent has
/// none.
fn row<'a>(
    route: &'a ModelRoute,
    metadata: &'a Metadata,
    response: &'a InferResponse,
    rows: Option<u64>,
) -> Result<Row<'a>, InferError> {
    let output = |name: &str| -> Result<Option<Value<'a>>, InferError> {
        let Some((tensor, spec)) = find(metadata, response, name) else { return Ok(None) };
        let output = Output::new(tensor, spec, rows, Style::Flat).map_err(uneven)?;
        Ok(Some(Value::Output(output)))
    };

    let mut members = Vec::new();
    match &route.outputs {
        AnswerOutputs::Single(name) => return Ok(Row::Single(output(name)?)),
        AnswerOutputs::All => {
            for spec in &metadata.outputs {
                members.extend(output(&spec.name)?.map(|value| (spec.name.as_str(), value)));
            }
        }
        AnswerOutputs::Object(sources) => {
            for (key, source) in sources {
                let value = match source {
                    OutputSource::Value(json) => Some(Value::Fixed(json)),
                    OutputSource::Output(name) => output(name)?,
                };
                members.extend(value.map(|value| (key.as_str(), value)));
            }
        }
    }

    Ok(Row::Object(members))
}

/// The fault of a model whose outputs have different numbers of rows.
fn uneven(_: InferError) -> InferError {
    InferError::BadOutput("the outputs of a route have different numbers of rows".into())
}

/// Returns the number of rows: the length of the first output that has any number of them, or 1.
fn count_rows(
    route: &ModelRoute,
    metadata: &Metadata,
    response: &InferResponse,
) -> Result<u64, InferError> {
    let is_used = |name: &str| match &route.outputs {
        AnswerOutputs::All => true,
        AnswerOutputs::Single(used) => used == name,
        AnswerOutputs::Object(sources) => {
            sources.iter().any(|(_, source)| *source == OutputSource::Output(name.to_owned()))
        }
    };
    let by_row = |spec: &&TensorSpec| is_used(&spec.name) && varies_by_row(spec);
    let tensors = metadata.outputs.iter().filter(by_row);
    let first = tensors.filter_map(|spec| find(metadata, response, &spec.name)).next();

    let cut_off = || InferError::BadOutput("an output has no dimension for its rows".into());
    first.map_or(Ok(1), |(tensor, _)| tensor.shape.first().copied().ok_or_else(cut_off))
}

fn find<'a>(
    metadata: &'a Metadata,
    response: &'a InferResponse,
    name: &str,
) -> Option<(&'a Tensor, Option<&'a TensorSpec>)> {
    let tensor = response.outputs.iter().find(|tensor| tensor.name == name)?;
    Some((tensor, metadata.outputs.iter().find(|spec| spec.name == name)))
}

/// Returns the output whose bytes are the answer: the only one, unless the route names one.
pub(super) fn raw_output<'m>(route: &ModelRoute, metadata: &'m Metadata) -> Option<&'m TensorSpec> {
    match (&route.outputs, metadata.outputs.as_slice()) {
        (AnswerOutputs::Single(name), outputs) => outputs.iter().find(|spec| spec.name == *name),
        (_, [only]) => Some(only),
        _ => None,
    }
}

/// Returns the bytes of an output: those of its only text, or of its numbers.
fn raw(
    route: &ModelRoute,
    metadata: &Metadata,
    response: &InferResponse,
) -> Result<Vec<u8>, InferError> {
    let spec = raw_output(route, metadata).ok_or(InferError::NothingFound)?;
    let (tensor, _) = find(metadata, response, &spec.name).ok_or(InferError::NothingFound)?;
    if tensor.datatype != Datatype::Bytes {
        return Ok(tensor.data.clone());
    }

    let mut elements = bytes_elements(&tensor.data);
    match (elements.next(), elements.next()) {
        (Some(only), None) => only.map(<[u8]>::to_vec).map_err(InferError::BadOutput),
        (None, _) => Err(InferError::NothingFound),
        (Some(_), Some(_)) => Err(InferError::BadOutput(format!(
            "output '{}' has several elements, and the route answers with the bytes of one",
            shorten(&spec.name)
        ))),
    }
}
