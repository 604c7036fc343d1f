//! Request bodies that the handler does not read to the end.
//!
//! Many clients write the whole body before they read the response. If the connection closes early,
//! they lose the response: Python's client reports a broken pipe, and nginx answers 502. So the
//! rest of a body is read and discarded before the response is sent, within bounds. Beyond them the
//! response carries `Connection: close`.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::EXPECT;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use crate::mutex::lock;

/// Limits on discarding a body before the response.
#[derive(Clone, Copy)]
struct Bounds {
    bytes: u64,
    time: Duration,
    pause: Duration,
}

const BOUNDS: Bounds = Bounds {
    // A longer body is usually a rejected upload, and discarding it costs more than a new
    // connection.
    bytes: 64 << 20,
    // Discarding delays the response.
    time: Duration::from_secs(5),
    // A client may pause because it waits for the response, so a pause must be short.
    pause: Duration::from_secs(1),
};

/// Receives the unread part of a body when the handler drops it.
pub(in crate::api) struct UnreadBody {
    rest: Arc<Mutex<Option<Remainder>>>,
    expects_continue: bool,
}

/// The unread part of a body.
enum Remainder {
    /// `begun` is true if the handler read some of it.
    Unread { body: Body, begun: bool },
    /// The body ended with an error. No request can follow.
    Broken,
}

/// A request body that hands over its unread part on drop.
struct TrackedBody {
    /// `None` once the body has ended.
    body: Option<Body>,
    begun: bool,
    rest: Arc<Mutex<Option<Remainder>>>,
}

/// Tracks the body of a request. Returns `None` if there is no body.
pub(in crate::api) fn track(request: Request<Body>) -> (Request<Body>, Option<UnreadBody>) {
    if request.body().is_end_stream() {
        return (request, None);
    }

    let rest = Arc::default();
    let unread = UnreadBody {
        rest: Arc::clone(&rest),
        expects_continue: expects_continue(request.headers()),
    };

    (
        request.map(|body| Body::new(TrackedBody { body: Some(body), begun: false, rest })),
        Some(unread),
    )
}

/// True if the client waits for `100 Continue` before it sends the body.
fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl UnreadBody {
    /// Discards the unread part after the handler has finished. Returns true if the body has ended,
    /// so that another request can follow on the connection.
    pub(in crate::api) async fn discard(self) -> bool {
        self.discard_within(BOUNDS).await
    }

    async fn discard_within(self, bounds: Bounds) -> bool {
        let rest = lock(&self.rest).take();

        let (body, begun) = match rest {
            None => return true,
            Some(Remainder::Broken) => return false,
            Some(Remainder::Unread { body, begun }) => (body, begun),
        };

        // Reading would request a body that is not wanted.
        let unasked = self.expects_continue && !begun;

        if unasked || body.size_hint().lower() > bounds.bytes {
            return false;
        }

        matches!(tokio::time::timeout(bounds.time, discard_body(body, bounds)).await, Ok(true))
    }
}

/// Reads a body to its end. Returns true if the end was reached within the bounds.
async fn discard_body(mut body: Body, bounds: Bounds) -> bool {
    let mut left = bounds.bytes;
    loop {
        let Ok(frame) = tokio::time::timeout(bounds.pause, body.frame()).await else {
            return false;
        };
        let length = match frame {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len) as u64,
        };
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        this.begun = true;

        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            this.body = None;
        }

        if matches!(frame, Some(Err(_))) {
            this.store_remainder(Remainder::Broken);
        }

        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl TrackedBody {
    fn store_remainder(&self, rest: Remainder) {
        *lock(&self.rest) = Some(rest);
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.store_remainder(Remainder::Unread { body, begun: self.begun });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::{StreamExt, stream};

    use super::*;

    fn pieces(count: usize, bytes: usize) -> Body {
        let piece = Bytes::from(vec![0; bytes]);
        Body::from_stream(stream::iter((0..count).map(move |_| Ok::<_, io::Error>(piece.clone()))))
    }

    fn request(body: Body) -> (Request<Body>, Option<UnreadBody>) {
        track(Request::new(body))
    }

    #[tokio::test]
    async fn unread_part_is_discarded() {
        let (mut request, unread) = request(pieces(100, 1000));
        request.body_mut().frame().await.unwrap().unwrap();
        drop(request);
        assert!(unread.unwrap().discard().await);
    }

    #[tokio::test]
    async fn fully_read_body_leaves_nothing() {
        let (request, unread) = request(pieces(3, 10));
        assert_eq!(request.into_body().collect().await.unwrap().to_bytes().len(), 30);
        assert!(unread.unwrap().discard().await);
        assert!(track(Request::new(Body::empty())).1.is_none());
    }

    #[tokio::test]
    async fn broken_body_ends_the_connection() {
        let broken = Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::other("gone"))]));
        let (mut request, unread) = request(broken);
        assert!(request.body_mut().frame().await.unwrap().is_err());
        assert!(!unread.unwrap().discard().await);
    }

    #[tokio::test]
    async fn bodies_over_the_limit_are_not_discarded() {
        let piece = 1 << 20;
        for (count, ends) in [(64, true), (65, false), (usize::MAX, false)] {
            let (request, unread) = request(pieces(count, piece));
            drop(request);
            assert_eq!(unread.unwrap().discard().await, ends, "{count}");
        }

        let (request, unread) = request(Body::from(vec![0; (64 << 20) + 1]));
        drop(request);
        assert!(!unread.unwrap().discard().await);
    }

    #[tokio::test]
    async fn slow_clients_are_not_awaited() {
        let silent = || Body::from_stream(stream::pending::<io::Result<Bytes>>());

        let endless = || {
            let piece = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(b"x")));
            Body::from_stream(piece.then(async |piece| {
                tokio::task::yield_now().await;
                piece
            }))
        };

        let short = Duration::from_millis(1);
        let long = Duration::from_secs(3600);

        for (body, time, pause) in
            [(silent(), long, short), (silent(), short, long), (endless(), short, long)]
        {
            let (request, unread) = request(body);
            drop(request);
            assert!(!unread.unwrap().discard_within(Bounds { time, pause, ..BOUNDS }).await);
        }
    }

    #[tokio::test]
    async fn body_is_not_requested_from_a_client_awaiting_100() {
        let expecting =
            || Request::builder().header(EXPECT, "100-Continue").body(pieces(1, 1)).unwrap();
        let (request, unread) = track(expecting());
        drop(request);
        assert!(!unread.unwrap().discard().await);

        let (mut request, unread) = track(expecting());
        request.body_mut().frame().await;
        drop(request);
        assert!(unread.unwrap().discard().await, "it was asked already");
    }
}
