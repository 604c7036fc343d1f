//! Validation of the body digest that a client sends (RFC 9530): `Repr-Digest` or `Content-Digest`,
//! `sha-256=:base64:`.
//!
//! A body is its representation here, so both headers mean the same. Other algorithms are ignored.

use axum::http::HeaderMap;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::api::error::ApiError;
use crate::model::InferError;
use crate::repository::Digest;

/// Returns the SHA-256 in the headers as base64 between colons, `None` if there is none. Fails if
/// the headers contain different ones.
pub(in crate::api) fn expected_digest(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let lines =
        ["repr-digest", "content-digest"].into_iter().flat_map(|name| headers.get_all(name));
    let members = lines.flat_map(|line| line.to_str().unwrap_or_default().split(','));
    let mut digests: Vec<_> =
        members.filter_map(|member| member.trim().strip_prefix("sha-256=")).collect();

    digests.dedup();

    match digests[..] {
        [] => Ok(None),
        [digest] => Ok(Some(digest.into())),
        _ => {
            Err(InferError::InvalidInput("the headers contain different SHA-256 digests".into())
                .into())
        }
    }
}

/// Compares the digest of the received body with the expected one. Fails if they differ.
pub(in crate::api) fn check_digest(
    expected: Option<String>,
    received: Digest,
) -> Result<(), ApiError> {
    let is = format!(":{}:", BASE64_STANDARD.encode(received.as_bytes()));
    match expected {
        Some(promised) if promised != is => {
            let text = format!("the body does not match its digest: received sha-256={is}");
            Err(InferError::InvalidInput(text).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(lines: &[(&'static str, &'static str)]) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }

        expected_digest(&headers)
    }

    #[test]
    fn digest_must_match_body() {
        const ABC: &str = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";

        let received = Digest::sha256(b"abc");
        assert!(check_digest(of(&[]).unwrap(), received).is_ok());
        assert!(check_digest(of(&[("repr-digest", ABC)]).unwrap(), received).is_ok());
        assert!(
            check_digest(of(&[("content-digest", ABC), ("repr-digest", ABC)]).unwrap(), received)
                .is_ok()
        );
        assert!(check_digest(of(&[("repr-digest", "md5=:AA==:")]).unwrap(), received).is_ok());
        for wrong in ["sha-256=:AA==:", "sha-256=", "sha-512=:AA==:, sha-256=:AA==:"] {
            let refused =
                check_digest(of(&[("repr-digest", wrong)]).unwrap(), received).unwrap_err();
            assert_eq!(
                (refused.status.as_u16(), refused.text.contains(ABC)),
                (400, true),
                "{wrong}"
            );
        }

        assert!(of(&[("repr-digest", ABC), ("content-digest", "sha-256=:AA==:")]).is_err());
    }
}
