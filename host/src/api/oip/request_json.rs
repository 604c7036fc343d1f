//! The JSON of an inference request.
//!
//! Unknown keys are rejected by name, so that a misspelt `output` is not silently ignored.
//! `model_name` and `model_version` at the top level are skipped: KServe's client sends them, and
//! the path already contains both. `null` counts as absent for optional keys, for MLServer's
//! client.

use super::output_selection::{OutputSelection, RequestedOutput};
use super::parameters::{
    RawParameter, read_parameters, refuse_shared_memory, take_boolean, take_sequence, take_unsigned,
};
use super::tensor_json::read_data;
use crate::api::generated_text::TextFilter;
use crate::api::http::deadline;
use crate::api::json::{JsonError, Reader, shorten};
use crate::model::{Datatype, Deadline, InferRequest, MAX_DIMENSIONS, Tensor};
use crate::tenant::Pacer;

/// A decoded inference request.
#[derive(Debug, Default)]
pub(in crate::api) struct DecodedRequest {
    /// The request. The data of inputs with binary data is empty until it is attached.
    pub(in crate::api) request: InferRequest,
    /// The inputs with binary data after the JSON: index and size in bytes, in order.
    pub(in crate::api) binary_inputs: Vec<(usize, u64)>,
    /// The requested outputs and the form of each.
    pub(in crate::api) outputs: OutputSelection,
    /// The deadline from the parameter `timeout`.
    pub(in crate::api) timeout: Option<Deadline>,
    /// Cuts the text of the answer, if the request asks for that.
    pub(in crate::api) text_filter: Option<TextFilter>,
}

impl DecodedRequest {
    /// Removes the server parameters and applies them; the others are passed to the model. Fails
    /// with a text for the caller.
    pub(in crate::api) fn take_server_parameters(
        &mut self,
        mut parameters: Vec<RawParameter>,
    ) -> Result<(), String> {
        self.outputs.default_binary =
            take_boolean(&mut parameters, "binary_data_output")?.unwrap_or(false);
        self.timeout = deadline::from_parameter(take_unsigned(&mut parameters, "timeout")?);
        self.request.session = take_sequence(&mut parameters)?;

        let priority = take_unsigned(&mut parameters, "priority")?;
        // Larger values have the lowest priority.
        self.request.priority =
            priority.map_or(0, |priority| u32::try_from(priority).unwrap_or(u32::MAX));
        // The protocol reserves these names for the server.
        parameters.retain(|parameter| !parameter.name.starts_with("triton_"));
        self.request.parameters = parameters
            .into_iter()
            .map(RawParameter::into_model_parameter)
            .collect::<Result<_, _>>()?;

        Ok(())
    }
}

/// Maximum number of inputs and of outputs. No model has more.
pub(in crate::api) const MAX_TENSORS: usize = 256;

const REQUEST_KEYS: &[&str] =
    &["id", "parameters", "inputs", "outputs", "model_name", "model_version"];
const INPUT_KEYS: &[&str] = &["name", "shape", "datatype", "data", "parameters"];
const OUTPUT_KEYS: &[&str] = &["name", "parameters"];

/// Parses the JSON of one request. Fails with a text for the caller.
pub(in crate::api) fn read_request_text(
    text: &[u8],
    pacer: &Pacer,
) -> Result<DecodedRequest, String> {
    let read = || {
        let mut reader = Reader::paced(text, pacer)?;
        let json = read_decoded_request(&mut reader)?;
        reader.expect_end().map(|()| json)
    };
    read().map_err(|error: JsonError| error.to_string())
}

/// Reads a request that is part of a larger JSON text and therefore cannot have binary data.
pub(in crate::api) fn read_request(reader: &mut Reader<'_>) -> Result<InferRequest, JsonError> {
    let json = read_decoded_request(reader)?;
    if json.binary_inputs.is_empty() { Ok(json.request) } else { Err(no_binary_data(reader)) }
}

/// Reads one tensor with its data.
pub(in crate::api) fn read_tensor(reader: &mut Reader<'_>) -> Result<Tensor, JsonError> {
    let mut input = InputReader::default();
    let tensor = input.read(reader)?;
    if input.binary_size.is_none() { Ok(tensor) } else { Err(no_binary_data(reader)) }
}

fn no_binary_data(reader: &Reader<'_>) -> JsonError {
    reader.error("there is no binary data here; give 'data'")
}

fn read_decoded_request(reader: &mut Reader<'_>) -> Result<DecodedRequest, JsonError> {
    let mut json = DecodedRequest::default();
    let mut has_inputs = false;
    reader.object_with_keys(REQUEST_KEYS, |reader, key| match key {
        "id" if reader.null()? => Ok(()),
        "id" => {
            read_name(reader).map(|id| json.request.id = id).map_err(|error| error.in_context("id"))
        }
        "parameters" => read_request_parameters(reader, &mut json)
            .map_err(|error| error.in_context("parameters")),
        "inputs" => {
            has_inputs = true;
            read_inputs(reader, &mut json)
        }
        "outputs" if reader.null()? => Ok(()),
        "outputs" => read_outputs(reader, &mut json),
        _ => reader.skip(),
    })?;

    if !has_inputs {
        return Err(reader.error("the request has no 'inputs'"));
    }

    Ok(json)
}

fn read_request_parameters(
    reader: &mut Reader<'_>,
    json: &mut DecodedRequest,
) -> Result<(), JsonError> {
    let parameters = read_parameters(reader)?;
    json.take_server_parameters(parameters).map_err(|error| reader.error(error))
}

fn read_inputs(reader: &mut Reader<'_>, json: &mut DecodedRequest) -> Result<(), JsonError> {
    reader.array(|reader| {
        let index = json.request.inputs.len();
        if index == MAX_TENSORS {
            return Err(reader.error(format!("there are more than {MAX_TENSORS} inputs")));
        }
        let mut input = InputReader::default();
        let tensor = input.read(reader).map_err(|error| match &input.name {
            Some(name) => error.in_context(format!("input '{}'", shorten(name))),
            None => error.in_context(format!("input number {}", index + 1)),
        })?;
        json.binary_inputs.extend(input.binary_size.map(|size| (index, size)));
        json.request.inputs.push(tensor);
        Ok(())
    })
}

/// An input while it is being read.
#[derive(Default)]
struct InputReader<'a> {
    name: Option<String>,
    datatype: Option<Datatype>,
    shape: Option<Vec<u64>>,
    data: Option<Vec<u8>>,
    /// Position of the data, if it precedes the shape and the datatype.
    early_data: Option<Reader<'a>>,
    binary_size: Option<u64>,
}

impl<'a> InputReader<'a> {
    fn read(&mut self, reader: &mut Reader<'a>) -> Result<Tensor, JsonError> {
        reader.object_with_keys(INPUT_KEYS, |reader, key| {
            self.member(reader, key).map_err(|error| error.in_context(key))
        })?;
        self.finish(reader)
    }

    fn member(&mut self, reader: &mut Reader<'a>, key: &str) -> Result<(), JsonError> {
        match key {
            "name" => self.name = Some(read_name(reader)?),
            "datatype" => self.datatype = Some(read_datatype(reader)?),
            "shape" => self.shape = Some(read_shape(reader)?),
            "data" => self.read_data(reader)?,
            _ => self.binary_size = read_input_parameters(reader)?,
        }
        Ok(())
    }

    fn read_data(&mut self, reader: &mut Reader<'a>) -> Result<(), JsonError> {
        match (self.datatype, &self.shape) {
            (Some(datatype), Some(shape)) => self.data = Some(read_data(reader, datatype, shape)?),
            _ => {
                self.early_data = Some(reader.clone());
                reader.skip()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, reader: &Reader<'a>) -> Result<Tensor, JsonError> {
        let missing = |key| reader.error(format!("it has no '{key}'"));
        let name = self.name.clone().ok_or_else(|| missing("name"))?;
        let datatype = self.datatype.ok_or_else(|| missing("datatype"))?;
        let shape = self.shape.take().ok_or_else(|| missing("shape"))?;

        if let Some(early) = &mut self.early_data {
            self.data =
                Some(read_data(early, datatype, &shape).map_err(|error| error.in_context("data"))?);
        }

        let data = match (self.data.take(), self.binary_size) {
            (Some(_), Some(_)) => {
                return Err(reader.error("it has both 'data' and 'binary_data_size'"));
            }
            (Some(data), None) => data,
            (None, Some(_)) => Vec::new(),
            (None, None) => return Err(missing("data")),
        };

        Ok(Tensor { name, datatype, shape, data })
    }
}

fn read_name(reader: &mut Reader<'_>) -> Result<String, JsonError> {
    reader.string().map(|name| name.into_owned())
}

fn read_datatype(reader: &mut Reader<'_>) -> Result<Datatype, JsonError> {
    let name = reader.string()?;
    Datatype::from_name(&name).ok_or_else(|| {
        let known: Vec<_> = Datatype::ALL.into_iter().map(Datatype::name).collect();
        reader.error(format!(
            "there is no datatype '{}'; there are {}",
            shorten(&name),
            known.join(", ")
        ))
    })
}

fn read_shape(reader: &mut Reader<'_>) -> Result<Vec<u64>, JsonError> {
    let mut shape = Vec::with_capacity(4);
    reader.array(|reader| {
        if shape.len() == MAX_DIMENSIONS {
            return Err(reader.error(format!("it has more than {MAX_DIMENSIONS} dimensions")));
        }
        let number = reader.number()?;
        let dimension = number.integer().and_then(|value| u64::try_from(value).ok());
        shape.push(dimension.ok_or_else(|| {
            reader.error(format!(
                "a dimension is a whole number of 0 or above, not {}",
                shorten(number.text)
            ))
        })?);
        Ok(())
    })?;
    Ok(shape)
}

/// Reads the parameters of an input and returns `binary_data_size`. The others are ignored.
fn read_input_parameters(reader: &mut Reader<'_>) -> Result<Option<u64>, JsonError> {
    let mut parameters = read_parameters(reader)?;
    refuse_shared_memory(&parameters).map_err(|error| reader.error(error))?;
    take_unsigned(&mut parameters, "binary_data_size").map_err(|error| reader.error(error))
}

fn read_outputs(reader: &mut Reader<'_>, json: &mut DecodedRequest) -> Result<(), JsonError> {
    reader.array(|reader| {
        let index = json.request.outputs.len();
        if index == MAX_TENSORS {
            return Err(reader.error(format!("there are more than {MAX_TENSORS} outputs")));
        }
        let output = read_output(reader)
            .map_err(|error| error.in_context(format!("output number {}", index + 1)))?;
        if json.request.outputs.contains(&output.name) {
            let name = shorten(&output.name);
            return Err(reader.error(format!("output '{name}' is requested twice")));
        }
        json.request.outputs.push(output.name.clone());
        json.outputs.requested.push(output);
        Ok(())
    })
}

fn read_output(reader: &mut Reader<'_>) -> Result<RequestedOutput, JsonError> {
    let mut name = None;
    let mut parameters = Vec::new();

    reader.object_with_keys(OUTPUT_KEYS, |reader, key| {
        match key {
            "name" => name = Some(read_name(reader).map_err(|error| error.in_context("name"))?),
            _ => {
                parameters =
                    read_parameters(reader).map_err(|error| error.in_context("parameters"))?;
            }
        }
        Ok(())
    })?;

    let name = name.ok_or_else(|| reader.error("it has no 'name'"))?;
    RequestedOutput::new(name, parameters)
        .map_err(|error| reader.error(error).in_context("parameters"))
}
