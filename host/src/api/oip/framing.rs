//! Framing of bodies that combine JSON and binary data, in the protocol's two dialects.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::binary_request;
use super::request_json::{DecodedRequest, read_request_text};
use crate::api::http::content_type;
use crate::model::{InferError, Metadata};
use crate::tenant::Pacer;

/// The parts of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Framing {
    /// JSON only.
    Json,
    /// JSON with this length in bytes, then binary data.
    Mixed(usize),
    /// Only the bytes of the model's single input.
    Raw,
}

/// The way in which the length of the JSON is transmitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Dialect {
    /// In the header `Inference-Header-Content-Length`.
    Header,
    /// In the content type, because SageMaker drops unknown headers.
    SageMaker,
}

const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
const SAGEMAKER_LENGTH: &str = "json-header-size";

/// Reads the framing from the request headers. Fails if the content type is not supported or the
/// JSON length is not an integer.
pub(in crate::api) fn from_headers(headers: &HeaderMap) -> Result<(Framing, Dialect), InferError> {
    let media = content_type::TENSORS.check(headers)?;
    if let Some(length) = headers.get(JSON_LENGTH) {
        return Ok((
            from_length(length.to_str().ok(), "the header Inference-Header-Content-Length")?,
            Dialect::Header,
        ));
    }

    match media.filter(|media| media.name == content_type::SAGEMAKER) {
        Some(media) => {
            let length = from_length(
                media.parameter(SAGEMAKER_LENGTH),
                "the content type's json-header-size",
            )?;
            Ok((length, Dialect::SageMaker))
        }
        None => Ok((Framing::Json, Dialect::Header)),
    }
}

/// Decodes a request body. Fails with a text for the caller.
pub(in crate::api) fn decode(
    framing: Framing,
    metadata: &Metadata,
    body: &[u8],
    pacer: &Pacer,
) -> Result<DecodedRequest, String> {
    let json_length = match framing {
        Framing::Raw => return binary_request::raw_request(metadata, body, pacer),
        Framing::Json => body.len(),
        Framing::Mixed(length) => length,
    };

    let parts = body.split_at_checked(json_length);
    let (text, rest) = parts.ok_or_else(|| {
        format!("the JSON should have {json_length} bytes, but the body has {}", body.len())
    })?;
    let mut json = read_request_text(text, pacer)?;

    binary_request::attach_binary_inputs(&mut json, rest, pacer)?;

    Ok(json)
}

/// Sets the content type of a response, and the length of its JSON if binary data may follow.
pub(in crate::api) fn set_headers(
    headers: &mut HeaderMap,
    dialect: Dialect,
    json_length: Option<usize>,
) {
    let Some(length) = json_length else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return;
    };
    match dialect {
        Dialect::Header => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            headers.insert(JSON_LENGTH, HeaderValue::from(length));
        }
        Dialect::SageMaker => {
            let value = HeaderValue::try_from(format!(
                "{};{SAGEMAKER_LENGTH}={length}",
                content_type::SAGEMAKER
            ));
            headers.extend(value.ok().map(|value| (CONTENT_TYPE, value)));
        }
    }
}

fn from_length(text: Option<&str>, what: &str) -> Result<Framing, InferError> {
    let length = text.and_then(|text| text.trim().parse::<usize>().ok());
    match length {
        Some(0) => Ok(Framing::Raw),
        Some(length) => Ok(Framing::Mixed(length)),
        None => {
            Err(InferError::InvalidInput(format!("{what} must be a whole number of 0 or above")))
        }
    }
}
