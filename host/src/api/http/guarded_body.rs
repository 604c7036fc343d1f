//! Response bodies that hold a guard until they have been sent.
//!
//! hyper drops a body after taking its last bytes, which then wait until the client reads them. A
//! guard that must last until the socket has taken the bytes therefore belongs to the bytes
//! themselves.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

/// A body with a guard.
pub struct GuardedBody<G> {
    body: Body,
    guard: Guard<G>,
}

/// The guard of a body, by the time of its release.
enum Guard<G> {
    /// Released when the body is dropped, which hyper does after taking the last bytes.
    UntilTaken {
        /// Only held.
        _guard: G,
    },
    /// Released when the socket has taken the last bytes.
    UntilSent(Arc<G>),
}

impl<G> GuardedBody<G> {
    /// Creates a body that holds `guard` until hyper has taken its last bytes or dropped it.
    pub fn until_taken(body: Body, guard: G) -> Self {
        GuardedBody { body, guard: Guard::UntilTaken { _guard: guard } }
    }

    /// Creates a body that holds `guard` until its bytes have been written to the socket, or
    /// discarded with the connection.
    fn until_sent(body: Body, guard: G) -> Self {
        GuardedBody { body, guard: Guard::UntilSent(Arc::new(guard)) }
    }
}

/// Makes a response hold `guard` until its bytes have been written to the socket, or discarded with
/// the connection.
pub(in crate::api) fn hold_until_sent(
    guard: impl Send + Sync + 'static,
    response: Response,
) -> Response {
    response.map(|body| Body::new(GuardedBody::until_sent(body, guard)))
}

/// Returns bytes that hold `guard` until their last clone is dropped.
pub fn guard_bytes(guard: impl Send + Sync + 'static, bytes: Bytes) -> Bytes {
    Bytes::from_owner(GuardedBytes { bytes, _guard: guard })
}

struct GuardedBytes<G> {
    bytes: Bytes,
    _guard: G,
}

impl<G> AsRef<[u8]> for GuardedBytes<G> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

// The guard is never pinned.
impl<G> Unpin for GuardedBody<G> {}

impl<G: Send + Sync + 'static> HttpBody for GuardedBody<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);

        let Guard::UntilSent(guard) = &self.guard else { return polled };
        let guarded = |bytes| guard_bytes(Arc::clone(guard), bytes);

        polled.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(guarded))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn bytes_hold_the_guard_after_the_body() {
        let guard = Arc::new(());
        let mut response = hold_until_sent(Arc::clone(&guard), Response::new(Body::from("answer")));
        assert_eq!(response.body().size_hint().exact(), Some(6));

        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert!(response.body().is_end_stream());
        drop(response);

        let mut bytes = frame.into_data().unwrap();
        assert_eq!((Arc::strong_count(&guard), &bytes[..]), (2, &b"answer"[..]));
        drop(bytes.split_to(3));
        assert_eq!(Arc::strong_count(&guard), 2, "half of them are left");
        drop(bytes);
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[tokio::test]
    async fn body_holds_the_guard_until_its_bytes_are_taken() {
        let guard = Arc::new(());
        let mut body = GuardedBody::until_taken(Body::from("answer"), Arc::clone(&guard));
        assert_eq!(body.size_hint().exact(), Some(6));

        let frame = body.frame().await.unwrap().unwrap();
        assert!(body.is_end_stream());
        assert_eq!(Arc::strong_count(&guard), 2);

        drop(body);
        assert_eq!(Arc::strong_count(&guard), 1);
        assert_eq!(frame.into_data().unwrap(), "answer");
    }
}
