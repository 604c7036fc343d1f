//! Encodes a `ModelInferResponse`, alone or as a part of a stream. Raw contents are copied once.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::messages::{
    InferParameter, InferTensor, InferTensorContents, ModelInferResponse, ModelStreamInferResponse,
    ParameterChoice,
};
use super::request::Form;
use crate::api::oip::response_json::last_of_each_name;
use crate::model::{
    Datatype, InferResponse, ModelId, Parameter, ParameterValue, Tensor, bytes_elements,
};
use crate::tenant::{Pacer, Stopped};

/// The message that holds a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Envelope {
    /// `ModelInferResponse` itself.
    None,
    /// `ModelStreamInferResponse`. `last` is the value of `triton_final_response`, if it is wanted.
    Stream { last: Option<bool> },
}

/// The parameter that tells whether a response is the last of its request.
const FINAL: &str = "triton_final_response";

/// Field `raw_output_contents` of `ModelInferResponse`.
const RAW_FIELD: u32 = 6;
/// Field `infer_response` of `ModelStreamInferResponse`.
const RESPONSE_FIELD: u32 = 2;

/// Encodes a response. Fails only if the work is stopped.
pub(super) fn encode(
    model: &ModelId,
    id: &str,
    response: &InferResponse,
    form: &Form,
    envelope: Envelope,
    pacer: &Pacer,
) -> Result<Vec<u8>, Stopped> {
    let tensors: Vec<&Tensor> =
        response.outputs.iter().filter(|tensor| form.outputs.is_requested(&tensor.name)).collect();
    // Raw contents are for all outputs or for none, and two datatypes have no others.
    let raw = form.raw || tensors.iter().any(|tensor| is_raw_only(tensor.datatype));

    let mut head = ModelInferResponse {
        model_name: model.name.to_string(),
        model_version: model.version.to_string(),
        id: id.to_owned(),
        parameters: parameters(&response.parameters),
        outputs: Vec::with_capacity(tensors.len()),
        raw_output_contents: Vec::new(),
    };
    if let Envelope::Stream { last: Some(last) } = envelope {
        head.parameters.insert(FINAL.into(), parameter(ParameterChoice::Bool(last)));
    }

    for tensor in &tensors {
        let contents = if raw { None } else { Some(typed(tensor)) };
        head.outputs.push(description(tensor, contents));
        pacer.checkpoint()?;
    }

    write(&head, if raw { &tensors } else { &[] }, envelope, pacer)
}

/// Encodes the last response of a stream if its request has no other that says so.
pub(super) fn encode_last(model: &ModelId, id: &str) -> Vec<u8> {
    let response = ModelInferResponse {
        model_name: model.name.to_string(),
        model_version: model.version.to_string(),
        id: id.to_owned(),
        parameters: BTreeMap::from([(FINAL.into(), parameter(ParameterChoice::Bool(true)))]),
        ..ModelInferResponse::default()
    };
    let answer =
        ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) };
    answer.encode_to_vec()
}

/// Encodes the error of one request of a stream.
pub(super) fn encode_error(id: &str, text: String) -> Vec<u8> {
    let response = ModelInferResponse { id: id.to_owned(), ..ModelInferResponse::default() };
    let answer = ModelStreamInferResponse { error_message: text, infer_response: Some(response) };
    answer.encode_to_vec()
}

/// Writes a response whose raw contents are still in the tensors.
fn write(
    head: &ModelInferResponse,
    raw: &[&Tensor],
    envelope: Envelope,
    pacer: &Pacer,
) -> Result<Vec<u8>, Stopped> {
    let length = head.encoded_len() + raw.iter().map(|tensor| raw_length(tensor)).sum::<usize>();
    let mut out = Vec::with_capacity(length + 16);

    if let Envelope::Stream { .. } = envelope {
        encode_key(RESPONSE_FIELD, WireType::LengthDelimited, &mut out);
        encode_varint(length as u64, &mut out);
    }

    head.encode_raw(&mut out);

    for tensor in raw {
        encode_key(RAW_FIELD, WireType::LengthDelimited, &mut out);
        encode_varint(tensor.data.len() as u64, &mut out);
        out.extend_from_slice(&tensor.data);
        pacer.checkpoint()?;
    }

    Ok(out)
}

/// The length of a tensor's raw contents with their key, in bytes.
fn raw_length(tensor: &Tensor) -> usize {
    let length = tensor.data.len();
    1 + encoded_len_varint(length as u64) + length
}

fn is_raw_only(datatype: Datatype) -> bool {
    matches!(datatype, Datatype::Fp16 | Datatype::Bf16)
}

fn description(tensor: &Tensor, contents: Option<InferTensorContents>) -> InferTensor {
    InferTensor {
        name: tensor.name.clone(),
        datatype: tensor.datatype.name().to_owned(),
        shape: tensor.shape.iter().map(|dimension| dimension.cast_signed()).collect(),
        parameters: BTreeMap::new(),
        contents,
    }
}

fn parameters(parameters: &[Parameter]) -> BTreeMap<String, InferParameter> {
    let choice = |value: &ParameterValue| match value {
        ParameterValue::Boolean(value) => ParameterChoice::Bool(*value),
        ParameterValue::Integer(value) => ParameterChoice::Int64(*value),
        ParameterValue::Number(value) => ParameterChoice::Double(*value),
        ParameterValue::Text(value) => ParameterChoice::String(value.clone()),
    };
    last_of_each_name(parameters)
        .map(|given| (given.name.clone(), parameter(choice(&given.value))))
        .collect()
}

fn parameter(choice: ParameterChoice) -> InferParameter {
    InferParameter { parameter_choice: Some(choice) }
}

/// Returns a tensor's elements in the field for its datatype. Those that can only be raw give none.
fn typed(Tensor { datatype, data, .. }: &Tensor) -> InferTensorContents {
    let mut out = InferTensorContents::default();
    match datatype {
        Datatype::Bool => out.bool_contents = data.iter().map(|&byte| byte != 0).collect(),
        Datatype::Int8 => {
            out.int_contents = data.iter().map(|&byte| i32::from(byte.cast_signed())).collect();
        }
        Datatype::Int16 => {
            out.int_contents = elements(data, |bytes| i16::from_le_bytes(bytes).into());
        }
        Datatype::Int32 => out.int_contents = elements(data, i32::from_le_bytes),
        Datatype::Int64 => out.int64_contents = elements(data, i64::from_le_bytes),
        Datatype::Uint8 => out.uint_contents = data.iter().map(|&byte| byte.into()).collect(),
        Datatype::Uint16 => {
            out.uint_contents = elements(data, |bytes| u16::from_le_bytes(bytes).into());
        }
        Datatype::Uint32 => out.uint_contents = elements(data, u32::from_le_bytes),
        Datatype::Uint64 => out.uint64_contents = elements(data, u64::from_le_bytes),
        Datatype::Fp32 => out.fp32_contents = elements(data, f32::from_le_bytes),
        Datatype::Fp64 => out.fp64_contents = elements(data, f64::from_le_bytes),
        Datatype::Bytes => {
            let texts = bytes_elements(data).flatten();
            out.bytes_contents = texts.map(Bytes::copy_from_slice).collect();
        }
        Datatype::Fp16 | Datatype::Bf16 => {}
    }
    out
}

fn elements<const SIZE: usize, T>(data: &[u8], decode: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    data.as_chunks().0.iter().map(|bytes| decode(*bytes)).collect()
}
