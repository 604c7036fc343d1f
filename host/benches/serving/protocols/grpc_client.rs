//! A client of gRPC that takes little of the cores that it shares with the server: it sends frames
//! of HTTP/2 that are prepared once. It decodes no headers, since a call that fails has no message.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::METHOD;
use super::requests::{Protocol, Question};
use crate::load::{self, LoadResult, Phase};
use crate::process::Server;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// The length of a frame's head, and of the prefix of a message.
const FRAME_HEAD: usize = 9;
const PREFIX: usize = 5;

/// The window of a connection is renewed after so many bytes, half of what it has at first.
const RENEWED_AFTER: u32 = 32 << 10;

/// Calls `ModelInfer` over connections with `calls` at the same time on each, and measures the
/// server for a window after a warm-up. Each connection repeats one of the questions.
pub(super) fn run(
    server: &Server,
    questions: &[Question],
    connections: usize,
    calls: usize,
    window: Duration,
) -> Result<LoadResult> {
    load::measure(server, window, async |phase| {
        let mut clients = JoinSet::new();
        for question in questions.iter().cycle().take(connections) {
            let mut connection = Connection::open(server.address(), question.message()).await?;
            let answer = connection.first_answer().await?;
            let message = answer.get(PREFIX..).context("a call failed")?;
            ensure!(question.is_answered_by(Protocol::Grpc, message), "a server's answer is wrong");
            clients.spawn(connection.repeat(calls, answer, phase.clone()));
        }
        Ok(clients)
    })
}

/// A connection with prepared frames.
struct Connection {
    stream: TcpStream,
    /// The request as the payload of `DATA`.
    message: Vec<u8>,
    next_stream: u32,
    incoming: BytesMut,
    /// Frames that are written before more is read.
    outgoing: Vec<u8>,
    /// Bytes of `DATA` since the window was renewed.
    received: u32,
}

/// A call without its whole answer.
struct Call {
    stream: u32,
    started: Instant,
    body: Vec<u8>,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Bytes,
}

impl Connection {
    async fn open(address: SocketAddr, message: Vec<u8>) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let length = u32::try_from(message.len())?.to_be_bytes();

        let mut connection = Connection {
            stream,
            message: [&[0], &length[..], &message].concat(),
            next_stream: 1,
            incoming: BytesMut::new(),
            outgoing: PREFACE.to_vec(),
            received: 0,
        };
        connection.write(SETTINGS, 0, 0, &[]);
        Ok(connection)
    }

    /// Makes the first call, whose headers the later ones refer to. Returns its answer.
    async fn first_answer(&mut self) -> Result<Vec<u8>> {
        let call = self.call_with(&first_headers());
        Ok(self.finished(&mut vec![call]).await?.body)
    }

    /// Calls until the phase is over. Returns the nanoseconds of each call in the measurement.
    async fn repeat(mut self, calls: usize, expected: Vec<u8>, phase: Phase) -> Result<Vec<u32>> {
        let mut latencies = Vec::with_capacity(1 << 16);
        let mut open: Vec<Call> = (0..calls).map(|_| self.call_with(&LATER_HEADERS)).collect();

        loop {
            let finished = self.finished(&mut open).await?;
            ensure!(finished.body == expected, "a server's answer changed");
            if !phase.record(finished.started.elapsed(), &mut latencies) {
                return Ok(latencies);
            }
            open.push(self.call_with(&LATER_HEADERS));
        }
    }

    /// Begins a call, which is sent with the next [`Self::finished`].
    fn call_with(&mut self, headers: &[u8]) -> Call {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.write(HEADERS, END_HEADERS, stream, headers);
        let message = std::mem::take(&mut self.message);
        self.write(DATA, END_STREAM, stream, &message);
        self.message = message;

        Call { stream, started: Instant::now(), body: Vec::new() }
    }

    /// Waits until one of the open calls has its answer.
    async fn finished(&mut self, open: &mut Vec<Call>) -> Result<Call> {
        loop {
            let Frame { kind, flags, stream, payload } = self.next_frame().await?;
            let index = open.iter().position(|call| call.stream == stream);

            match (kind, index) {
                (DATA, Some(index)) => {
                    ensure!(flags & (END_STREAM | PADDED) == 0, "an answer has no trailers");
                    open[index].body.extend_from_slice(&payload);
                    self.renew_window(payload.len() as u32);
                }
                (HEADERS, Some(index)) if flags & END_STREAM != 0 => {
                    return Ok(open.swap_remove(index));
                }
                (SETTINGS, _) if flags & ACK == 0 => self.write(SETTINGS, ACK, 0, &[]),
                (PING, _) if flags & ACK == 0 => self.write(PING, ACK, 0, &payload),
                (RST_STREAM | GOAWAY | CONTINUATION, _) => bail!("a server sent frame {kind}"),
                _ => {}
            }
        }
    }

    /// Returns the next frame. Writes what is to be written before it waits.
    async fn next_frame(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = take_frame(&mut self.incoming) {
                return Ok(frame);
            }
            if !self.outgoing.is_empty() {
                self.stream.write_all(&self.outgoing).await?;
                self.outgoing.clear();
            }
            self.incoming.reserve(4096);
            let length = self.stream.read_buf(&mut self.incoming).await?;
            ensure!(length > 0, "a server closed the connection");
        }
    }

    fn renew_window(&mut self, bytes: u32) {
        self.received += bytes;
        if self.received >= RENEWED_AFTER {
            let increment = std::mem::take(&mut self.received).to_be_bytes();
            self.write(WINDOW_UPDATE, 0, 0, &increment);
        }
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.outgoing.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
        self.outgoing.extend_from_slice(&[kind, flags]);
        self.outgoing.extend_from_slice(&stream.to_be_bytes());
        self.outgoing.extend_from_slice(payload);
    }
}

fn take_frame(incoming: &mut BytesMut) -> Option<Frame> {
    let head = incoming.first_chunk::<FRAME_HEAD>()?;
    let [high, middle, low, kind, flags, stream @ ..] = *head;
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    if incoming.len() < FRAME_HEAD + length {
        return None;
    }

    incoming.advance(FRAME_HEAD);
    let payload = incoming.split_to(length).freeze();
    Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
}

/// The headers of the first call. Those that are no entries of HPACK's table become some.
fn first_headers() -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [
        // `:method: POST`, `:scheme: http`, and names of the table with other values.
        vec![0x83, 0x86],
        vec![0x40 | 4],
        text(METHOD),
        vec![0x40 | 1],
        text("localhost"),
        vec![0x40],
        text("te"),
        text("trailers"),
        vec![0x40 | 31],
        text("application/grpc"),
        vec![0x40 | 58],
        text("wardian-bench"),
    ]
    .concat()
}

/// The same headers, by their entries. The newest one has the number 62.
const LATER_HEADERS: [u8; 7] = [0x83, 0x86, 0x80 | 66, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62];
