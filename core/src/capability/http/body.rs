//! Bodies that are counted while they pass, and cut where they are too long or too slow.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{LengthLimitError, Limited};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, WasiBody};

/// The most bytes of a body, in either direction: as many as a model's own requests and responses
/// may have by default, since fetched data usually ends in a response.
pub(super) const MAX_BODY: usize = 16 << 20;

/// A guest's body, limited to [`MAX_BODY`].
pub(super) type RequestBody = Limited<WasiBody>;

pub(super) fn limited(body: WasiBody) -> RequestBody {
    Limited::new(body, MAX_BODY)
}

/// A server's body. It holds the permit of its request, and its connection, until it is read to its
/// end or dropped.
pub(super) struct ResponseBody<B> {
    frames: Limited<B>,
    /// The longest time between two frames.
    max_pause: Duration,
    /// Runs only while the guest waits for a frame.
    pause_timer: Option<Pin<Box<Sleep>>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<B: Body> ResponseBody<B> {
    /// Fails if the announced length is too large.
    pub(super) fn new(
        body: B,
        max_pause: Duration,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Error> {
        let announced = body.size_hint().lower();
        if announced > MAX_BODY as u64 {
            return Err(Error::HttpResponseBodySize(Some(announced)));
        }

        Ok(ResponseBody {
            frames: Limited::new(body, MAX_BODY),
            max_pause,
            pause_timer: None,
            permit: Some(permit),
        })
    }

    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let max_pause = self.max_pause;
        self.pause_timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(max_pause)))
            .as_mut()
            .poll(context)
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.frames).poll_frame(context) else {
            ready!(self.poll_pause(context));
            return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
        };

        self.pause_timer = None;
        let frame = frame.map(|frame| frame.map_err(|error| explain(error.as_ref())));

        if !matches!(frame, Some(Ok(_))) {
            self.permit = None;
        }

        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.frames.size_hint()
    }
}

fn explain(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Error {
    if error.is::<LengthLimitError>() {
        return Error::HttpResponseBodySize(Some(MAX_BODY as u64));
    }
    tracing::debug!(%error, "an answer to a model ended early");
    Error::HttpResponseIncomplete
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::{BodyExt, Full, StreamBody};
    use tokio::sync::Semaphore;

    use super::*;

    fn response<B: Body>(body: B) -> (Result<ResponseBody<B>, Error>, Arc<Semaphore>) {
        let permits = Arc::new(Semaphore::new(1));
        let permit = permits.clone().try_acquire_owned().unwrap();
        (ResponseBody::new(body, Duration::from_millis(1), permit), permits)
    }

    fn chunks(count: usize) -> impl Body<Data = Bytes, Error = hyper::Error> + Unpin {
        let chunk = || Ok(Frame::data(Bytes::from(vec![0; 1 << 20])));
        StreamBody::new(futures_util::stream::iter((0..count).map(move |_| chunk())))
    }

    #[tokio::test]
    async fn a_body_is_cut_at_the_limit() {
        let (body, permits) = response(chunks(16));
        assert_eq!(body.unwrap().collect().await.unwrap().to_bytes().len(), MAX_BODY);
        assert_eq!(permits.available_permits(), 1);

        let (body, permits) = response(chunks(17));
        assert!(matches!(body.unwrap().collect().await, Err(Error::HttpResponseBodySize(Some(_)))));
        assert_eq!(permits.available_permits(), 1);
    }

    #[test]
    fn a_body_announced_as_too_large_is_refused() {
        let (body, _) = response(Full::new(Bytes::from(vec![0; MAX_BODY + 1])));
        assert!(matches!(body, Err(Error::HttpResponseBodySize(Some(_)))));
    }

    #[tokio::test]
    async fn a_silent_server_times_out() {
        let silent =
            StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, hyper::Error>>());
        let (body, permits) = response(silent);
        assert!(matches!(body.unwrap().collect().await, Err(Error::ConnectionReadTimeout)));
        assert_eq!(permits.available_permits(), 1);
    }
}
