//! The socket of a connection, and its closing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::http_meter::{HttpMeter, Wait};
use super::timeouts::ConnectionTimeouts;
use crate::api::Connection;

/// The socket of a connection. It reports reads and writes to the connection's timeouts, and closes
/// in stages: a socket that is closed while its client still sends is reset, and the reset discards
/// the last response. So the server's side is closed first, and incoming bytes are discarded for a
/// while.
pub(super) struct ConnectionIo {
    socket: TcpStream,
    timeouts: ConnectionTimeouts,
    connection: Connection,
    meter: HttpMeter,
    /// Bytes that are read again, before those of the socket.
    unread: Bytes,
    /// Reads wait until this is ready.
    wait: Option<Wait>,
    /// The client has closed its side.
    client_closed: bool,
    linger: Option<Linger>,
}

/// The wait for a client to stop sending.
struct Linger {
    /// Bytes that may still arrive.
    left: u64,
    end: Instant,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
}

/// The bounds of a [`Linger`].
#[derive(Clone, Copy)]
struct LingerLimits {
    bytes: u64,
    time: Duration,
    pause: Duration,
}

/// The times are those of nginx; the bytes are those of the largest upload.
const LINGER_LIMITS: LingerLimits =
    LingerLimits { bytes: 1 << 30, time: Duration::from_secs(30), pause: Duration::from_secs(5) };

impl ConnectionIo {
    pub(super) fn new(
        socket: TcpStream,
        timeouts: ConnectionTimeouts,
        connection: Connection,
        meter: HttpMeter,
    ) -> Self {
        // Responses are small and complete, so waiting for more bytes would only delay them.
        let _ = socket.set_nodelay(true);
        ConnectionIo {
            socket,
            timeouts,
            connection,
            meter,
            unread: Bytes::new(),
            wait: None,
            client_closed: false,
            linger: None,
        }
    }

    /// Makes bytes that have been read the first ones of the next read.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }

    /// Reports the outcome of a write to the timeouts.
    fn record_write(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Pending => self.timeouts.on_blocked(),
            Poll::Ready(Ok(written)) => self.timeouts.on_sent(written),
            Poll::Ready(Err(_)) => {}
        }
        outcome
    }

    /// Resolves once the connection may read.
    fn poll_pace(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.wait.is_none() {
            self.wait = self.meter.wait();
        }
        if let Some(wait) = &mut self.wait {
            ready!(Pin::new(wait).poll(context));
            self.wait = None;
        }
        Poll::Ready(())
    }

    /// True if the client may still be sending although the server closes.
    fn needs_linger(&self) -> bool {
        !self.client_closed && (self.connection.is_closing() || self.timeouts.is_reading_head())
    }
}

impl Linger {
    fn start(LingerLimits { bytes, time, pause }: LingerLimits) -> Self {
        let now = Instant::now();
        Linger {
            left: bytes,
            end: now + time,
            pause,
            timer: Box::pin(sleep_until(now + pause.min(time))),
        }
    }

    /// Resolves once the client has closed its side or a limit is reached.
    fn poll(&mut self, socket: &mut TcpStream, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 16 << 10];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *socket).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if self.continues_after(buffer.filled().len()) => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.timer.as_mut().poll(context),
            }
        }
    }

    /// Counts bytes that have arrived. Returns true if more may be awaited.
    fn continues_after(&mut self, bytes: usize) -> bool {
        let now = Instant::now();
        self.timer.as_mut().reset(self.end.min(now + self.pause));
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.unwrap_or(0);
        bytes > 0 && left.is_some() && now < self.end
    }
}

impl AsyncRead for ConnectionIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(into.remaining());
            into.put_slice(&self.unread.split_to(length));
            return Poll::Ready(Ok(()));
        }

        ready!(self.poll_pace(context));
        let before = into.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, into))?;
        match into.filled().len() > before {
            true => self.timeouts.on_received(),
            false => self.client_closed = true,
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ConnectionIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.record_write(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(context, pieces);
        self.record_write(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(context))?;
            if !this.needs_linger() {
                return Poll::Ready(Ok(()));
            }
            this.timeouts.on_closing();
        }
        this.linger
            .get_or_insert_with(|| Linger::start(LINGER_LIMITS))
            .poll(&mut this.socket, context)
            .map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    async fn linger(mut socket: TcpStream, bounds: LingerLimits) {
        let mut linger = Linger::start(bounds);
        std::future::poll_fn(|context| linger.poll(&mut socket, context)).await;
    }

    /// Sends until the server stops taking bytes.
    async fn send_on(mut client: TcpStream) {
        while client.write_all(&[0; 1000]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn it_waits_until_the_client_closes() {
        let (socket, mut client) = pair().await;
        client.write_all(&[0; 100_000]).await.unwrap();
        let lingering =
            tokio::spawn(linger(socket, LingerLimits { bytes: 100_000, time: LONG, pause: LONG }));
        client.shutdown().await.unwrap();
        lingering.await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "it is not reset");
    }

    #[tokio::test]
    async fn every_bound_ends_it() {
        let free = LingerLimits { bytes: u64::MAX, time: LONG, pause: LONG };
        for (bounds, sends) in [
            (LingerLimits { bytes: 1_000_000, ..free }, true),
            (LingerLimits { time: SHORT, ..free }, true),
            (LingerLimits { time: SHORT, ..free }, false),
            (LingerLimits { pause: SHORT, ..free }, false),
        ] {
            let (socket, client) = pair().await;
            let client = if sends { Err(tokio::spawn(send_on(client))) } else { Ok(client) };
            linger(socket, bounds).await;
            if let Err(sending) = client {
                sending.await.unwrap();
            }
        }
    }
}
