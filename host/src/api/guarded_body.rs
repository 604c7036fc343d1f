//! Response bodies that hold a guard until their last byte has been written to the socket.
//!
//! hyper drops a body after taking its last bytes, which then wait until the client reads them. So
//! the guard belongs to the bytes themselves: hyper drops them once the socket has taken them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

/// Makes a response hold `guard` until its bytes have been written, or discarded with the
/// connection.
pub(super) fn hold_until_sent(held: impl Send + Sync + 'static, response: Response) -> Response {
    let held = Arc::new(held);
    response.map(|body| Body::new(GuardedBody { body, guard: held }))
}

/// Returns bytes that hold `guard` until their last clone is dropped.
pub(super) fn guard_bytes(held: impl Send + Sync + 'static, bytes: Bytes) -> Bytes {
    Bytes::from_owner(GuardedBytes { bytes, _guard: held })
}

/// A body whose chunks share one guard.
struct GuardedBody<T> {
    body: Body,
    guard: Arc<T>,
}

struct GuardedBytes<T> {
    bytes: Bytes,
    _guard: T,
}

impl<T> AsRef<[u8]> for GuardedBytes<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T: Send + Sync + 'static> HttpBody for GuardedBody<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let kept = |bytes| guard_bytes(Arc::clone(&self.guard), bytes);
        polled.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(kept))))
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
    async fn the_bytes_hold_it_when_the_body_is_gone() {
        let held = Arc::new(());
        let mut response = hold_until_sent(Arc::clone(&held), Response::new(Body::from("answer")));
        assert_eq!(response.body().size_hint().exact(), Some(6));

        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert!(response.body().is_end_stream());
        drop(response);

        let mut bytes = frame.into_data().unwrap();
        assert_eq!((Arc::strong_count(&held), &bytes[..]), (2, &b"answer"[..]));
        drop(bytes.split_to(3));
        assert_eq!(Arc::strong_count(&held), 2, "half of them are left");
        drop(bytes);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
