//! Response bodies of HTTP/2 whose client has a limited time to take them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::timeouts::ConnectionTimeouts;
use super::unsent_responses::UnsentId;
use crate::api::guard_bytes;

/// A body that waits for its client while it is not polled, and whose bytes wait until they are
/// sent. While it is polled and has nothing, the client waits for it.
pub(super) struct SendingBody<B> {
    body: B,
    timeouts: ConnectionTimeouts,
    /// The wait of the body. `None` while its client waits for it, and at its end.
    wait: Option<UnsentWait>,
}

/// A wait for a client. Dropping it ends the wait.
struct UnsentWait {
    timeouts: ConnectionTimeouts,
    id: UnsentId,
}

impl UnsentWait {
    fn start(timeouts: &ConnectionTimeouts, bytes: usize) -> Self {
        UnsentWait { timeouts: timeouts.clone(), id: timeouts.start_unsent(bytes) }
    }
}

impl Drop for UnsentWait {
    fn drop(&mut self) {
        self.timeouts.end_unsent(self.id);
    }
}

impl<B: Body> SendingBody<B> {
    /// Creates the body of a response that is handed over now.
    pub(super) fn new(body: B, timeouts: ConnectionTimeouts) -> Self {
        let wait = (!body.is_end_stream()).then(|| UnsentWait::start(&timeouts, 0));
        SendingBody { body, timeouts, wait }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for SendingBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        this.wait = None;

        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));

        if frame.is_some() && !this.body.is_end_stream() {
            this.wait = Some(UnsentWait::start(&this.timeouts, 0));
        }

        let unsent = |bytes: Bytes| {
            let wait = UnsentWait::start(&this.timeouts, bytes.len());
            guard_bytes(wait, bytes)
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(unsent))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
