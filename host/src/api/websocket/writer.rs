//! Messages to a client.

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::closing::{CloseCode, Closing};
use super::frame::{MAX_CONTROL, Opcode, write_head};
use super::message::MessageKind;

/// Writes the messages of a connection. Each function returns once the socket has taken the bytes,
/// so a client that does not read stops the writer; the time limit is that of the connection.
///
/// A function that does not run to its end leaves a part of a frame behind. Nothing can be written
/// after it.
pub(in crate::api) struct MessageWriter<W> {
    io: W,
}

impl<W: AsyncWrite + Unpin> MessageWriter<W> {
    pub(in crate::api) fn new(io: W) -> Self {
        MessageWriter { io }
    }

    /// Writes a message as one frame.
    pub(in crate::api) async fn message(
        &mut self,
        kind: MessageKind,
        bytes: Bytes,
    ) -> Result<(), Closing> {
        self.frame(Opcode::Message(kind), bytes).await
    }

    /// Writes a ping without a payload.
    pub(in crate::api) async fn ping(&mut self) -> Result<(), Closing> {
        self.frame(Opcode::Ping, Bytes::new()).await
    }

    /// Answers a ping, whose payload comes back.
    pub(in crate::api) async fn pong(&mut self, payload: Bytes) -> Result<(), Closing> {
        self.frame(Opcode::Pong, payload).await
    }

    /// Writes a close frame and ends the server's side. Bytes of the client are discarded for a
    /// while, so that it can read what was sent.
    pub(in crate::api) async fn close(
        &mut self,
        code: CloseCode,
        reason: &str,
    ) -> Result<(), Closing> {
        let mut payload = (code as u16).to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        payload.truncate(MAX_CONTROL);

        self.frame(Opcode::Close, payload.into()).await
    }

    /// Ends the server's side of the connection.
    pub(in crate::api) async fn shutdown(&mut self) {
        // The client may be gone already.
        let _ = self.io.shutdown().await;
    }

    async fn frame(&mut self, opcode: Opcode, payload: Bytes) -> Result<(), Closing> {
        let head = Bytes::from(write_head(opcode, true, payload.len()));
        let mut frame = head.chain(payload);

        let written = async {
            self.io.write_all_buf(&mut frame).await?;
            self.io.flush().await
        };
        written.await.map_err(|_| Closing::Gone)
    }
}
