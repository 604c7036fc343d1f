//! The wire codec of the Open Inference Protocol: tensors, requests, responses, parameters and the
//! binary data extension.

pub(super) mod binary_request;
pub(super) mod classification;
pub(super) mod element;
pub(super) mod fitted_tensor;
pub(super) mod framing;
pub(super) mod output_selection;
pub(super) mod parameters;
pub(super) mod request_json;
pub(super) mod response_json;
pub(super) mod tensor_json;

#[cfg(fuzzing)]
pub(super) mod fuzzing;

#[cfg(test)]
mod bad_json_tests;
#[cfg(test)]
mod round_trip_tests;

/// The `platform` of all models in the protocol.
pub(super) const PLATFORM: &str = "wardian_wasm";
