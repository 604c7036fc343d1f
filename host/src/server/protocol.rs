//! The protocol of a connection: HTTP/1.1 or HTTP/2, which a client speaks from its first byte.
//!
//! The limits of HTTP/2 bound what one connection can hold: its streams, and the bytes that have
//! arrived and are not read, or are written and not sent.

use std::io;
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncReadExt;

use super::connection_io::ConnectionIo;
use super::http_meter::HttpMeter;

/// The first bytes of a client that speaks HTTP/2 (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Requests of one connection at the same time.
pub(super) const MAX_STREAMS: u32 = 128;

/// Bytes of one request, and of all requests of a connection, that have arrived and are not read.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;

/// The longest frame in bytes. Tensors arrive in fewer pieces than with the default of 16 KiB.
const MAX_FRAME: u32 = 64 << 10;

/// Bytes of one response that are written and not sent.
const MAX_SEND_BUFFER: usize = 64 << 10;

/// The longest head of a request in bytes, as HPACK counts them.
const MAX_HEADER_LIST: u32 = 32 << 10;

/// Streams that a client has reset and that the server has not noticed yet. A client with more is
/// cut off: it would make work faster than the server can drop it.
const MAX_PENDING_RESETS: usize = 20;

/// Streams that the server has reset because of an error of their client.
const MAX_ERROR_RESETS: usize = 128;

/// The interval of pings to a client that sends nothing, and the time for its answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Reads until the protocol is known, and gives the bytes back. Returns true for HTTP/2.
pub(super) async fn is_http2(io: &mut ConnectionIo) -> io::Result<bool> {
    let mut read = Vec::with_capacity(PREFACE.len());

    let is_http2 = loop {
        let mut rest = [0; PREFACE.len()];
        let wanted = rest.get_mut(read.len()..).unwrap_or_default();
        let count = io.read(wanted).await?;
        read.extend_from_slice(wanted.get(..count).unwrap_or_default());

        if count == 0 || !PREFACE.starts_with(&read) {
            break false;
        }
        if read.len() == PREFACE.len() {
            break true;
        }
    };

    io.unread(read.into());
    Ok(is_http2)
}

/// Returns a builder of connections of HTTP/2 with the limits.
pub(super) fn http2_builder(meter: HttpMeter) -> http2::Builder<MeteredExecutor> {
    let mut builder = http2::Builder::new(MeteredExecutor { meter });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);

    builder
}

/// Starts the tasks of a connection, and measures their time as the connection's.
#[derive(Clone)]
pub(super) struct MeteredExecutor {
    meter: HttpMeter,
}

impl<F> Executor<F> for MeteredExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        tokio::spawn(self.meter.measure(task));
    }
}
