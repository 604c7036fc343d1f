//! The two directions of a connection.
//!
//! One request is under way at a time. While it is, the client's next message is read ahead, and
//! with it a ping, a close frame or the end of the connection is noticed, which cancels the
//! request. Nothing more is read before the next message is taken: a client that sends faster than
//! the model answers is stopped by its own socket.

use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{ReadHalf, WriteHalf, split};
use tokio::time::{Instant, sleep_until};

use super::client::Client;
use crate::api::http::connection::Connection;
use crate::api::websocket::{CloseCode, Closing, Event, Message, MessageReader, MessageWriter};

type Io = TokioIo<Upgraded>;

/// The connection to a client.
pub(super) struct Link {
    pub(super) writer: MessageWriter<WriteHalf<Io>>,
    reader: MessageReader<ReadHalf<Io>>,
    /// The message that was read while the one before it was answered.
    ahead: Option<Message>,
    /// The time of silence after which the client is asked whether it is there. Twice this time
    /// ends the connection.
    silence: Duration,
}

impl Link {
    pub(super) fn new(upgraded: Upgraded, client: &Client) -> Self {
        let (read, write) = split(TokioIo::new(upgraded));
        Link {
            writer: MessageWriter::new(write),
            reader: MessageReader::new(read, client.tenant.clone(), client.limit),
            ahead: None,
            silence: client.state.keep_alive / 2,
        }
    }

    /// Waits for a message. Fails if `stopped` resolves before it, or the client is silent for too
    /// long.
    pub(super) async fn next_message(
        &mut self,
        connection: &Connection,
        stopped: impl Future<Output = ()>,
    ) -> Result<Message, Closing> {
        // A connection that waits can be closed in favour of others.
        let _waiting = connection.start_waiting();
        let mut stopped = pin!(stopped);
        let mut quiet_since = Instant::now();
        let mut is_asked = false;

        loop {
            if let Some(message) = self.ahead.take() {
                return Ok(message);
            }

            tokio::select! {
                biased;
                () = &mut stopped => {
                    return Err(Closing::new(CloseCode::GoingAway, "the server stops"));
                }
                event = self.reader.next() => self.take(event?).await?,
                () = sleep_until(quiet_since + self.silence) => {
                    let has_arrived = self.reader.last_arrival() > quiet_since;
                    if is_asked && !has_arrived {
                        return Err(Closing::new(CloseCode::Policy, "no answer to a ping"));
                    }
                    if !has_arrived {
                        self.writer.ping().await?;
                    }
                    is_asked = !has_arrived;
                    quiet_since = Instant::now();
                }
            }
        }
    }

    /// Runs work on a message, and reads meanwhile. Fails if the connection ends first.
    pub(super) async fn while_reading<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, Closing> {
        let mut work = pin!(work);
        let mut ping = Instant::now() + self.silence;

        loop {
            let is_full = self.ahead.is_some();
            let next = async { if is_full { pending().await } else { self.reader.next().await } };

            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                event = next => self.take(event?).await?,
                // A proxy would close a connection that is silent for long.
                () = sleep_until(ping) => {
                    self.writer.ping().await?;
                    ping = Instant::now() + self.silence;
                }
            }
        }
    }

    async fn take(&mut self, event: Event) -> Result<(), Closing> {
        match event {
            Event::Message(message) => self.ahead = Some(message),
            Event::Ping(payload) => self.writer.pong(payload).await?,
            Event::Pong => {}
            Event::Close => return Err(Closing::new(CloseCode::Normal, "")),
        }
        Ok(())
    }
}
