//! The context of a request, and its `Server-Timing` header.

use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue};
use bytes::Bytes;

use super::http::connection::Connection;
use super::json::write_integer;
use crate::dataplane::Timings;
use crate::model::RequestId;

/// The request context: facts that are known before the request is parsed.
#[derive(Clone)]
pub(super) struct RequestContext {
    /// Identifies the request in its response and in the log.
    pub(super) request_id: RequestId,
    /// Arrival time of the request head. Deadlines count from here.
    pub(super) received: Instant,
    /// The connection that carries the request.
    pub(super) connection: Connection,
}

/// The response header with the durations of the processing steps, in milliseconds (W3C Server
/// Timing).
pub(super) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Formats the timings of a model call as a `Server-Timing` value.
pub(super) fn timing_header(timings: &Timings) -> HeaderValue {
    let parts = [
        ("queue", timings.queue),
        ("instance", timings.instance),
        ("compute", timings.compute),
        ("interceptors", timings.interceptors),
    ];

    // Most tenants have no interceptors.
    server_timing(if timings.interceptors.is_zero() { &parts[..3] } else { &parts })
}

/// Formats a `Server-Timing` value from names and durations.
pub(super) fn server_timing(parts: &[(&str, Duration)]) -> HeaderValue {
    let mut text = Vec::with_capacity(64);

    for (index, (name, duration)) in parts.iter().enumerate() {
        if index > 0 {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b";dur=");
        write_millis(&mut text, *duration);
    }

    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
}

fn write_millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = duration.as_micros() as u64;
    write_integer(out, micros / 1000);

    let rest = micros % 1000;
    out.extend([b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
}

fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_timing_is_in_milliseconds() {
        let parts = [
            ("queue", Duration::from_nanos(12_999)),
            ("compute", Duration::from_micros(1_234_050)),
        ];
        assert_eq!(server_timing(&parts), "queue;dur=0.012, compute;dur=1234.050");
    }
}
