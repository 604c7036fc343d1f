//! Validation of a request body's content type.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

use super::media_type::MediaType;
use crate::api::json::shorten;
use crate::model::InferError;

/// The content types that a route accepts.
pub(in crate::api) struct AcceptedTypes {
    /// The first one is recommended in error texts.
    names: &'static [&'static str],
    hint: &'static str,
}

const JSON: &str = "application/json";

/// The default of curl and other clients.
const FORM: &str = "application/x-www-form-urlencoded";

/// The type of binary tensors after JSON. It is also the default of Python's aiohttp, so NVIDIA's
/// `tritonclient.http.aio` sends the JSON of its commands with it.
const BYTES: &str = "application/octet-stream";

/// SageMaker's type for JSON followed by binary data.
pub(in crate::api) const SAGEMAKER: &str = "application/vnd.sagemaker-triton.binary+json";

/// Types of JSON bodies.
pub(in crate::api) const JSON_ONLY: AcceptedTypes =
    AcceptedTypes { names: &[JSON, FORM, BYTES], hint: "send application/json" };

/// Types of forms.
pub(in crate::api) const FORM_ONLY: AcceptedTypes =
    AcceptedTypes { names: &[FORM], hint: "send application/x-www-form-urlencoded" };

/// The type of forms with files.
pub(in crate::api) const MULTIPART_ONLY: AcceptedTypes =
    AcceptedTypes { names: &["multipart/form-data"], hint: "send multipart/form-data" };

/// Types of bodies with JSON or binary tensors.
pub(in crate::api) const TENSORS: AcceptedTypes = AcceptedTypes {
    names: &[JSON, BYTES, SAGEMAKER, FORM],
    hint: "send application/json, or application/octet-stream with the header Inference-Header-Content-Length",
};

/// The type of tables in CSV.
pub(in crate::api) const CSV: &str = "text/csv";

/// Types of bodies with a table.
pub(in crate::api) const TABLES: AcceptedTypes =
    AcceptedTypes { names: &[JSON, CSV, FORM, BYTES], hint: "send application/json or text/csv" };

/// Types of bodies with a table or tensors.
pub(in crate::api) const TABLES_OR_TENSORS: AcceptedTypes = AcceptedTypes {
    names: &[JSON, CSV, BYTES, SAGEMAKER, FORM],
    hint: "send application/json or text/csv, or application/octet-stream with the header Inference-Header-Content-Length",
};

impl AcceptedTypes {
    /// Returns the content type of a body, `None` if there is none or it is plain JSON. Fails if
    /// the type is not accepted.
    pub(in crate::api) fn check(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<MediaType>, InferError> {
        let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(None) };
        // Nearly every body has exactly this type.
        let is_json = value.as_bytes() == JSON.as_bytes() && self.names.contains(&JSON);
        if is_json || value.is_empty() {
            return Ok(None);
        }

        let text = value.to_str().unwrap_or_default();
        let media =
            MediaType::parse(text).filter(|media| self.names.contains(&media.name.as_str()));
        let media =
            media.ok_or_else(|| self.unsupported(&format!("content type '{}'", shorten(text))))?;

        match media.parameter("charset") {
            Some(charset) if !is_utf8(charset) => {
                Err(self.unsupported(&format!("charset '{}'", shorten(charset))))
            }
            _ => Ok(Some(media)),
        }
    }

    fn unsupported(&self, found: &str) -> InferError {
        InferError::UnsupportedMedia(format!(
            "the {found} is not supported here; {} in UTF-8",
            self.hint
        ))
    }
}

/// ASCII is a subset of UTF-8.
fn is_utf8(charset: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"].iter().any(|name| charset.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(types: &AcceptedTypes, text: &'static str) -> Result<Option<String>, String> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]);
        types
            .check(&headers)
            .map(|media| media.map(|media| media.name))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn common_client_types_are_accepted() {
        for types in [JSON_ONLY, TENSORS] {
            assert_eq!(types.check(&HeaderMap::new()).map(drop), Ok(()));
            for text in [
                "",
                "application/json",
                "Application/JSON ; Charset=\"UTF-8\"",
                "application/x-www-form-urlencoded",
                "application/octet-stream",
            ] {
                assert!(check(&types, text).is_ok(), "{text}");
            }
        }

        let binary = "application/vnd.sagemaker-triton.binary+json;json-header-size=12";
        assert_eq!(check(&TENSORS, binary), Ok(Some(SAGEMAKER.to_owned())));
    }

    #[test]
    fn error_names_accepted_types() {
        for text in [
            "text/csv",
            "text/plain;charset=UTF-8",
            "multipart/form-data; boundary=x",
            "json",
            "application/xml",
        ] {
            for types in [JSON_ONLY, TENSORS] {
                let error = check(&types, text).unwrap_err();
                assert!(error.contains("send application/json"), "{error}");
            }
        }

        assert!(check(&TENSORS, "text/csv").unwrap_err().contains("application/octet-stream"));
        assert!(
            check(&JSON_ONLY, "application/json; charset=latin1")
                .unwrap_err()
                .contains("charset 'latin1'")
        );
    }
}
