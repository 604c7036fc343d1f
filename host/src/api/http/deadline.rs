//! Deadlines that callers set.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};

use crate::model::{Deadline, DeadlineSource, InferError};

const HEADER: &str = "wardian-deadline-ms";

/// Parses the header `Wardian-Deadline-Ms`. Fails unless it is a positive integer.
pub(in crate::api) fn from_header(headers: &HeaderMap) -> Result<Option<Deadline>, InferError> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let milliseconds =
        value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()).filter(|&ms| ms > 0);

    let wrong = || {
        InferError::InvalidInput(
            "the header Wardian-Deadline-Ms must be a positive whole number".into(),
        )
    };

    let deadline =
        |ms| Deadline { allowed: Duration::from_millis(ms), source: DeadlineSource::Header };

    milliseconds.map(|ms| Some(deadline(ms))).ok_or_else(wrong)
}

/// Copies the header from the head of a request to that of another one.
pub(in crate::api) fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    if let Some(value) = from.get(HEADER) {
        to.insert(HEADER, value.clone());
    }
}

/// Sets the header to `left`, rounded up to milliseconds, unless it is shorter already. Fails like
/// [`from_header`].
pub(in crate::api) fn shorten(headers: &mut HeaderMap, left: Duration) -> Result<(), InferError> {
    let milliseconds = left.as_micros().div_ceil(1000).clamp(1, u64::MAX.into()) as u64;
    let allowed = Duration::from_millis(milliseconds);

    if from_header(headers)?.is_none_or(|deadline| allowed < deadline.allowed) {
        headers.insert(HEADER, HeaderValue::from(milliseconds));
    }

    Ok(())
}

/// Returns the deadline of the parameter `timeout`, in microseconds. As in the protocol, 0 sets
/// none.
pub(in crate::api) fn from_parameter(timeout: Option<u64>) -> Option<Deadline> {
    let micros = timeout.filter(|&micros| micros > 0)?;
    Some(Deadline { allowed: Duration::from_micros(micros), source: DeadlineSource::Parameter })
}

/// Returns the shorter of two optional deadlines.
pub(in crate::api) fn shorter(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    match one {
        Some(one) => Some(one.or_shorter(other)),
        None => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_in_milliseconds() {
        let read = |text| {
            from_header(&HeaderMap::from_iter([(
                HEADER.parse().unwrap(),
                HeaderValue::from_static(text),
            )]))
        };

        let deadline =
            Deadline { allowed: Duration::from_millis(250), source: DeadlineSource::Header };
        assert_eq!(read("250"), Ok(Some(deadline)));
        assert_eq!(from_header(&HeaderMap::new()), Ok(None));

        for wrong in ["", "0", "-1", "1.5", "soon", "99999999999999999999"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parameter_is_in_microseconds() {
        let deadline =
            Deadline { allowed: Duration::from_micros(250), source: DeadlineSource::Parameter };
        assert_eq!(from_parameter(Some(250)), Some(deadline));
        assert_eq!(
            from_parameter(Some(u64::MAX)).map(|deadline| deadline.allowed.as_micros()),
            Some(u64::MAX.into())
        );
        assert_eq!((from_parameter(Some(0)), from_parameter(None)), (None, None));
    }

    #[test]
    fn shorter_deadline_wins() {
        let (short, long) = (from_parameter(Some(1)), from_parameter(Some(2)));
        assert_eq!(shorter(long, short), short);
        assert_eq!(shorter(short, long), short);
        assert_eq!(shorter(None, long), long);
        assert_eq!(shorter(short, None), short);
        assert_eq!(shorter(None, None), None);
    }
}
