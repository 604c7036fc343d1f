//! The model that a message of inference names, before all of the message has arrived: the limits
//! on the message are the model's.

use std::io::Read;

use axum::body::Bytes;
use flate2::bufread::{GzDecoder, ZlibDecoder};

use super::frames::{MessageReader, Prefix};
use super::wire::{Field, Fields};
use crate::api::extract::ModelPath;
use crate::api::http::compression::ContentCoding;
use crate::model::InferError;

/// The model and its version lie within this many bytes of a message, before and after it is
/// decompressed. Every library writes fields in the order of their numbers, and these are the
/// first.
const MAX_HEAD: usize = 64 << 10;

/// Waits until enough of a message has arrived to tell its model. Fails with a text for the caller
/// if the beginning does not name one.
pub(super) async fn read(
    reader: &mut MessageReader,
    prefix: Prefix,
    coding: Option<ContentCoding>,
) -> Result<ModelPath, InferError> {
    let length = prefix.length as usize;

    loop {
        let arrived = reader.arrived();
        let head = arrived.slice(..arrived.len().min(length).min(MAX_HEAD));
        let is_whole = head.len() == length;
        let is_last = is_whole || head.len() == MAX_HEAD;

        let found = match coding {
            None => find(&head, is_whole),
            Some(coding) => {
                let plain = decompress_head(coding, &head);
                let is_end = is_whole && plain.len() < MAX_HEAD;
                find(&plain.into(), is_end)
            }
        };

        match found.map_err(InferError::InvalidInput)? {
            Some(path) => return Ok(path),
            None if is_last => {
                let text = "model_name and model_version must come before the other fields";
                return Err(InferError::InvalidInput(text.into()));
            }
            None => reader.more().await?,
        }
    }
}

/// Finds the model in the beginning of a message. `None` if a later part may still name it.
fn find(head: &Bytes, is_whole: bool) -> Result<Option<ModelPath>, String> {
    let mut path = ModelPath { model: String::new(), version: None };

    let mut fields = Fields::of(head.clone());

    loop {
        // The data of inputs may not have arrived, and are of no interest.
        if !path.model.is_empty() && fields.next_number().is_some_and(|number| number > 2) {
            return Ok(Some(path));
        }

        let Field { number, value } = match fields.next() {
            None => break,
            Some(Ok(field)) => field,
            Some(Err(_)) if !is_whole => return Ok(None),
            Some(Err(error)) => return Err(error),
        };
        match number {
            1 => path.model = value.into_text()?,
            2 => path.version = Some(value.into_text()?).filter(|version| !version.is_empty()),
            _ => {}
        }
    }

    match (path.model.is_empty(), is_whole) {
        (false, true) => Ok(Some(path)),
        (true, true) => Err("the request names no model; give model_name".into()),
        (_, false) => Ok(None),
    }
}

/// Decompresses as much as possible of the beginning of a message.
fn decompress_head(coding: ContentCoding, head: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    // The end of the beginning is an error of the decoder, which keeps what it has read before.
    let _ = match coding {
        ContentCoding::Gzip => GzDecoder::new(head).take(MAX_HEAD as u64).read_to_end(&mut plain),
        ContentCoding::Deflate => {
            ZlibDecoder::new(head).take(MAX_HEAD as u64).read_to_end(&mut plain)
        }
    };
    plain
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::body::Body;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::stream;
    use prost::Message;

    use super::*;
    use crate::api::grpc::frames::whole;
    use crate::api::grpc::messages::{InferTensor, InferTensorContents, ModelInferRequest};

    async fn found(
        message: Vec<u8>,
        coding: Option<ContentCoding>,
    ) -> Result<ModelPath, InferError> {
        let bytes = whole(message, coding.is_some())?;
        let chunks: Vec<_> = bytes.chunks(10).map(Bytes::copy_from_slice).collect();
        let chunks = chunks.into_iter().map(Ok::<_, axum::Error>);
        let mut reader = MessageReader::new(Body::from_stream(stream::iter(chunks)));
        let prefix = reader.next().await?.ok_or(InferError::Overloaded)?;
        read(&mut reader, prefix, coding).await
    }

    fn request(model: &str, version: &str, data: usize) -> Vec<u8> {
        ModelInferRequest {
            model_name: model.into(),
            model_version: version.into(),
            raw_input_contents: if data > 0 { vec![vec![7; data].into()] } else { Vec::new() },
            ..ModelInferRequest::default()
        }
        .encode_to_vec()
    }

    /// An input whose contents are long.
    fn long_input(length: usize) -> Vec<u8> {
        let contents = InferTensorContents {
            bytes_contents: vec![vec![7; length].into()],
            ..Default::default()
        };
        let input = InferTensor { contents: Some(contents), ..InferTensor::default() };
        let inputs = vec![input];
        ModelInferRequest { inputs, ..ModelInferRequest::default() }.encode_to_vec()
    }

    fn path(model: &str, version: Option<&str>) -> ModelPath {
        ModelPath { model: model.into(), version: version.map(str::to_owned) }
    }

    #[tokio::test]
    async fn the_model_is_found_before_the_data() {
        for data in [0, 10, 1 << 20] {
            let (newest, third) = (request("iris", "", data), request("iris", "3", data));
            assert_eq!(found(newest, None).await, Ok(path("iris", None)), "{data}");
            assert_eq!(found(third, None).await, Ok(path("iris", Some("3"))), "{data}");

            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(&request("iris", "3", data)).unwrap();
            let packed = packer.finish().unwrap();
            let found = found(packed, Some(ContentCoding::Gzip)).await;
            assert_eq!(found, Ok(path("iris", Some("3"))), "{data}");

            let typed = [request("iris", "", 0), long_input(data)].concat();
            assert_eq!(self::found(typed, None).await, Ok(path("iris", None)), "{data}");
        }
    }

    #[tokio::test]
    async fn a_request_without_a_model_at_its_beginning_is_refused() {
        let late = [request("", "", 1 << 20), request("iris", "", 0)].concat();
        for wrong in [vec![], request("", "2", 4), late, vec![0xff; 9], vec![8, 1]] {
            let error = found(wrong.clone(), None).await.unwrap_err();
            assert!(matches!(error, InferError::InvalidInput(_)), "{error:?}");
        }
        assert!(found(vec![1, 2, 3], Some(ContentCoding::Gzip)).await.is_err());
    }
}
