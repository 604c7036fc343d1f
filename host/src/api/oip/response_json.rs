//! The body of an inference response: JSON, followed by the binary outputs.

use half::{bf16, f16};

use super::output_selection::OutputSelection;
use crate::api::json::{shorten, write_float, write_integer, write_string};
use crate::model::{
    Datatype, InferError, InferResponse, ModelId, Parameter, ParameterValue, Tensor, bytes_elements,
};
use crate::tenant::{Pacer, Stopped};

/// The body of a response.
#[derive(Debug)]
pub(in crate::api) struct EncodedResponse {
    /// The JSON, followed by the binary outputs.
    pub(in crate::api) body: Vec<u8>,
    /// Length of the JSON in bytes; `None` if there are no binary outputs.
    pub(in crate::api) json_length: Option<usize>,
}

/// Encodes a response. Fails with [`InferError::NotJson`] if JSON cannot represent a value.
pub(in crate::api) fn encode(
    model: &ModelId,
    id: &str,
    response: &InferResponse,
    form: &OutputSelection,
    pacer: &Pacer,
) -> Result<EncodedResponse, InferError> {
    let wanted = || response.outputs.iter().filter(|tensor| form.is_requested(&tensor.name));
    let mut body = Vec::with_capacity(estimated_length(wanted()));
    write_head(&mut body, model, id);
    write_parameters(&mut body, &response.parameters)?;
    body.extend_from_slice(b"\"outputs\":[");
    for (index, tensor) in wanted().enumerate() {
        write_separator(&mut body, index);
        write_output(&mut body, tensor, form.is_binary(&tensor.name), pacer)?;
    }

    body.extend_from_slice(b"]}");

    let json_length = body.len();
    let mut binary = wanted().filter(|tensor| form.is_binary(&tensor.name)).peekable();
    let json_length = binary.peek().map(|_| json_length);

    for tensor in binary {
        body.extend_from_slice(&tensor.data);
        pacer.checkpoint()?;
    }

    Ok(EncodedResponse { body, json_length })
}

/// Estimates the length of the body in bytes. Decimal digits take two to three times the bytes of
/// most numbers.
pub(in crate::api) fn estimated_length<'a>(outputs: impl Iterator<Item = &'a Tensor>) -> usize {
    outputs.map(|tensor| tensor.data.len().saturating_mul(3) + 128).sum::<usize>() + 128
}

/// Writes the beginning of a response, including the trailing comma.
fn write_head(out: &mut Vec<u8>, model: &ModelId, id: &str) {
    out.extend_from_slice(b"{\"model_name\":");
    write_string(out, model.name.as_str());
    out.extend_from_slice(b",\"model_version\":\"");
    write_integer(out, model.version.number());
    out.extend_from_slice(b"\",");

    if !id.is_empty() {
        out.extend_from_slice(b"\"id\":");
        write_string(out, id);
        out.push(b',');
    }
}

fn write_parameters(out: &mut Vec<u8>, parameters: &[Parameter]) -> Result<(), InferError> {
    if parameters.is_empty() {
        return Ok(());
    }

    out.extend_from_slice(b"\"parameters\":{");
    for (index, parameter) in last_of_each_name(parameters).enumerate() {
        write_separator(out, index);
        write_string(out, &parameter.name);
        out.push(b':');
        write_parameter(out, parameter)?;
    }

    out.extend_from_slice(b"},");

    Ok(())
}

/// Returns the parameters without duplicates. The last one of each name counts.
pub(in crate::api) fn last_of_each_name(
    parameters: &[Parameter],
) -> impl Iterator<Item = &Parameter> {
    let is_last = move |index: usize, name: &str| {
        parameters.iter().skip(index + 1).all(|later| later.name != name)
    };
    let last = parameters
        .iter()
        .enumerate()
        .filter(move |(index, parameter)| is_last(*index, &parameter.name));

    last.map(|(_, parameter)| parameter)
}

/// Writes a parameter's value. Fails with [`InferError::NotJson`] if JSON cannot represent it.
pub(in crate::api) fn write_parameter(
    out: &mut Vec<u8>,
    parameter: &Parameter,
) -> Result<(), InferError> {
    let written = write_value(out, &parameter.value);
    written.map_err(|error| {
        InferError::NotJson(format!("parameter '{}' {error}", shorten(&parameter.name)))
    })
}

fn write_value(out: &mut Vec<u8>, value: &ParameterValue) -> Result<(), &'static str> {
    match value {
        ParameterValue::Boolean(value) => write_boolean(out, *value),
        ParameterValue::Integer(value) => write_integer(out, *value),
        ParameterValue::Number(value) if value.is_finite() => write_float(out, *value),
        ParameterValue::Number(_) => return Err(NOT_FINITE),
        ParameterValue::Text(value) => write_string(out, value),
    }
    Ok(())
}

const NOT_FINITE: &str = "holds NaN or Infinity";
const NOT_TEXT: &str = "holds bytes that are not UTF-8";

fn write_output(
    out: &mut Vec<u8>,
    tensor: &Tensor,
    binary: bool,
    pacer: &Pacer,
) -> Result<(), InferError> {
    out.extend_from_slice(b"{\"name\":");
    write_string(out, &tensor.name);
    out.extend_from_slice(b",\"datatype\":\"");
    out.extend_from_slice(tensor.datatype.name().as_bytes());
    out.extend_from_slice(b"\",\"shape\":[");
    write_row(out, &tensor.shape, |out, dimension| write_integer(out, *dimension));
    out.push(b']');
    if binary {
        out.extend_from_slice(b",\"parameters\":{\"binary_data_size\":");
        write_integer(out, tensor.data.len());
        out.push(b'}');
    } else {
        out.extend_from_slice(b",\"data\":");
        write_data(out, tensor, pacer)?;
    }

    out.push(b'}');

    Ok(())
}

fn write_data(out: &mut Vec<u8>, tensor: &Tensor, pacer: &Pacer) -> Result<(), InferError> {
    out.push(b'[');
    write_elements(out, tensor, pacer)?;
    out.push(b']');

    Ok(())
}

/// Writes a tensor's elements, separated by commas. Fails with [`InferError::NotJson`] if JSON
/// cannot represent one.
pub(in crate::api) fn write_elements(
    out: &mut Vec<u8>,
    tensor: &Tensor,
    pacer: &Pacer,
) -> Result<(), InferError> {
    let written = write_tensor_data(out, tensor.datatype, &tensor.data, pacer);
    written.map_err(|error| match error {
        EncodeError::NotJson(error) => {
            InferError::NotJson(format!("output '{}' {error}", shorten(&tensor.name)))
        }
        EncodeError::Stopped(stopped) => stopped.into(),
    })
}

/// The reason why elements were not written.
enum EncodeError {
    NotJson(&'static str),
    Stopped(Stopped),
}

impl From<&'static str> for EncodeError {
    fn from(error: &'static str) -> Self {
        EncodeError::NotJson(error)
    }
}

impl From<Stopped> for EncodeError {
    fn from(stopped: Stopped) -> Self {
        EncodeError::Stopped(stopped)
    }
}

fn write_tensor_data(
    out: &mut Vec<u8>,
    datatype: Datatype,
    data: &[u8],
    pacer: &Pacer,
) -> Result<(), EncodeError> {
    match datatype {
        Datatype::Bool => write_list(out, data, pacer, |out, byte| write_boolean(out, *byte != 0)),
        Datatype::Uint8 => write_list(out, data, pacer, |out, byte| write_integer(out, *byte)),
        Datatype::Uint16 => write_integers(out, data, pacer, u16::from_le_bytes),
        Datatype::Uint32 => write_integers(out, data, pacer, u32::from_le_bytes),
        Datatype::Uint64 => write_integers(out, data, pacer, u64::from_le_bytes),
        Datatype::Int8 => write_integers(out, data, pacer, i8::from_le_bytes),
        Datatype::Int16 => write_integers(out, data, pacer, i16::from_le_bytes),
        Datatype::Int32 => write_integers(out, data, pacer, i32::from_le_bytes),
        Datatype::Int64 => write_integers(out, data, pacer, i64::from_le_bytes),
        Datatype::Fp16 => write_floats(
            out,
            data,
            pacer,
            |bytes| f16::from_le_bytes(bytes).to_f32(),
            f32::is_finite,
        ),
        Datatype::Bf16 => write_floats(
            out,
            data,
            pacer,
            |bytes| bf16::from_le_bytes(bytes).to_f32(),
            f32::is_finite,
        ),
        Datatype::Fp32 => write_floats(out, data, pacer, f32::from_le_bytes, f32::is_finite),
        Datatype::Fp64 => write_floats(out, data, pacer, f64::from_le_bytes, f64::is_finite),
        Datatype::Bytes => write_texts(out, data, pacer),
    }
}

fn write_integers<const SIZE: usize, T: itoa::Integer>(
    out: &mut Vec<u8>,
    data: &[u8],
    pacer: &Pacer,
    decode: fn([u8; SIZE]) -> T,
) -> Result<(), EncodeError> {
    write_list(out, data.as_chunks().0, pacer, |out, bytes| write_integer(out, decode(*bytes)))
}

fn write_floats<const SIZE: usize, T: zmij::Float>(
    out: &mut Vec<u8>,
    data: &[u8],
    pacer: &Pacer,
    decode: impl Fn([u8; SIZE]) -> T,
    is_finite: impl Fn(T) -> bool,
) -> Result<(), EncodeError> {
    let (elements, _) = data.as_chunks();
    if !elements.iter().all(|bytes| is_finite(decode(*bytes))) {
        return Err(NOT_FINITE.into());
    }

    write_list(out, elements, pacer, |out, bytes| write_float(out, decode(*bytes)))
}

fn write_texts(out: &mut Vec<u8>, data: &[u8], pacer: &Pacer) -> Result<(), EncodeError> {
    let mut written = 0;
    for (index, element) in bytes_elements(data).enumerate() {
        write_separator(out, index);
        let text = element.ok().and_then(|bytes| std::str::from_utf8(bytes).ok());
        write_string(out, text.ok_or(NOT_TEXT)?);
        if out.len() - written >= STEP_BYTES {
            written = out.len();
            pacer.checkpoint()?;
        }
    }

    Ok(())
}

/// Elements and bytes between two checkpoints: writing this much takes about 0.1 ms.
const STEP_ELEMENTS: usize = 4096;
const STEP_BYTES: usize = 64 << 10;

/// Writes elements with a checkpoint after each step.
fn write_list<T>(
    out: &mut Vec<u8>,
    elements: &[T],
    pacer: &Pacer,
    write: impl Fn(&mut Vec<u8>, &T),
) -> Result<(), EncodeError> {
    for (number, step) in elements.chunks(STEP_ELEMENTS).enumerate() {
        write_separator(out, number);
        write_row(out, step, &write);
        pacer.checkpoint()?;
    }
    Ok(())
}

fn write_row<T>(out: &mut Vec<u8>, elements: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    for (index, element) in elements.iter().enumerate() {
        write_separator(out, index);
        write(out, element);
    }
}

fn write_separator(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

fn write_boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}
