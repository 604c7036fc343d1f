//! The binary tensor data extension: raw tensor bytes after the JSON, or instead of it.
//!
//! Specified in Triton's `protocol/extension_binary_data.md`.

use super::output_selection::OutputSelection;
use super::request_json::DecodedRequest;
use crate::api::json::shorten;
use crate::model::{Datatype, InferRequest, Metadata, Tensor, TensorSpec, push_bytes_element};
use crate::tenant::Pacer;

/// Copies the binary data after the JSON into the inputs that announced it. Fails with a text for
/// the caller unless the announced sizes add up to exactly `rest` and each matches its input's
/// shape.
pub(in crate::api) fn attach_binary_inputs(
    json: &mut DecodedRequest,
    mut rest: &[u8],
    pacer: &Pacer,
) -> Result<(), String> {
    for &(index, size) in &json.binary_inputs {
        let Some(tensor) = json.request.inputs.get_mut(index) else { continue };
        let split = usize::try_from(size).ok().and_then(|size| rest.split_at_checked(size));
        let (data, after) = split.ok_or_else(|| too_short(tensor, size, rest.len()))?;
        tensor.data = copy(data, pacer)?;
        tensor.check().map_err(|error| format!("input '{}': {error}", shorten(&tensor.name)))?;
        rest = after;
    }

    if !rest.is_empty() {
        return Err(format!(
            "{} bytes follow the JSON that no input's binary_data_size announces",
            rest.len()
        ));
    }

    Ok(())
}

fn too_short(tensor: &Tensor, size: u64, left: usize) -> String {
    let name = shorten(&tensor.name);
    format!(
        "input '{name}': its binary_data_size is {size}, but only {left} bytes of binary data are left"
    )
}

/// Builds a request from a body that consists of the bytes of the model's only input, with a batch
/// size of 1 if the model batches. The body of a `BYTES` input is its only element, without a
/// length prefix. Fails with a text for the caller unless the metadata and the body size determine
/// one shape.
pub(in crate::api) fn raw_request(
    metadata: &Metadata,
    body: &[u8],
    pacer: &Pacer,
) -> Result<DecodedRequest, String> {
    let [spec] = metadata.inputs.as_slice() else {
        return Err(format!(
            "raw binary requests need a model with one input; it has {}",
            metadata.inputs.len()
        ));
    };

    let (shape, data) = raw_tensor(spec, metadata.max_batch_size > 0, body, pacer)
        .map_err(|error| format!("input '{}': {error}", shorten(&spec.name)))?;
    let tensor = Tensor { name: spec.name.clone(), datatype: spec.datatype, shape, data };

    tensor.check().map_err(|error| format!("input '{}': {error}", shorten(&spec.name)))?;

    Ok(DecodedRequest {
        request: InferRequest { inputs: vec![tensor], ..InferRequest::default() },
        outputs: OutputSelection { default_binary: true, requested: Vec::new() },
        ..DecodedRequest::default()
    })
}

fn raw_tensor(
    spec: &TensorSpec,
    batched: bool,
    body: &[u8],
    pacer: &Pacer,
) -> Result<(Vec<u64>, Vec<u8>), String> {
    let mut shape = spec.shape.clone();
    if let (true, Some(batch)) = (batched, shape.first_mut()) {
        *batch = 1;
    }

    if shape.iter().filter(|&&dimension| dimension < 0).count() > 1 {
        return Err(format!(
            "raw binary requests need at most one variable dimension; it has {:?}",
            spec.shape
        ));
    }

    let known = shape.iter().filter(|&&dimension| dimension >= 0);
    let known = known
        .copied()
        .try_fold(1u64, |product, dimension| product.checked_mul(dimension.unsigned_abs()));
    let (elements, data) = raw_elements(spec.datatype, body, pacer)?;
    let variable =
        known.filter(|&known| known > 0).and_then(|known| elements.checked_div(known)).unwrap_or(0);
    let shape =
        shape.iter().map(|&dimension| u64::try_from(dimension).unwrap_or(variable)).collect();

    Ok((shape, data))
}

fn raw_elements(datatype: Datatype, body: &[u8], pacer: &Pacer) -> Result<(u64, Vec<u8>), String> {
    if let Some(size) = datatype.size() {
        return Ok((body.len() as u64 / size, copy(body, pacer)?));
    }

    let mut data = Vec::with_capacity(body.len().saturating_add(4));
    push_bytes_element(&mut data, body)?;

    Ok((1, data))
}

/// Bytes copied between two checkpoints.
const STEP_BYTES: usize = 1 << 20;

/// Copies bytes, with checkpoints. Fails if the work is stopped.
pub(in crate::api) fn copy(data: &[u8], pacer: &Pacer) -> Result<Vec<u8>, String> {
    let mut copy = Vec::with_capacity(data.len());
    for piece in data.chunks(STEP_BYTES) {
        copy.extend_from_slice(piece);
        pacer.checkpoint().map_err(|stopped| stopped.to_string())?;
    }

    Ok(copy)
}
