//! Messages of a client.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::closing::{CloseCode, Closing};
use super::frame::{FrameHead, Opcode, read_head, unmask};
use super::message::{Message, MessageKind};
use crate::api::http::request_memory::RequestMemory;
use crate::model::InferError;
use crate::tenant::Tenant;

/// Bytes that are read at a time.
const READ_SIZE: usize = 8 << 10;

/// Frames of one message. Browsers send 64 MiB in a thousandth of them.
const MAX_FRAMES: u32 = 1 << 16;

/// Time in which a message must arrive once it has begun, as for the body of a request.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Control frames in one second. Clients send one in many seconds.
const MAX_CONTROL_FRAMES: u32 = 64;

/// Something that a client has sent.
pub(in crate::api) enum Event {
    /// A whole message.
    Message(Message),
    /// A ping, with the payload that its answer has.
    Ping(Bytes),
    /// An answer to a ping.
    Pong,
    /// The client closes the connection.
    Close,
}

/// Reads the messages of a connection.
pub(in crate::api) struct MessageReader<R> {
    io: R,
    tenant: Arc<Tenant>,
    /// The longest message in bytes.
    limit: u64,
    /// Bytes that have arrived and are not read yet.
    unread: BytesMut,
    frame: Option<OpenFrame>,
    message: Option<OpenMessage>,
    controls: ControlFrames,
    last_arrival: Instant,
}

/// A frame whose head was read.
struct OpenFrame {
    head: FrameHead,
    /// The bytes of the payload that were read.
    read: u64,
    /// The payload of a control frame.
    control: Vec<u8>,
}

/// A message whose last frame is still to come.
struct OpenMessage {
    kind: MessageKind,
    bytes: Vec<u8>,
    memory: RequestMemory,
    /// The bytes that are known to be UTF-8.
    checked: usize,
    frames: u32,
    due: Instant,
}

/// The number of control frames in the present second.
struct ControlFrames {
    since: Instant,
    count: u32,
}

impl<R: AsyncRead + Unpin> MessageReader<R> {
    /// Reads messages of at most `limit` bytes for a tenant.
    pub(in crate::api) fn new(io: R, tenant: Arc<Tenant>, limit: u64) -> Self {
        let now = Instant::now();
        MessageReader {
            io,
            tenant,
            limit,
            unread: BytesMut::new(),
            frame: None,
            message: None,
            controls: ControlFrames { since: now, count: 0 },
            last_arrival: now,
        }
    }

    /// The time at which bytes have arrived last.
    pub(in crate::api) fn last_arrival(&self) -> Instant {
        self.last_arrival
    }

    /// Waits for the next event. Fails if the client is gone, breaks the protocol, exceeds a limit
    /// or takes too long. Dropping the future loses nothing.
    pub(in crate::api) async fn next(&mut self) -> Result<Event, Closing> {
        loop {
            if let Some(event) = self.read_unread()? {
                return Ok(event);
            }

            self.unread.reserve(READ_SIZE);
            let reading = self.io.read_buf(&mut self.unread);
            let read = match &self.message {
                None => reading.await,
                Some(message) => tokio::time::timeout_at(message.due, reading)
                    .await
                    .map_err(|_| Closing::new(CloseCode::Policy, "the message took too long"))?,
            };

            match read {
                Ok(0) | Err(_) => return Err(Closing::Gone),
                Ok(_) => self.last_arrival = Instant::now(),
            }
        }
    }

    /// Reads what has arrived, up to the end of the next event.
    fn read_unread(&mut self) -> Result<Option<Event>, Closing> {
        loop {
            if self.frame.is_none() {
                match read_head(&self.unread).map_err(Closing::violation)? {
                    Some((head, length)) => {
                        self.unread.advance(length);
                        self.open(head)?;
                    }
                    None => return Ok(None),
                }
            }

            if !self.read_payload()? {
                return Ok(None);
            }
            if let Some(event) = self.close_frame()? {
                return Ok(Some(event));
            }
        }
    }

    /// Begins a frame. Fails if it may not come here or is too long.
    fn open(&mut self, head: FrameHead) -> Result<(), Closing> {
        match head.opcode {
            opcode if opcode.is_control() => self.controls.count()?,
            Opcode::Message(_) if self.message.is_some() => {
                return Err(Closing::violation("a message begins within another one"));
            }
            Opcode::Message(kind) => {
                self.message = Some(OpenMessage::new(kind, &self.tenant));
                self.add_frame(head.length)?;
            }
            _ => self.add_frame(head.length)?,
        }

        self.frame = Some(OpenFrame { head, read: 0, control: Vec::new() });
        Ok(())
    }

    /// Counts a frame of this length as a part of the open message.
    fn add_frame(&mut self, length: u64) -> Result<(), Closing> {
        let Some(message) = &mut self.message else {
            return Err(Closing::violation("a message begins with a continuation"));
        };

        message.frames += 1;
        if message.frames > MAX_FRAMES {
            return Err(Closing::new(CloseCode::TooLarge, "a message has too many frames"));
        }
        if (message.bytes.len() as u64).saturating_add(length) > self.limit {
            return Err(Closing::too_large(self.limit));
        }
        Ok(())
    }

    /// Reads what has arrived of a payload. Returns true at its end.
    fn read_payload(&mut self) -> Result<bool, Closing> {
        let Some(OpenFrame { head, read, control }) = &mut self.frame else { return Ok(true) };
        let left = head.length - *read;
        let length = self.unread.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut part = self.unread.split_to(length);
        unmask(&mut part, head.mask, *read);
        *read += length as u64;

        match &mut self.message {
            _ if head.opcode.is_control() => control.extend_from_slice(&part),
            Some(message) => message.add(&part, left)?,
            None => {}
        }

        Ok(*read == head.length)
    }

    /// Ends a frame whose payload was read, and returns the event that it completes.
    fn close_frame(&mut self) -> Result<Option<Event>, Closing> {
        let Some(OpenFrame { head, control, .. }) = self.frame.take() else { return Ok(None) };

        match head.opcode {
            Opcode::Ping => Ok(Some(Event::Ping(control.into()))),
            Opcode::Pong => Ok(Some(Event::Pong)),
            Opcode::Close => check_close(&control).map(|()| Some(Event::Close)),
            Opcode::Message(_) | Opcode::Continuation if !head.is_final => Ok(None),
            Opcode::Message(_) | Opcode::Continuation => {
                self.message.take().map(|message| message.end().map(Event::Message)).transpose()
            }
        }
    }
}

impl OpenMessage {
    fn new(kind: MessageKind, tenant: &Arc<Tenant>) -> Self {
        OpenMessage {
            kind,
            bytes: Vec::new(),
            memory: RequestMemory::new(tenant),
            checked: 0,
            frames: 0,
            due: Instant::now() + RECEIVE_TIMEOUT,
        }
    }

    /// Adds a part of a frame of which `left` bytes are still to come, this part included.
    fn add(&mut self, part: &[u8], left: u64) -> Result<(), Closing> {
        let length = self.bytes.len().saturating_add(part.len());
        self.memory.resize(length).map_err(|refusal| {
            let error = InferError::from(refusal);
            Closing::with_error(CloseCode::TryLater, "a quota is used up", error)
        })?;

        // Reserved capacity uses no physical memory before it is written.
        self.bytes.reserve(usize::try_from(left).unwrap_or(part.len()));
        self.bytes.extend_from_slice(part);

        self.check_text()
    }

    /// Fails if a text is not UTF-8. Its last bytes may be the first ones of a letter.
    fn check_text(&mut self) -> Result<(), Closing> {
        if self.kind == MessageKind::Binary {
            return Ok(());
        }

        let unchecked = self.bytes.get(self.checked..).unwrap_or_default();
        match std::str::from_utf8(unchecked) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(not_utf8()),
        }
        Ok(())
    }

    fn end(self) -> Result<Message, Closing> {
        if self.kind == MessageKind::Text && self.checked < self.bytes.len() {
            return Err(not_utf8());
        }
        Ok(Message { kind: self.kind, bytes: self.bytes.into(), memory: self.memory })
    }
}

impl ControlFrames {
    fn count(&mut self) -> Result<(), Closing> {
        let now = Instant::now();
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            *self = ControlFrames { since: now, count: 0 };
        }

        self.count += 1;
        if self.count > MAX_CONTROL_FRAMES {
            return Err(Closing::new(CloseCode::Policy, "too many control frames"));
        }
        Ok(())
    }
}

/// Checks the payload of a close frame: nothing, or a code and a text.
fn check_close(payload: &[u8]) -> Result<(), Closing> {
    let Some((&code, text)) = payload.split_first_chunk() else {
        let is_empty = payload.is_empty();
        return is_empty.then_some(()).ok_or(Closing::violation("a close frame has half a code"));
    };

    // Others are reserved, or must not be sent.
    let may_be_sent = matches!(u16::from_be_bytes(code), 1000..=1003 | 1007..=1014 | 3000..=4999);
    if !may_be_sent {
        return Err(Closing::violation("a close frame has a reserved code"));
    }
    std::str::from_utf8(text).map(drop).map_err(|_| not_utf8())
}

fn not_utf8() -> Closing {
    Closing::new(CloseCode::InvalidText, "a text is not UTF-8")
}

#[cfg(test)]
mod tests;
