//! Properties that hold for arbitrary bytes of a WebSocket client.

use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::{Builder, Runtime};

use super::{Closing, Event, Message, MessageKind, MessageReader};
use crate::model::TenantName;
use crate::tenant::{Tenant, TenantSettings};

/// Checks what a client sends. Messages have no more bytes than the limit and than have arrived,
/// texts are UTF-8, and it makes no difference in which pieces the bytes arrive.
pub fn websocket(bytes: &[u8]) {
    let Some((&size, bytes)) = bytes.split_first() else { return };
    let limit = u64::from(size) * 16;

    let whole = read_all(bytes, usize::MAX, limit);
    assert_eq!(whole, read_all(bytes, 1 + usize::from(size) % 7, limit));

    let length: usize = whole.iter().map(String::len).sum();
    assert!(length <= 32 * bytes.len() + 200, "{length} bytes from {}", bytes.len());
}

/// Returns the events in `bytes`, which arrive in pieces of at most `piece` bytes.
fn read_all(bytes: &[u8], piece: usize, limit: u64) -> Vec<String> {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("it starts"));

    let tenant = Tenant::new(TenantName::default_tenant(), TenantSettings::default());
    let mut reader = MessageReader::new(Pieces { bytes, piece }, tenant, limit);
    let mut events = Vec::new();

    RUNTIME.block_on(async {
        loop {
            match reader.next().await {
                Ok(event) => events.push(describe(event, limit)),
                Err(Closing::Gone) => break,
                Err(Closing::Code { code, reason, .. }) => {
                    assert!(reason.len() <= 123, "{reason}");
                    events.push(format!("{code:?}"));
                    break;
                }
            }
        }
    });
    events
}

fn describe(event: Event, limit: u64) -> String {
    match event {
        Event::Message(Message { kind, bytes, .. }) => {
            assert!(bytes.len() as u64 <= limit);
            assert!(kind == MessageKind::Binary || std::str::from_utf8(&bytes).is_ok());
            format!("{kind:?} {bytes:x}")
        }
        Event::Ping(payload) => {
            assert!(payload.len() <= 125);
            format!("Ping {payload:x}")
        }
        Event::Pong => "Pong".into(),
        Event::Close => "Close".into(),
    }
}

struct Pieces<'b> {
    bytes: &'b [u8],
    piece: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.bytes.len().min(self.piece).min(into.remaining());
        let (now, later) = self.bytes.split_at(length);
        into.put_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(()))
    }
}
