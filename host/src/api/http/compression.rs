//! Content codings: `Content-Encoding` of requests and `Accept-Encoding` of responses (gzip and
//! deflate).

use std::io::{self, Read, Write};

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use flate2::Compression;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use super::request_memory::RequestMemory;
use crate::model::InferError;
use crate::tenant::Pacer;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum ContentCoding {
    Gzip,
    /// A zlib stream, which HTTP calls deflate.
    Deflate,
}

/// Minimum size of a compressed response in bytes. A shorter response fits two packets either way.
pub(in crate::api) const MIN_RESPONSE: usize = 2048;

impl ContentCoding {
    /// The coding's name in HTTP headers.
    pub(in crate::api) fn name(self) -> &'static str {
        match self {
            ContentCoding::Gzip => "gzip",
            ContentCoding::Deflate => "deflate",
        }
    }

    fn from_name(name: &str) -> Option<ContentCoding> {
        [ContentCoding::Gzip, ContentCoding::Deflate]
            .into_iter()
            .find(|coding| name.eq_ignore_ascii_case(coding.name()))
    }
}

/// Returns the coding of a request body. Fails if it is not supported.
pub(in crate::api) fn request_coding(
    headers: &HeaderMap,
) -> Result<Option<ContentCoding>, InferError> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
    let name = value.to_str().unwrap_or_default().trim();

    if name.is_empty() || name.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }

    let unknown = || {
        InferError::InvalidInput(
            "the body's Content-Encoding must be gzip, deflate or identity".into(),
        )
    };

    ContentCoding::from_name(name).map(Some).ok_or_else(unknown)
}

/// Returns the first supported coding that the client accepts.
pub(in crate::api) fn response_coding(headers: &HeaderMap) -> Option<ContentCoding> {
    let accepted = headers.get(ACCEPT_ENCODING)?.to_str().ok()?;
    accepted.split(',').find_map(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let refused = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok())
            == Some(0.0);
        ContentCoding::from_name(name.trim()).filter(|_| !refused)
    })
}

/// A request body that may still be compressed.
pub(in crate::api) struct MaybeCompressed {
    coding: Option<ContentCoding>,
    body: Bytes,
}

impl MaybeCompressed {
    /// Decompresses a body at once if the result has at most `inline_limit` bytes; the compressed
    /// length says nothing about the result. Fails like [`MaybeCompressed::into_plain`].
    pub(in crate::api) fn new(
        coding: Option<ContentCoding>,
        body: Bytes,
        limit: u64,
        inline_limit: usize,
    ) -> Result<Self, InferError> {
        let Some(body_coding) = coding.filter(|_| body.len() <= inline_limit) else {
            return Ok(MaybeCompressed { coding, body });
        };
        match decompress(
            body_coding,
            &body,
            limit.min(inline_limit as u64),
            None,
            &Pacer::unmetered(),
        ) {
            Ok(plain) => Ok(MaybeCompressed { coding: None, body: plain.into() }),
            Err(InferError::RequestTooLarge { .. }) if limit > inline_limit as u64 => {
                Ok(MaybeCompressed { coding, body })
            }
            Err(error) => Err(error),
        }
    }

    /// Returns a body that was decompressed at once. Fails with [`InferError::RequestTooLarge`] if
    /// it was too long for that.
    pub(in crate::api) fn into_short(self, limit: u64) -> Result<Bytes, InferError> {
        match self.coding {
            None => Ok(self.body),
            Some(_) => Err(InferError::RequestTooLarge { limit }),
        }
    }

    /// Bytes for the choice between inline and offloaded work; `usize::MAX` while the body is
    /// compressed.
    pub(in crate::api) fn work_length(&self) -> usize {
        if self.coding.is_some() { usize::MAX } else { self.body.len() }
    }

    /// Returns the decompressed body and accounts for it in `memory`. Fails with
    /// [`InferError::RequestTooLarge`] if it exceeds `limit` bytes.
    pub(in crate::api) fn into_plain(
        self,
        limit: u64,
        memory: &mut RequestMemory,
        pacer: &Pacer,
    ) -> Result<Bytes, InferError> {
        match self.coding {
            None => Ok(self.body),
            Some(coding) => Ok(decompress(coding, &self.body, limit, Some(memory), pacer)?.into()),
        }
    }
}

/// Decompresses a body. Fails with [`InferError::RequestTooLarge`] if the result exceeds `limit`
/// bytes, and allocates no more than that.
fn decompress(
    coding: ContentCoding,
    body: &[u8],
    limit: u64,
    memory: Option<&mut RequestMemory>,
    pacer: &Pacer,
) -> Result<Vec<u8>, InferError> {
    match coding {
        ContentCoding::Gzip => {
            read_bounded(MultiGzDecoder::new(body), body.len(), limit, memory, pacer)
        }
        ContentCoding::Deflate => {
            read_bounded(ZlibDecoder::new(body), body.len(), limit, memory, pacer)
        }
    }
}

/// Bytes between two checkpoints.
const STEP: usize = 16 << 10;

fn read_bounded(
    mut source: impl Read,
    compressed: usize,
    limit: u64,
    mut memory: Option<&mut RequestMemory>,
    pacer: &Pacer,
) -> Result<Vec<u8>, InferError> {
    let max = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut plain = Vec::with_capacity(compressed.saturating_mul(4).min(max));
    let mut step = [0; STEP];

    loop {
        let read = source.read(&mut step).map_err(|_| corrupt_body())?;
        let chunk = step.get(..read).unwrap_or_default();
        if chunk.is_empty() {
            return Ok(plain);
        }
        if chunk.len() > max - plain.len() {
            return Err(InferError::RequestTooLarge { limit });
        }
        reserve(&mut plain, chunk.len(), max);
        plain.extend_from_slice(chunk);
        if let Some(memory) = &mut memory {
            memory.resize(plain.len())?;
        }
        pacer.checkpoint()?;
    }
}

/// Doubles the capacity like `Vec`, but never beyond `max`.
fn reserve(plain: &mut Vec<u8>, more: usize, max: usize) {
    if plain.capacity() - plain.len() < more {
        let target = plain.capacity().saturating_mul(2).max(plain.len() + more).min(max);
        plain.reserve_exact(target - plain.len());
    }
}

fn corrupt_body() -> InferError {
    InferError::InvalidInput(
        "the body does not match its Content-Encoding: it cannot be decompressed".into(),
    )
}

/// Returns the cost of work on a body, in bytes of uncompressed work. Compression costs about eight
/// times as much as encoding.
pub(in crate::api) fn work_bytes(coding: Option<ContentCoding>, bytes: usize) -> usize {
    coding.map_or(bytes, |_| bytes.saturating_mul(8))
}

/// Compresses a body. Fails only if the work is stopped.
pub(in crate::api) fn compress_bytes(
    coding: ContentCoding,
    body: &[u8],
    pacer: &Pacer,
) -> io::Result<Vec<u8>> {
    let out = Vec::with_capacity(body.len() / 2);
    match coding {
        ContentCoding::Gzip => {
            let mut encoder = GzEncoder::new(out, Compression::fast());
            write_paced(&mut encoder, body, pacer)?;
            encoder.finish()
        }
        ContentCoding::Deflate => {
            let mut encoder = ZlibEncoder::new(out, Compression::fast());
            write_paced(&mut encoder, body, pacer)?;
            encoder.finish()
        }
    }
}

fn write_paced(encoder: &mut impl Write, body: &[u8], pacer: &Pacer) -> io::Result<()> {
    body.chunks(STEP).try_for_each(|chunk| {
        encoder.write_all(chunk)?;
        pacer.checkpoint().map_err(io::Error::other)
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const BOTH: [ContentCoding; 2] = [ContentCoding::Gzip, ContentCoding::Deflate];

    #[test]
    fn compressed_bodies_decompress() {
        let body: Vec<u8> = (0..100_000u32).map(|number| (number % 251) as u8).collect();
        for coding in BOTH {
            let packed = compress_bytes(coding, &body, &Pacer::unmetered()).unwrap();
            assert_eq!(
                decompress(coding, &packed, 100_000, None, &Pacer::unmetered()).unwrap(),
                body
            );
        }
    }

    #[test]
    fn decompression_stops_at_the_limit() {
        for coding in BOTH {
            let bomb = compress_bytes(coding, &vec![0; 64 << 20], &Pacer::unmetered()).unwrap();
            assert!(bomb.len() < 1 << 20);
            for limit in [0, 1, 1 << 20, (64 << 20) - 1] {
                let stopped = decompress(coding, &bomb, limit, None, &Pacer::unmetered());
                assert_eq!(stopped, Err(InferError::RequestTooLarge { limit }));
            }
            assert!(
                decompress(coding, &bomb, 64 << 20, None, &Pacer::unmetered()).unwrap().capacity()
                    <= 64 << 20
            );
        }
    }

    #[test]
    fn corrupt_streams_are_rejected() {
        for coding in BOTH {
            let packed = compress_bytes(coding, &[7; 5000], &Pacer::unmetered()).unwrap();
            for body in [&packed[..packed.len() - 5], b"no stream"] {
                let refused = decompress(coding, body, 10_000, None, &Pacer::unmetered());
                assert!(matches!(refused, Err(InferError::InvalidInput(_))));
            }
        }
    }

    #[test]
    fn headers_select_the_coding() {
        let header = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        assert_eq!(
            request_coding(&header(CONTENT_ENCODING, "GZIP")),
            Ok(Some(ContentCoding::Gzip))
        );
        assert_eq!(request_coding(&header(CONTENT_ENCODING, "identity")), Ok(None));
        assert!(request_coding(&header(CONTENT_ENCODING, "br")).is_err());

        for (accepted, expected) in [
            ("gzip, deflate", Some(ContentCoding::Gzip)),
            ("br;q=1.0, deflate;q=0.5, gzip", Some(ContentCoding::Deflate)),
            ("gzip;q=0, identity", None),
            ("*", None),
        ] {
            assert_eq!(response_coding(&header(ACCEPT_ENCODING, accepted)), expected, "{accepted}");
        }
    }
}
