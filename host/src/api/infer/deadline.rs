//! How long a caller is willing to wait.

use std::time::Duration;

use axum::http::HeaderMap;

use crate::model::InferError;

const HEADER: &str = "wardian-deadline-ms";

/// Reads the header `Wardian-Deadline-Ms`. Fails unless it is a positive whole number.
pub(in crate::api) fn from_header(headers: &HeaderMap) -> Result<Option<Duration>, InferError> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let milliseconds = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()).filter(|&ms| ms > 0);
    let wrong = || InferError::InvalidInput("the header Wardian-Deadline-Ms must be a positive whole number".into());
    milliseconds.map(|ms| Some(Duration::from_millis(ms))).ok_or_else(wrong)
}

/// The shorter of two, where there are two.
pub(in crate::api) fn shortest(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_header_is_in_milliseconds() {
        let read =
            |text| from_header(&HeaderMap::from_iter([(HEADER.parse().unwrap(), HeaderValue::from_static(text))]));
        assert_eq!(read("250"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(from_header(&HeaderMap::new()), Ok(None));
        for wrong in ["", "0", "-1", "1.5", "soon", "99999999999999999999"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_shortest_wins() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!(shortest(Some(long), Some(short)), Some(short));
        assert_eq!(shortest(None, Some(long)), Some(long));
        assert_eq!(shortest(None, None), None);
    }
}
