//! The outermost JSON of a request: an envelope of MLflow or TensorFlow Serving, a record, or a
//! list of rows.

use crate::api::json::{JsonError, Reader, shorten};
use crate::api::oip::parameters::{RawParameter, read_parameters};
use crate::api::table::{TableBuilder, read_columns, read_frame, read_record, read_row, read_rows};
use crate::lifecycle::TABLE_KEYS;
use crate::model::{Metadata, hint};
use crate::tenant::Pacer;

/// The routes of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum PredictRoute {
    /// Unknown fields are refused.
    Predict,
    /// Unknown columns are passed over, and inference requests are read.
    Invocations,
    /// Only the envelopes of TensorFlow Serving are read.
    Tensorflow,
}

/// The content of a body.
pub(in crate::api) enum Body<'a> {
    /// An inference request of the Open Inference Protocol.
    Inference,
    Table(Envelope<'a>),
}

/// A table, its form and its parameters.
pub(in crate::api) struct Envelope<'a> {
    form: Form,
    /// True if a key says what the table is.
    is_named: bool,
    /// At the beginning of the table.
    table: Reader<'a>,
    /// Keys of a record that are no fields.
    skipped: Vec<&'static str>,
    parameters: Vec<RawParameter>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Record,
    Rows,
    Frame,
    Columns,
    /// The rows, or the whole of the only input.
    Tensor,
}

/// The keys of TensorFlow Serving that hold a table.
const TENSORFLOW_TABLES: [&str; 2] = ["instances", "inputs"];
/// The keys that hold parameters, as MLflow and the Open Inference Protocol call them.
const PARAMETERS: [&str; 2] = ["params", "parameters"];
/// Chooses one of several functions of a TensorFlow model. Models have one here.
const SIGNATURE: &str = "signature_name";

/// Finds the table of a body. Fails with a text for the caller.
pub(in crate::api) fn open<'a>(
    metadata: &Metadata,
    route: PredictRoute,
    body: &'a [u8],
    pacer: &'a Pacer,
) -> Result<Body<'a>, String> {
    let read = || {
        // Bare words are passed over here, so that their refusal can name row and field.
        let mut reader = Reader::paced(body, pacer)?.with_non_finite_words();
        let start = reader.clone();

        let mut opened = match reader.peek() {
            Some(b'[') if route != PredictRoute::Tensorflow => {
                reader.skip()?;
                Body::Table(Envelope::new(Form::Rows, start))
            }
            Some(b'{') => open_object(metadata, route, &mut reader, start)?,
            other if route == PredictRoute::Tensorflow => {
                return Err(reader.expected("an object", other));
            }
            other => return Err(reader.expected("an object or an array", other)),
        };
        reader.expect_end()?;

        if let Body::Table(envelope) = &mut opened
            && (route == PredictRoute::Predict || !envelope.is_named)
        {
            envelope.table = envelope.table.clone().without_non_finite();
        }

        Ok(opened)
    };

    read().map_err(|error: JsonError| error.to_string())
}

/// The members of an object that may be an envelope.
#[derive(Default)]
struct Members<'a> {
    table: Option<(&'static str, Reader<'a>)>,
    /// The keys of parameters that are there.
    parameters: Vec<(&'static str, Reader<'a>)>,
    /// The first key that belongs to no envelope.
    other: Option<String>,
}

fn open_object<'a>(
    metadata: &Metadata,
    route: PredictRoute,
    reader: &mut Reader<'a>,
    start: Reader<'a>,
) -> Result<Body<'a>, JsonError> {
    let members = read_members(reader)?;

    let of_tensorflow = route == PredictRoute::Tensorflow;
    let (key, table) = match members.table {
        Some((key, _)) if of_tensorflow && !TENSORFLOW_TABLES.contains(&key) => {
            return Err(reader.error(format!("expected 'instances' or 'inputs', not '{key}'")));
        }
        Some(table) => table,
        None if of_tensorflow => return Err(reader.error("expected 'instances' or 'inputs'")),
        None => return open_record(metadata, members, start),
    };

    if key == "inputs" && holds_tensors(&table) {
        return match route {
            PredictRoute::Invocations => Ok(Body::Inference),
            PredictRoute::Predict | PredictRoute::Tensorflow => Err(reader.error(
                "'inputs' holds tensors with a name and a datatype; send them to the route 'infer'",
            )),
        };
    }

    if let Some(other) = members.other {
        let keys = TABLE_KEYS.into_iter().chain(PARAMETERS).chain([SIGNATURE]);
        let hint = hint("keys", &other, keys);
        return Err(reader.error(format!("unknown key '{}' beside '{key}'{hint}", shorten(&other))));
    }

    let form = match (key, table.clone().peek()) {
        ("dataframe_split", _) => Form::Frame,
        ("inputs", Some(b'{')) => Form::Columns,
        ("inputs", _) => Form::Tensor,
        _ => Form::Rows,
    };

    let mut envelope = Envelope::new(form, table);
    envelope.is_named = true;
    envelope.parameters = parameters(members.parameters)?;

    Ok(Body::Table(envelope))
}

fn read_members<'a>(reader: &mut Reader<'a>) -> Result<Members<'a>, JsonError> {
    let mut members = Members::default();
    let mut signature = false;

    reader.object(|reader, key| {
        let known = |keys: &[&'static str]| keys.iter().copied().find(|known| *known == key);

        if let Some(key) = known(&TABLE_KEYS) {
            if let Some((earlier, _)) = &members.table {
                return Err(
                    reader.error(format!("'{earlier}' and '{key}' are given; one holds the table"))
                );
            }
            members.table = Some((key, reader.clone()));
        } else if let Some(key) = known(&PARAMETERS) {
            if members.parameters.iter().any(|(earlier, _)| *earlier == key) {
                return Err(reader.error(format!("'{key}' is given twice")));
            }
            members.parameters.push((key, reader.clone()));
        } else if key == SIGNATURE && !signature {
            signature = true;
        } else if members.other.is_none() {
            members.other = Some(key.into_owned());
        }

        reader.skip()
    })?;

    Ok(members)
}

/// Opens an object without a table: a record, beside which there may be parameters.
fn open_record<'a>(
    metadata: &Metadata,
    members: Members<'a>,
    start: Reader<'a>,
) -> Result<Body<'a>, JsonError> {
    let is_input = |key: &str| metadata.inputs.iter().any(|spec| spec.name == key);
    let beside: Vec<_> = members.parameters.into_iter().filter(|(key, _)| !is_input(key)).collect();

    let mut envelope = Envelope::new(Form::Record, start);
    envelope.skipped = beside.iter().map(|(key, _)| *key).collect();
    envelope.parameters = parameters(beside)?;

    Ok(Body::Table(envelope))
}

fn parameters(objects: Vec<(&'static str, Reader<'_>)>) -> Result<Vec<RawParameter>, JsonError> {
    let mut objects = objects.into_iter();
    let Some((key, mut reader)) = objects.next() else { return Ok(Vec::new()) };

    if let Some((other, _)) = objects.next() {
        return Err(reader.error(format!("'{key}' and '{other}' are given; one holds parameters")));
    }

    read_parameters(&mut reader).map_err(|error| error.in_context(key))
}

/// True if the next value is an array of tensors as the Open Inference Protocol writes them, or an
/// empty one.
fn holds_tensors(reader: &Reader<'_>) -> bool {
    let mut ahead = reader.clone();
    if !ahead.consume_array_start() {
        return false;
    }
    if ahead.peek() != Some(b'{') {
        return ahead.peek() == Some(b']');
    }

    let mut found = [false; 2];
    let read = ahead.object(|reader, key| {
        for (key_of_tensor, found) in ["name", "datatype"].iter().zip(&mut found) {
            *found |= *key_of_tensor == key;
        }
        reader.skip()
    });

    read.is_ok() && found == [true, true]
}

impl<'a> Envelope<'a> {
    fn new(form: Form, table: Reader<'a>) -> Self {
        Envelope { form, is_named: false, table, skipped: Vec::new(), parameters: Vec::new() }
    }

    /// True if a key says what the table is.
    pub(in crate::api) fn is_named(&self) -> bool {
        self.is_named
    }

    /// True if the table is written as tensors.
    pub(in crate::api) fn is_inputs(&self) -> bool {
        matches!(self.form, Form::Columns | Form::Tensor)
    }

    /// Reads the rows of the table.
    pub(in crate::api) fn read(&self, table: &mut TableBuilder<'_>) -> Result<(), JsonError> {
        let mut reader = self.table.clone();
        match self.form {
            Form::Record => read_record(&mut reader, table, &self.skipped),
            Form::Rows => read_rows(&mut reader, table),
            Form::Frame => read_frame(&mut reader, table),
            Form::Columns => read_columns(&mut reader, table),
            Form::Tensor if table.is_stacked() => read_rows(&mut reader, table),
            Form::Tensor => read_row(&mut reader, table),
        }
    }

    /// Returns the parameters of the request.
    pub(in crate::api) fn into_parameters(self) -> Vec<RawParameter> {
        self.parameters
    }
}
