//! The metadata of a call, and their translation to the headers of HTTP.

use std::time::Duration;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version};

use super::frames::Prefix;
use crate::api::error::ApiError;
use crate::api::http::compression::ContentCoding;
use crate::api::http::deadline;
use crate::model::InferError;

const GRPC: &str = "application/grpc";
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The codings of messages.
const CODINGS: HeaderValue = HeaderValue::from_static("identity,gzip,deflate");

/// True if a request is a call of gRPC.
pub(in crate::api) fn is_call<B>(request: &Request<B>) -> bool {
    let media = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = media.and_then(|media| media.strip_prefix(GRPC.as_bytes()));

    request.version() == Version::HTTP_2
        && rest.is_some_and(|rest| rest.first().is_none_or(|next| b"+;".contains(next)))
}

/// The metadata of a call, as far as the server acts on them.
#[derive(Clone, Debug, Default)]
pub(super) struct CallHead {
    /// The headers of the same request by HTTP, without those of its body.
    headers: HeaderMap,
    coding: Option<ContentCoding>,
    /// The time from the arrival of the call to its end.
    pub(super) timeout: Option<Duration>,
}

impl CallHead {
    /// Reads the metadata. Fails if a coding or a format is not offered.
    pub(super) fn read(headers: HeaderMap) -> Result<Self, ApiError> {
        check_format(&headers)?;
        let coding = headers.get(ENCODING).map_or(Ok(None), read_coding)?;
        let timeout = headers.get(TIMEOUT).map(read_timeout).transpose()?;
        let headers = to_http(headers);
        Ok(CallHead { headers, coding, timeout })
    }

    /// Returns the coding of a message. Fails if the message is compressed and the call names no
    /// coding.
    pub(super) fn coding(&self, prefix: Prefix) -> Result<Option<ContentCoding>, InferError> {
        match (prefix.compressed, self.coding) {
            (false, _) => Ok(None),
            (true, Some(coding)) => Ok(Some(coding)),
            (true, None) => {
                let text = "a message is compressed, and grpc-encoding names no coding";
                Err(InferError::InvalidInput(text.into()))
            }
        }
    }

    /// Returns the headers of the same request by HTTP, whose body has this coding. `left` is the
    /// time until the call's end, if it has one.
    pub(super) fn into_headers(
        self,
        coding: Option<ContentCoding>,
        left: Option<Duration>,
    ) -> Result<HeaderMap, InferError> {
        let mut headers = self.headers;

        if let Some(left) = left {
            deadline::shorten(&mut headers, left)?;
        }

        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }

        Ok(headers)
    }
}

/// Parses `grpc-encoding`.
fn read_coding(name: &HeaderValue) -> Result<Option<ContentCoding>, ApiError> {
    match name.as_bytes() {
        b"identity" => Ok(None),
        b"gzip" => Ok(Some(ContentCoding::Gzip)),
        b"deflate" => Ok(Some(ContentCoding::Deflate)),
        _ => Err(ApiError::unsupported("grpc-encoding must be identity, gzip or deflate")),
    }
}

fn check_format(headers: &HeaderMap) -> Result<(), ApiError> {
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let format = media.strip_prefix(GRPC).unwrap_or_default().split(';').next();
    if matches!(format, Some("" | "+proto")) {
        return Ok(());
    }

    let text = "the messages of a call must be protocol buffers: application/grpc";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", text))
}

/// Returns the headers without those of gRPC and of the body, which have other meanings in HTTP.
fn to_http(mut headers: HeaderMap) -> HeaderMap {
    const OTHERS: [HeaderName; 4] = [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TE];

    for name in OTHERS.into_iter().chain([ENCODING, TIMEOUT]) {
        headers.remove(name);
    }

    headers.remove(ACCEPT_ENCODING);
    if let Some(accepted) = headers.remove(ACCEPTED) {
        headers.insert(ACCEPT_ENCODING, accepted);
    }

    headers
}

/// Parses a timeout: at most eight digits and a unit.
fn read_timeout(value: &HeaderValue) -> Result<Duration, InferError> {
    let wrong = || {
        InferError::InvalidInput(
            "grpc-timeout must be one to eight digits and a unit: H, M, S, m, u or n".into(),
        )
    };

    let (unit, digits) = value.as_bytes().split_last().ok_or_else(wrong)?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }

    let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Ok(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return Err(wrong()),
    })
}

/// Adds the headers of every answer with messages.
pub(super) fn set_headers(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
    headers.insert(ACCEPTED, CODINGS);
}

/// Names the coding of the messages of an answer.
pub(super) fn set_coding(headers: &mut HeaderMap, name: &'static str) {
    headers.insert(ENCODING, HeaderValue::from_static(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&'static str, &'static str)]) -> Result<CallHead, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
        for &(name, value) in pairs {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        CallHead::read(headers)
    }

    #[test]
    fn timeouts_have_a_unit() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("400m", Duration::from_millis(400)),
            ("5u", Duration::from_micros(5)),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            assert_eq!(head(&[("grpc-timeout", text)]).unwrap().timeout, Some(expected), "{text}");
        }

        for wrong in ["", "m", "1", "-1S", "1s", "1.5S", "123456789S", "1 S"] {
            assert_eq!(head(&[("grpc-timeout", wrong)]).unwrap_err().status, 400, "{wrong}");
        }
    }

    #[test]
    fn metadata_become_headers() {
        let call = head(&[
            ("grpc-encoding", "gzip"),
            ("grpc-accept-encoding", "identity, gzip"),
            ("authorization", "Bearer abc"),
            ("te", "trailers"),
        ])
        .unwrap();

        let plain = call.clone().into_headers(None, None).unwrap();
        assert_eq!(plain.get("accept-encoding").unwrap(), "identity, gzip");
        assert_eq!(plain.get("authorization").unwrap(), "Bearer abc");
        assert_eq!(plain.len(), 2, "{plain:?}");

        let coding = call.coding(Prefix { compressed: true, length: 1 }).unwrap();
        let packed = call.into_headers(coding, Some(Duration::from_micros(1500))).unwrap();
        assert_eq!(packed.get("content-encoding").unwrap(), "gzip");
        assert_eq!(packed.get("wardian-deadline-ms").unwrap(), "2");

        let nameless = head(&[]).unwrap();
        assert!(nameless.coding(Prefix { compressed: true, length: 1 }).is_err());
        assert_eq!(nameless.coding(Prefix { compressed: false, length: 1 }), Ok(None));
    }

    #[test]
    fn other_formats_and_codings_are_refused() {
        assert_eq!(head(&[("grpc-encoding", "zstd")]).unwrap_err().status, 501);
        assert!(head(&[("grpc-encoding", "identity")]).is_ok());
        assert_eq!(head(&[("content-type", "application/grpc+json")]).unwrap_err().status, 415);
        assert!(head(&[("content-type", "application/grpc+proto")]).is_ok());
    }

    #[test]
    fn only_http_2_with_its_content_type_is_a_call() {
        let call = |version, media: &str| {
            is_call(
                &Request::builder().version(version).header(CONTENT_TYPE, media).body(()).unwrap(),
            )
        };
        for media in [GRPC, "application/grpc+proto", "application/grpc;x=1"] {
            assert!(call(Version::HTTP_2, media) && !call(Version::HTTP_11, media), "{media}");
        }
        assert!(!call(Version::HTTP_2, "application/grpc-web"));
    }
}
