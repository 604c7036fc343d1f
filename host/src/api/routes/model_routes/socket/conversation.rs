//! A connection from its handshake to its end.

use std::future::Future;
use std::time::Duration;

use axum::body::Bytes;
use hyper::upgrade::OnUpgrade;

use super::client::Client;
use super::link::Link;
use super::session::ConnectionSession;
use crate::api::http::connection::{AnswerHook, Connection};
use crate::api::websocket::{Closing, MessageKind};
use crate::servable::InFlightGuard;

/// Time in which a client must take its last messages.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// An open connection.
pub(super) struct Conversation {
    pub(super) client: Client,
    pub(super) connection: Connection,
    pub(super) link: Link,
    /// `None` if each message names its own session, or has none.
    pub(super) session: Option<ConnectionSession>,
    on_answer: AnswerHook,
    /// A stopping server waits until the client knows.
    open: InFlightGuard,
}

impl Conversation {
    /// Serves a connection until it ends.
    pub(super) async fn start(
        client: Client,
        upgrade: OnUpgrade,
        connection: Connection,
        on_answer: AnswerHook,
    ) {
        let Ok(upgraded) = upgrade.await else { return };
        let dataplane = &client.state.dataplane;
        let session = client.route.session.then(|| ConnectionSession::new(dataplane)).transpose();
        let Ok(session) = session else {
            return tracing::error!("the system has no random bytes for a session");
        };

        let link = Link::new(upgraded, &client);
        let open = dataplane.begin_work();
        let conversation = Conversation { client, connection, link, session, on_answer, open };
        conversation.run().await;
    }

    async fn run(mut self) {
        let closing = loop {
            if let Err(closing) = self.exchange().await {
                break closing;
            }
        };

        tracing::debug!(request_id = %self.client.request_id, ?closing, "a conversation ended");
        self.close(closing).await;
    }

    /// Waits for a message and answers it.
    async fn exchange(&mut self) -> Result<(), Closing> {
        let stopped = self.client.state.dataplane.stopped();
        let message = self.link.next_message(&self.connection, stopped).await?;

        let answered = self.answer(message).await;
        (self.on_answer)();
        answered
    }

    async fn close(self, closing: Closing) {
        let Conversation { mut link, connection, session, open, .. } = self;
        // It ends while the server still waits for the connection.
        drop(session);

        if let Closing::Code { code, reason, error } = closing {
            connection.set_closing();
            let sending = async {
                if let Some(error) = error {
                    link.writer.message(MessageKind::Text, Bytes::from(error.to_json())).await?;
                }
                link.writer.close(code, reason).await
            };
            // A client that does not read is cut off.
            if !matches!(within_timeout(sending).await, Some(Ok(()))) {
                return;
            }
        }

        drop(open);
        link.writer.shutdown().await;
    }
}

async fn within_timeout<T>(sending: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(CLOSE_TIMEOUT, sending).await.ok()
}
