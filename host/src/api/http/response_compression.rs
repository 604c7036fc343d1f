//! Compression of large responses, if the client accepts it. Inference compresses its own
//! responses.

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::compression::{
    ContentCoding, MIN_RESPONSE, compress_bytes, response_coding, work_bytes,
};
use super::offload;
use crate::api::error::ApiError;
use crate::model::InferError;
use crate::tenant::{Pacer, Tenant, Workers};

/// Compresses the body of a response. Short bodies, streamed bodies and bodies that are not text
/// stay unchanged. The tenant pays for the CPU time.
pub(in crate::api) async fn compress(
    workers: &Workers,
    tenant: Option<&Tenant>,
    coding: Option<ContentCoding>,
    mut response: Response,
) -> Response {
    if !is_compressible(&response) {
        return response;
    }

    response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));

    let Some(coding) = coding else { return response };
    let (mut head, body) = response.into_parts();

    match compress_body(workers, tenant, coding, body).await {
        Ok(body) => {
            head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
            head.headers.remove(CONTENT_LENGTH);
            Response::from_parts(head, Body::from(body))
        }
        Err(error) => ApiError::from(error).into_response(),
    }
}

fn is_compressible(response: &Response) -> bool {
    let headers = response.headers();
    let is_large =
        response.body().size_hint().exact().is_some_and(|length| length >= MIN_RESPONSE as u64);

    is_large
        && !headers.contains_key(CONTENT_ENCODING)
        && headers.get(CONTENT_TYPE).is_some_and(is_text)
}

fn is_text(media: &HeaderValue) -> bool {
    let texts: [&[u8]; 3] = [b"application/json", b"application/openmetrics-text", b"text/"];
    texts.iter().any(|text| media.as_bytes().starts_with(text))
}

async fn compress_body(
    workers: &Workers,
    tenant: Option<&Tenant>,
    coding: ContentCoding,
    body: Body,
) -> Result<Vec<u8>, InferError> {
    // The length is known, so the body is already in memory.
    let plain = to_bytes(body, usize::MAX)
        .await
        .map_err(|error| InferError::Internal(error.to_string()))?;
    let length = work_bytes(Some(coding), plain.len());
    let compressed =
        offload::run(workers, tenant, length, move |pacer| compress_bytes(coding, &plain, pacer))
            .await?;

    compressed.map_err(|error| InferError::Internal(error.to_string()))
}

/// A static document with its compressed forms.
pub(in crate::api) struct StaticDocument {
    plain: Bytes,
    gzip: Option<Bytes>,
    deflate: Option<Bytes>,
}

impl StaticDocument {
    /// Compresses a document.
    pub(in crate::api) fn compress(plain: impl Into<Bytes>) -> Self {
        let plain = plain.into();
        let compressed =
            |coding| compress_bytes(coding, &plain, &Pacer::unmetered()).ok().map(Bytes::from);

        StaticDocument {
            gzip: compressed(ContentCoding::Gzip),
            deflate: compressed(ContentCoding::Deflate),
            plain,
        }
    }

    /// Returns a response with the form of the document that the request headers accept.
    pub(in crate::api) fn respond(&self, media: HeaderValue, headers: &HeaderMap) -> Response {
        let coding = response_coding(headers);

        let compressed = match coding {
            Some(ContentCoding::Gzip) => self.gzip.clone(),
            Some(ContentCoding::Deflate) => self.deflate.clone(),
            None => None,
        };

        let (body, coding) = match compressed {
            Some(compressed) => (compressed, coding),
            None => (self.plain.clone(), None),
        };
        let mut response =
            ([(CONTENT_TYPE, media), (VARY, HeaderValue::from_static("accept-encoding"))], body)
                .into_response();

        if let Some(coding) = coding {
            response
                .headers_mut()
                .insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }

        response
    }
}
