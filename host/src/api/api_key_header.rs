//! The headers in which a client sends its API key.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::tenant::AuthError;

pub(super) const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");

/// Returns the API key of a request: from `Authorization: Bearer`, else from `X-Api-Key`. Fails if
/// one of the two headers is repeated, because a proxy may have checked another of its values.
pub(super) fn sent_key(headers: &HeaderMap) -> Result<Option<&[u8]>, AuthError> {
    let authorization = single_value(headers, &AUTHORIZATION)?;
    let api_key = single_value(headers, &API_KEY_HEADER)?;

    let bearer = authorization.and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key.trim_ascii())
    });

    Ok(bearer.or_else(|| api_key.map(HeaderValue::as_bytes)))
}

fn single_value<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(AuthError::MultipleKeys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)]) -> Option<String> {
        let pairs = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        });

        let mut headers = HeaderMap::new();

        for (name, value) in pairs {
            headers.append(name, value);
        }

        sent_key(&headers).unwrap().map(|key| String::from_utf8_lossy(key).into_owned())
    }

    #[test]
    fn repeated_key_headers_are_rejected() {
        for name in [AUTHORIZATION, API_KEY_HEADER] {
            let mut headers = HeaderMap::new();
            for value in ["Bearer abc", "Bearer abc"] {
                headers.append(name.clone(), HeaderValue::from_static(value));
            }
            assert_eq!(sent_key(&headers), Err(AuthError::MultipleKeys), "{name}");
        }
    }

    #[test]
    fn key_comes_from_bearer_or_x_api_key() {
        assert_eq!(of(&[("authorization", "Bearer abc")]).as_deref(), Some("abc"));
        assert_eq!(of(&[("authorization", "bearer  abc ")]).as_deref(), Some("abc"));
        assert_eq!(of(&[("x-api-key", "abc")]).as_deref(), Some("abc"));
        assert_eq!(
            of(&[("authorization", "Basic eDp5"), ("x-api-key", "abc")]).as_deref(),
            Some("abc")
        );
        assert_eq!(
            of(&[("authorization", "Bearer one"), ("x-api-key", "two")]).as_deref(),
            Some("one")
        );

        for none in [&[][..], &[("authorization", "Bearer")], &[("authorization", "Basic eDp5")]] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
