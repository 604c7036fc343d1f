//! Decodes a `ModelInferRequest`, field by field, so that nothing is allocated for tensors and
//! parameters beyond their limits. Raw contents are copied once, typed ones converted once.

use bytes::Bytes;
use prost::Message;
use prost::encoding::decode_varint;

use super::messages::{InferParameter, ParameterChoice, ParameterEntry};
use super::wire::{Field, Fields, Value, malformed};
use crate::api::json::shorten;
use crate::api::oip::binary_request::copy;
use crate::api::oip::output_selection::{OutputSelection, RequestedOutput};
use crate::api::oip::parameters::{
    RawParameter, RawValue, refuse_shared_memory, take, take_boolean,
};
use crate::api::oip::request_json::{DecodedRequest, MAX_TENSORS};
use crate::model::{Datatype, MAX_DIMENSIONS, MAX_PARAMETERS, Tensor, push_bytes_element};
use crate::tenant::Pacer;

/// The part of a request that its response depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// The requested outputs.
    pub(super) outputs: OutputSelection,
    /// True if the outputs are raw. A request with typed contents gets typed ones.
    pub(super) raw: bool,
    /// True if the last response of a stream says that it is the last, and there always is one.
    pub(super) marks_last: bool,
}

/// The request of a stream that sets [`Form::marks_last`].
const ENABLE_FINAL: &str = "triton_enable_empty_final_response";

/// Decodes a request. Fails with a text for the caller.
pub(super) fn decode(message: &Bytes, pacer: &Pacer) -> Result<(DecodedRequest, Form), String> {
    let mut reader = RequestReader::default();

    for field in Fields::of(message.clone()) {
        reader.read(field?)?;
    }

    reader.finish(pacer)
}

/// Returns the id of a request that may be wrong in other fields; empty if there is none.
pub(super) fn id_of(message: &Bytes) -> String {
    let mut fields = Fields::of(message.clone()).map_while(Result::ok);
    let id = fields.find(|field| field.number == 3);
    id.and_then(|id| id.value.into_text().ok()).unwrap_or_default()
}

/// The parts of a request while it is read.
#[derive(Default)]
struct RequestReader {
    decoded: DecodedRequest,
    parameters: Vec<RawParameter>,
    inputs: Vec<Input>,
    raw: Vec<Bytes>,
}

/// An input without its data.
#[derive(Default)]
struct Input {
    name: String,
    datatype: String,
    shape: Vec<u64>,
    contents: Option<Bytes>,
}

impl RequestReader {
    fn read(&mut self, Field { number, value }: Field) -> Result<(), String> {
        match number {
            3 => self.decoded.request.id = value.into_text()?,
            4 => read_parameter(&mut self.parameters, value)?,
            5 => {
                check_count(self.inputs.len(), MAX_TENSORS, "inputs")?;
                let number = self.inputs.len() + 1;
                let input = read_input(value.into_bytes()?);
                self.inputs.push(input.map_err(|error| format!("input number {number}: {error}"))?);
            }
            6 => self.read_output(value.into_bytes()?)?,
            7 => {
                check_count(self.raw.len(), MAX_TENSORS, "raw contents")?;
                self.raw.push(value.into_bytes()?);
            }
            _ => {}
        }
        Ok(())
    }

    fn read_output(&mut self, message: Bytes) -> Result<(), String> {
        let decoded = &mut self.decoded;
        let index = decoded.request.outputs.len();
        check_count(index, MAX_TENSORS, "outputs")?;

        let output = read_output(message)
            .map_err(|error| format!("output number {}: {error}", index + 1))?;
        if decoded.request.outputs.contains(&output.name) {
            return Err(format!("output '{}' is requested twice", shorten(&output.name)));
        }

        decoded.request.outputs.push(output.name.clone());
        decoded.outputs.requested.push(output);

        Ok(())
    }

    fn finish(mut self, pacer: &Pacer) -> Result<(DecodedRequest, Form), String> {
        let typed = self.inputs.iter().any(|input| input.contents.is_some());
        self.check_raw(typed)?;

        for (index, input) in self.inputs.into_iter().enumerate() {
            let name = input.name.clone();
            let tensor = input
                .into_tensor(self.raw.get(index), pacer)
                .map_err(|error| format!("input '{}': {error}", shorten(&name)))?;
            self.decoded.request.inputs.push(tensor);
        }

        let marks_last = take_boolean(&mut self.parameters, ENABLE_FINAL)?.unwrap_or(false);
        self.decoded.take_server_parameters(self.parameters)?;
        let outputs = std::mem::take(&mut self.decoded.outputs);

        Ok((self.decoded, Form { outputs, raw: !typed, marks_last }))
    }

    /// Checks that the data are either raw or typed.
    fn check_raw(&self, typed: bool) -> Result<(), String> {
        let (inputs, raw) = (self.inputs.len(), self.raw.len());

        if raw > 0 && typed {
            return Err(
                "the request has both raw_input_contents and contents; give one of them".to_owned()
            );
        }
        if raw > 0 && raw != inputs {
            return Err(format!(
                "there are {inputs} inputs and {raw} raw_input_contents; give one for each input"
            ));
        }

        Ok(())
    }
}

fn check_count(present: usize, most: usize, what: &str) -> Result<(), String> {
    if present < most { Ok(()) } else { Err(format!("there are more than {most} {what}")) }
}

fn read_input(message: Bytes) -> Result<Input, String> {
    let mut input = Input::default();
    let mut parameters = Vec::new();

    for field in Fields::of(message) {
        let Field { number, value } = field?;
        match number {
            1 => input.name = value.into_text()?,
            2 => input.datatype = value.into_text()?,
            3 => read_shape(&mut input.shape, value)?,
            4 => read_parameter(&mut parameters, value)?,
            5 => input.contents = Some(value.into_bytes()?),
            _ => {}
        }
    }

    refuse_shared_memory(&parameters)?;
    Ok(input)
}

fn read_output(message: Bytes) -> Result<RequestedOutput, String> {
    let mut name = String::new();
    let mut parameters = Vec::new();

    for field in Fields::of(message) {
        let Field { number, value } = field?;
        match number {
            1 => name = value.into_text()?,
            2 => read_parameter(&mut parameters, value)?,
            _ => {}
        }
    }

    RequestedOutput::new(name, parameters)
}

fn read_shape(shape: &mut Vec<u64>, value: Value) -> Result<(), String> {
    for_each_varint(value, |dimension| {
        check_count(shape.len(), MAX_DIMENSIONS, "dimensions")?;
        let dimension = dimension.cast_signed();
        shape.push(u64::try_from(dimension).map_err(|_| {
            format!("a dimension is a whole number of 0 or above, not {dimension}")
        })?);
        Ok(())
    })
}

/// Adds an entry of a map of parameters. As in every map of the format, the last entry of a key
/// counts, and one without a value sets none.
fn read_parameter(parameters: &mut Vec<RawParameter>, value: Value) -> Result<(), String> {
    let entry = ParameterEntry::decode(value.into_bytes()?).map_err(malformed)?;
    let choice = entry.value.and_then(|InferParameter { parameter_choice }| parameter_choice);
    take(parameters, &entry.key);

    // Some clients put transport headers here. They are ignored.
    let Some(choice) = choice.filter(|_| entry.key != "headers") else { return Ok(()) };
    check_count(parameters.len(), MAX_PARAMETERS, "parameters")?;

    let value = match choice {
        ParameterChoice::Bool(value) => RawValue::Boolean(value),
        ParameterChoice::Int64(value) => RawValue::Whole(value.into()),
        ParameterChoice::Uint64(value) => RawValue::Whole(value.into()),
        ParameterChoice::String(value) => RawValue::Text(value),
        ParameterChoice::Double(value) if value.is_finite() => RawValue::Number(value),
        ParameterChoice::Double(_) => {
            let name = shorten(&entry.key);
            return Err(format!("parameter '{name}': a number must be finite"));
        }
    };
    parameters.push(RawParameter { name: entry.key, value });

    Ok(())
}

impl Input {
    fn into_tensor(self, raw: Option<&Bytes>, pacer: &Pacer) -> Result<Tensor, String> {
        let Input { name, datatype, shape, contents } = self;
        let datatype = Datatype::from_name(&datatype).ok_or_else(|| {
            let known: Vec<_> = Datatype::ALL.into_iter().map(Datatype::name).collect();
            let datatype = shorten(&datatype);
            format!("there is no datatype '{datatype}'; there are {}", known.join(", "))
        })?;

        let mut tensor = Tensor { name, datatype, shape, data: Vec::new() };
        match (raw, contents) {
            (Some(raw), _) => tensor.data = copy(raw, pacer)?,
            (None, Some(contents)) => convert(&mut tensor, contents, pacer)?,
            (None, None) => {}
        }

        tensor.check()?;
        Ok(tensor)
    }
}

/// Returns the number and name of the field for a datatype's contents. `None` if they can only be
/// raw.
fn contents_field(datatype: Datatype) -> Option<(u32, &'static str)> {
    Some(match datatype {
        Datatype::Bool => (1, "bool_contents"),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => (2, "int_contents"),
        Datatype::Int64 => (3, "int64_contents"),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => (4, "uint_contents"),
        Datatype::Uint64 => (5, "uint64_contents"),
        Datatype::Fp32 => (6, "fp32_contents"),
        Datatype::Fp64 => (7, "fp64_contents"),
        Datatype::Bytes => (8, "bytes_contents"),
        Datatype::Fp16 | Datatype::Bf16 => return None,
    })
}

/// Converts typed contents to the data of a tensor.
fn convert(tensor: &mut Tensor, contents: Bytes, pacer: &Pacer) -> Result<(), String> {
    let datatype = tensor.datatype;
    let (wanted, name) = contents_field(datatype)
        .ok_or_else(|| format!("{datatype} has no typed contents; use raw_input_contents"))?;

    for field in Fields::of(contents) {
        let Field { number, value } = field?;
        if number != wanted {
            return Err(format!("the contents of {datatype} belong into {name}"));
        }
        append(&mut tensor.data, datatype, value, pacer)?;
    }

    Ok(())
}

fn append(
    data: &mut Vec<u8>,
    datatype: Datatype,
    value: Value,
    pacer: &Pacer,
) -> Result<(), String> {
    match (datatype, value) {
        (Datatype::Fp32, Value::Fixed32(element)) => data.extend(element),
        (Datatype::Fp64, Value::Fixed64(element)) => data.extend(element),
        // Packed numbers lie on the wire as in a tensor. `Tensor::check` counts them.
        (Datatype::Fp32 | Datatype::Fp64, Value::Bytes(packed)) => {
            data.extend(copy(&packed, pacer)?);
        }
        (Datatype::Bytes, Value::Bytes(element)) => push_bytes_element(data, &element)?,
        (Datatype::Fp32 | Datatype::Fp64 | Datatype::Bytes, _) => return Err(other_type()),
        (_, value) => {
            let mut count = 0u32;
            for_each_varint(value, |element| {
                count = count.wrapping_add(1);
                if count.is_multiple_of(STEP) {
                    pacer.checkpoint().map_err(|stopped| stopped.to_string())?;
                }
                push_integer(data, datatype, element)
            })?;
        }
    }
    Ok(())
}

/// Elements between two checkpoints.
const STEP: u32 = 4096;

fn other_type() -> String {
    malformed("the contents have another type")
}

/// Calls `each` for a number, or for each of several packed ones.
fn for_each_varint(
    value: Value,
    mut each: impl FnMut(u64) -> Result<(), String>,
) -> Result<(), String> {
    match value {
        Value::Varint(number) => each(number),
        Value::Bytes(mut packed) => {
            while !packed.is_empty() {
                each(decode_varint(&mut packed).map_err(malformed)?)?;
            }
            Ok(())
        }
        Value::Fixed32(_) | Value::Fixed64(_) => Err(other_type()),
    }
}

/// Appends an integer in its datatype's size. Fails if it is out of range.
fn push_integer(data: &mut Vec<u8>, datatype: Datatype, varint: u64) -> Result<(), String> {
    // Signed numbers of 32 bits lie on the wire as 64 bits.
    let signed = varint.cast_signed();
    let out_of_range = |_| format!("an element is out of the range of {datatype}");

    match datatype {
        Datatype::Bool => data.push(u8::from(varint != 0)),
        Datatype::Int8 => data.extend(i8::try_from(signed).map_err(out_of_range)?.to_le_bytes()),
        Datatype::Int16 => data.extend(i16::try_from(signed).map_err(out_of_range)?.to_le_bytes()),
        Datatype::Int32 => data.extend(i32::try_from(signed).map_err(out_of_range)?.to_le_bytes()),
        Datatype::Int64 | Datatype::Uint64 => data.extend(varint.to_le_bytes()),
        Datatype::Uint8 => data.extend(u8::try_from(varint).map_err(out_of_range)?.to_le_bytes()),
        Datatype::Uint16 => data.extend(u16::try_from(varint).map_err(out_of_range)?.to_le_bytes()),
        Datatype::Uint32 => data.extend(u32::try_from(varint).map_err(out_of_range)?.to_le_bytes()),
        Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64 | Datatype::Bytes => {
            return Err(other_type());
        }
    }

    Ok(())
}
