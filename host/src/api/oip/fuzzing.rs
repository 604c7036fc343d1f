//! Properties that hold for arbitrary bytes read as a request.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::framing::{self, Framing};
use super::output_selection::OutputSelection;
use super::request_json::{DecodedRequest, MAX_TENSORS};
use super::response_json::{EncodedResponse, encode};
use crate::api::json::{Reader, shorten};
use crate::fuzzing::check_text;
use crate::model::{
    Datatype, InferResponse, MAX_PARAMETERS, Metadata, ModelId, ModelName, TenantName, Tensor,
    TensorSpec, Version,
};
use crate::tenant::Pacer;

/// Checks a JSON body. An accepted body is JSON, matches what `serde_json` reads, and survives a
/// round trip through the encoder.
pub fn infer_json(body: &[u8]) {
    agree_about_json(body);

    let Some(read) = decode(Framing::Json, &Metadata::default(), body) else { return };
    agree_about_inputs(&read, body);

    for binary in [false, true] {
        come_back(&read.request.inputs, binary);
    }
}

/// Checks a body with binary data: JSON, which contains no zero byte, up to the first one, then
/// tensors. The whole body is also read as the raw input of several models.
pub fn infer_binary(body: &[u8]) {
    if let Some(length) = body.iter().position(|&byte| byte == 0) {
        let without = [&body[..length], &body[length + 1..]].concat();
        if let Some(read) = decode(Framing::Mixed(length), &Metadata::default(), &without) {
            let data: usize = read
                .binary_inputs
                .iter()
                .map(|&(index, _)| read.request.inputs[index].data.len())
                .sum();
            assert_eq!(data, without.len() - length, "binary data was left over or made up");
            come_back(&read.request.inputs, true);
        }
    }

    for metadata in raw_models() {
        if let Some(read) = decode(Framing::Raw, &metadata, body) {
            assert_eq!(
                metadata.check_request(&read.request),
                Ok(()),
                "a raw request the model does not take"
            );
        }
    }
}

/// Decodes a body and checks the properties of every accepted request and of every error text.
fn decode(framing: Framing, metadata: &Metadata, body: &[u8]) -> Option<DecodedRequest> {
    let read = framing::decode(framing, metadata, body, &Pacer::unmetered())
        .inspect_err(|refusal| check_text(refusal, 1500))
        .ok()?;
    check_tensors(&read.request.inputs, body.len());
    assert!(read.request.inputs.len() <= MAX_TENSORS);
    assert!(read.request.outputs.len() <= MAX_TENSORS);
    assert!(read.request.parameters.len() <= MAX_PARAMETERS);
    assert!(
        read.request.outputs.iter().eq(read.outputs.requested.iter().map(|output| &output.name))
    );

    Some(read)
}

/// Checks that tensors are valid and not larger than the input can account for.
pub(in crate::api) fn check_tensors(tensors: &[Tensor], sent: usize) {
    for tensor in tensors {
        assert_eq!(tensor.check(), Ok(()), "input '{}'", shorten(&tensor.name));
    }

    // The maximum growth of one byte of JSON: `1,` is an element of 8 bytes.
    let held: usize = tensors.iter().map(|tensor| tensor.data.len()).sum();
    assert!(held <= 4 * (sent + 1), "{held} bytes of data from {sent}");
}

/// Checks that the reader and `serde_json` accept the same texts, except for two intended
/// differences: the reader limits nesting more tightly, and checks number ranges only once the
/// datatype is known.
fn agree_about_json(text: &[u8]) {
    let ours =
        Reader::new(text).and_then(|mut reader| reader.skip().and_then(|()| reader.expect_end()));
    let theirs = serde_json::from_slice::<Value>(text);

    match (&ours, &theirs) {
        (Ok(()), Err(error)) => {
            assert!(error.to_string().contains("out of range"), "only we accept it: {error}")
        }
        (Err(error), Ok(_)) => {
            assert!(error.to_string().contains("nested"), "only serde_json accepts it: {error}")
        }
        _ => {}
    }
}

/// Checks that the inputs match what `serde_json` reads from the same text.
fn agree_about_inputs(read: &DecodedRequest, text: &[u8]) {
    assert!(serde_json::from_slice::<IgnoredAny>(text).is_ok(), "it is not JSON");

    // Fails if an unread number is out of range for an f64.
    let Ok(json) = serde_json::from_slice::<Value>(text) else { return };
    assert_eq!(json["id"].as_str().unwrap_or_default(), read.request.id);

    let inputs = json["inputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(inputs.len(), read.request.inputs.len());

    for (said, tensor) in inputs.iter().zip(&read.request.inputs) {
        assert_eq!(said["name"], *tensor.name);
        assert_eq!(said["datatype"], *tensor.datatype.name());
        assert_eq!(said["shape"], serde_json::json!(tensor.shape));
        assert_eq!(Some(leaves(&said["data"])), tensor.elements());
    }
}

fn leaves(data: &Value) -> u64 {
    data.as_array().map_or(1, |entries| entries.iter().map(leaves).sum())
}

/// Checks that a response with these tensors can be encoded and then decoded as a request.
fn come_back(tensors: &[Tensor], binary: bool) {
    let response = InferResponse { parameters: vec![], outputs: tensors.into() };
    let form = OutputSelection { default_binary: binary, requested: vec![] };
    let encoded = encode(&model(), "", &response, &form, &Pacer::unmetered());
    let EncodedResponse { mut body, json_length } =
        encoded.unwrap_or_else(|error| panic!("it cannot be written: {error}"));
    let head = br#"{"model_name":"m","model_version":"7","outputs":["#;

    assert!(body.starts_with(head));
    // Both have the same length, so the JSON length stays correct.
    body[head.len() - 11..head.len() - 1].copy_from_slice(br#" "inputs":"#);

    let framing = json_length.map_or(Framing::Json, Framing::Mixed);
    let read = framing::decode(framing, &Metadata::default(), &body, &Pacer::unmetered());
    assert_eq!(read.map(|read| read.request.inputs).as_deref(), Ok(tensors));
}

/// Returns the id of a model that answers.
pub(in crate::api) fn model() -> ModelId {
    let name = ModelName::new("m").unwrap_or_else(|error| panic!("{error}"));
    let version = Version::new(7).unwrap_or_else(|| panic!("7 is a version"));
    ModelId { tenant: TenantName::default_tenant(), name, version }
}

fn raw_models() -> impl Iterator<Item = Metadata> {
    let shapes: [&[i64]; 4] = [&[-1], &[2, -1], &[-1, 0], &[]];
    let kinds = [Datatype::Fp32, Datatype::Bool, Datatype::Bytes];

    shapes.into_iter().flat_map(move |shape| {
        kinds.into_iter().map(move |datatype| {
            let input =
                TensorSpec { name: "x".into(), datatype, shape: shape.into(), optional: false };
            let max_batch_size = if shape == [-1, 0] { 8 } else { 0 };
            Metadata { inputs: vec![input], max_batch_size, ..Metadata::default() }
        })
    })
}
