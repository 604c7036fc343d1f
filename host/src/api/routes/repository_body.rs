//! Request bodies of the model repository extension: small, optional JSON objects.

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;

use crate::api::error::ApiError;
use crate::api::http::content_type;
use crate::api::json::{JsonError, Reader, shorten};
use crate::model::InferError;

/// Maximum size of a body in bytes.
const MAX_BYTES: usize = 64 << 10;

/// Reads the body of `index`. Returns true if only serving versions are requested.
pub(super) async fn read_index_request(headers: &HeaderMap, body: Body) -> Result<bool, ApiError> {
    read(headers, body, |reader| {
        let mut ready = false;
        reader.object_with_keys(&["ready"], |reader, key| {
            ready = reader.boolean().map_err(|error| error.in_context(key))?;
            Ok(())
        })?;
        Ok(ready)
    })
    .await
}

/// Reads the body of `load` and `refresh`, which accept no parameters.
pub(super) async fn read_load_request(headers: &HeaderMap, body: Body) -> Result<(), ApiError> {
    read(headers, body, |reader| {
        read_parameters(reader, |reader, name| {
            let name = shorten(name);
            Err(reader.error(if name == "config" || name.starts_with("file:") {
                format!("'{name}' is refused: models and their settings are loaded from the repository only")
            } else {
                format!("there is no parameter '{name}' to load")
            }))
        })
    })
    .await
}

/// Reads the body of `unload`. Its only parameter is `unload_dependents`, which has no effect:
/// models do not depend on each other.
pub(super) async fn read_unload_request(headers: &HeaderMap, body: Body) -> Result<(), ApiError> {
    read(headers, body, |reader| {
        read_parameters(reader, |reader, name| match name {
            "unload_dependents" => {
                reader.boolean().map(drop).map_err(|error| error.in_context(name))
            }
            _ => Err(reader.error(format!("there is no parameter '{}' to unload", shorten(name)))),
        })
    })
    .await
}

/// Reads `{"parameters": {…}}`.
fn read_parameters(
    reader: &mut Reader<'_>,
    mut parameter: impl FnMut(&mut Reader<'_>, &str) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    reader.object_with_keys(&["parameters"], |reader, _| {
        reader.object(|reader, name| parameter(reader, &name))
    })
}

/// Reads a JSON body. An empty body means defaults.
async fn read<T: Default>(
    headers: &HeaderMap,
    body: Body,
    parse: impl FnOnce(&mut Reader<'_>) -> Result<T, JsonError>,
) -> Result<T, ApiError> {
    content_type::JSON_ONLY.check(headers)?;

    let too_large = |_| InferError::RequestTooLarge { limit: MAX_BYTES as u64 };
    let bytes = to_bytes(body, MAX_BYTES).await.map_err(too_large)?;

    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }

    let whole = || {
        let mut reader = Reader::new(&bytes)?;
        let value = parse(&mut reader)?;
        reader.expect_end()?;
        Ok(value)
    };

    whole().map_err(|error: JsonError| InferError::InvalidInput(error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused<T>(outcome: impl Future<Output = Result<T, ApiError>>) -> Option<String> {
        outcome.await.err().map(|error| {
            assert_eq!(error.status.as_u16(), 400);
            error.text
        })
    }

    #[tokio::test]
    async fn protocol_bodies_are_accepted() {
        let headers = HeaderMap::new();
        for (text, ready) in [("", false), (" ", false), ("{}", false), ("{\"ready\":true}", true)]
        {
            assert_eq!(read_index_request(&headers, text.into()).await.unwrap(), ready, "{text}");
        }

        for text in ["", "{}", "{\"parameters\":{}}"] {
            assert_eq!(
                (
                    refused(read_load_request(&headers, text.into())).await,
                    refused(read_unload_request(&headers, text.into())).await
                ),
                (None, None),
                "{text}"
            );
        }

        assert_eq!(
            refused(read_unload_request(
                &headers,
                "{\"parameters\":{\"unload_dependents\":true}}".into()
            ))
            .await,
            None
        );
    }

    #[tokio::test]
    async fn other_bodies_are_rejected_with_clear_texts() {
        let headers = HeaderMap::new();
        for text in [
            "[]",
            "[true]",
            "null",
            "true",
            "\"\"",
            "{\"x\":1}",
            "{} {}",
            "{",
            "{\"ready\":1}",
            "{\"ready\":true,\"ready\":true}",
            "{\"parameters\":[]}",
            "{\"parameters\":{\"x\":1}}",
        ] {
            for told in [
                refused(read_index_request(&headers, text.into())).await.unwrap(),
                refused(read_load_request(&headers, text.into())).await.unwrap(),
                refused(read_unload_request(&headers, text.into())).await.unwrap(),
            ] {
                assert!(
                    !told.contains("struct") && !told.contains("Body") && !told.contains('`'),
                    "{told}"
                );
            }
        }

        for name in ["config", "file:1/model.wasm"] {
            let body = format!("{{\"parameters\":{{\"{name}\":\"\"}}}}");
            assert!(
                refused(read_load_request(&headers, body.into()))
                    .await
                    .unwrap()
                    .contains("from the repository only")
            );
        }
    }
}
