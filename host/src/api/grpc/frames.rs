//! The messages in the body of a call: each follows a byte that says whether it is compressed and
//! its length in four bytes, big endian.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use bytes::{Buf, BytesMut};
use hyper::body::{Frame, SizeHint};

use crate::api::http::body::next_chunk;
use crate::api::http::request_memory::RequestMemory;
use crate::model::InferError;

/// Bytes before each message.
pub(super) const PREFIX: usize = 5;

/// The bytes before a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) compressed: bool,
    pub(super) length: u32,
}

/// Reads the messages of a call.
pub(super) struct MessageReader {
    body: Body,
    /// Bytes that have arrived and are not read yet.
    arrived: Bytes,
}

impl MessageReader {
    pub(super) fn new(body: Body) -> Self {
        MessageReader { body, arrived: Bytes::new() }
    }

    /// Waits for the next message. Returns `None` at the end of the call.
    pub(super) async fn next(&mut self) -> Result<Option<Prefix>, InferError> {
        if !self.fill(PREFIX).await? {
            return if self.arrived.is_empty() { Ok(None) } else { Err(cut_off()) };
        }

        let flag = self.arrived.get_u8();
        let length = self.arrived.get_u32();
        match flag {
            0 | 1 => Ok(Some(Prefix { compressed: flag == 1, length })),
            _ => Err(InferError::InvalidInput(
                "a message must begin with a byte 0 or 1 and its length".into(),
            )),
        }
    }

    /// The bytes of the present message that have arrived, and perhaps some after it.
    pub(super) fn arrived(&self) -> &Bytes {
        &self.arrived
    }

    /// Waits for more bytes. Fails at the end of the call.
    pub(super) async fn more(&mut self) -> Result<(), InferError> {
        if self.fill(self.arrived.len() + 1).await? { Ok(()) } else { Err(cut_off()) }
    }

    /// Waits for the rest of the present message and accounts for it in `memory`. Fails at the end
    /// of the call.
    pub(super) async fn message(
        &mut self,
        length: u32,
        memory: &mut RequestMemory,
    ) -> Result<Bytes, InferError> {
        let length = length as usize;
        if self.arrived.len() >= length {
            memory.resize(length)?;
            return Ok(self.take(length));
        }

        // Reserved capacity uses no physical memory before it is written.
        let mut whole = Vec::with_capacity(length);
        loop {
            memory.resize(whole.len() + self.arrived.len())?;
            let piece = self.take(length - whole.len());
            whole.extend_from_slice(&piece);
            if whole.len() == length {
                return Ok(whole.into());
            }
            self.more().await?;
        }
    }

    /// Waits for the rest of the present message, which must be short. Fails at the end of the
    /// call.
    pub(super) async fn short_message(&mut self, length: u32) -> Result<Bytes, InferError> {
        if self.fill(length as usize).await? {
            Ok(self.take(length as usize))
        } else {
            Err(cut_off())
        }
    }

    /// Takes bytes that have arrived.
    fn take(&mut self, length: usize) -> Bytes {
        self.arrived.split_to(length.min(self.arrived.len()))
    }

    /// Returns the present message as a body. What follows it is dropped.
    pub(super) fn into_message(self, length: u32) -> Body {
        Body::new(MessageBody { reader: self, left: length as usize })
    }

    /// Waits until this many bytes have arrived. Returns false if the call ends before.
    async fn fill(&mut self, bytes: usize) -> Result<bool, InferError> {
        while self.arrived.len() < bytes {
            let Some(chunk) = next_chunk(&mut self.body).await? else { return Ok(false) };
            self.arrived = join(std::mem::take(&mut self.arrived), chunk);
        }
        Ok(true)
    }
}

/// Most messages arrive in one piece, which is used without copying.
fn join(first: Bytes, second: Bytes) -> Bytes {
    if first.is_empty() {
        return second;
    }

    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.extend_from_slice(&first);
    both.extend_from_slice(&second);
    both.freeze()
}

fn cut_off() -> InferError {
    InferError::InvalidInput("the call ended within a message".into())
}

/// One message of known length.
struct MessageBody {
    reader: MessageReader,
    left: usize,
}

impl HttpBody for MessageBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let MessageBody { reader, left } = self.get_mut();

        loop {
            if *left == 0 {
                return Poll::Ready(None);
            }

            if !reader.arrived.is_empty() {
                let piece = reader.take(*left);
                *left -= piece.len();
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }

            match std::task::ready!(Pin::new(&mut reader.body).poll_frame(context)) {
                Some(Ok(frame)) => reader.arrived = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(Some(Err(axum::Error::new(cut_off())))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

/// Messages up to this length are sent in one piece with their prefix, which costs a copy.
const JOINED: usize = 16 << 10;

/// Returns the pieces of a message with its prefix. Fails if it is longer than the format allows.
pub(super) fn pieces(message: Vec<u8>, compressed: bool) -> Result<Vec<Bytes>, InferError> {
    let length = u32::try_from(message.len())
        .map_err(|_| InferError::ResponseTooLarge { limit: u32::MAX.into() })?;

    let mut prefix = Vec::with_capacity(PREFIX + JOINED.min(message.len()));
    prefix.push(u8::from(compressed));
    prefix.extend(length.to_be_bytes());

    if message.len() > JOINED {
        return Ok(vec![prefix.into(), message.into()]);
    }

    prefix.extend_from_slice(&message);
    Ok(vec![prefix.into()])
}

/// Returns a message with its prefix in one piece. Fails like [`pieces`].
pub(super) fn whole(message: Vec<u8>, compressed: bool) -> Result<Bytes, InferError> {
    let mut pieces = pieces(message, compressed)?;
    match (pieces.len(), pieces.pop()) {
        (1, Some(only)) => Ok(only),
        (_, Some(last)) => Ok(join(pieces.pop().unwrap_or_default(), last)),
        (_, None) => Ok(Bytes::new()),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;
    use crate::api::http::body::next_chunk;

    fn chunked(bytes: &[u8], size: usize) -> MessageReader {
        let chunks: Vec<_> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
        let chunks = chunks.into_iter().map(Ok::<_, axum::Error>);
        MessageReader::new(Body::from_stream(stream::iter(chunks)))
    }

    async fn read_all(mut reader: MessageReader) -> Result<Vec<(Prefix, Vec<u8>)>, InferError> {
        let mut messages = Vec::new();
        while let Some(prefix) = reader.next().await? {
            while reader.arrived().len() < prefix.length as usize {
                reader.more().await?;
            }
            messages.push((prefix, reader.take(prefix.length as usize).to_vec()));
        }
        Ok(messages)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn messages_are_read_from_chunks_of_any_size(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5),
            size in 1..30usize,
        ) {
            let bytes: Vec<u8> = messages
                .iter()
                .flat_map(|message| whole(message.clone(), false).unwrap().to_vec())
                .collect();
            let read = block_on(read_all(chunked(&bytes, size))).unwrap();
            let read: Vec<_> = read.into_iter().map(|(_, message)| message).collect();
            prop_assert_eq!(read, messages);

            for end in 1..bytes.len() {
                // Cut off between two messages, the call is whole.
                let _ = block_on(read_all(chunked(&bytes[..end], size)));
            }
        }
    }

    #[tokio::test]
    async fn messages_that_are_cut_off_or_malformed_are_refused() {
        for wrong in [&[0][..], &[0, 0, 0, 0], &[0, 0, 0, 0, 2, 7], &[2, 0, 0, 0, 0]] {
            assert!(read_all(chunked(wrong, 8)).await.is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn the_body_of_a_message_ends_with_it() {
        let mut reader = chunked(&[0, 0, 0, 0, 3, 1, 2, 3, 4, 5], 4);
        let prefix = reader.next().await.unwrap().unwrap();
        let mut body = reader.into_message(prefix.length);
        assert_eq!(body.size_hint().exact(), Some(3));

        let mut read = Vec::new();
        while let Some(chunk) = next_chunk(&mut body).await.unwrap() {
            read.extend(chunk);
        }
        assert_eq!(read, [1, 2, 3]);

        let mut reader = chunked(&[0, 0, 0, 0, 3, 1, 2], 9);
        reader.next().await.unwrap().unwrap();
        let mut body = reader.into_message(3);
        assert!(next_chunk(&mut body).await.is_ok() && next_chunk(&mut body).await.is_err());
    }

    #[test]
    fn long_messages_are_not_copied_behind_their_prefix() {
        assert_eq!(
            pieces(vec![7; 3], false).unwrap(),
            [Bytes::from_static(&[0, 0, 0, 0, 3, 7, 7, 7])]
        );
        let long = pieces(vec![7; JOINED + 1], true).unwrap();
        assert_eq!((long.len(), &long[0][..]), (2, &[1, 0, 0, 0x40, 1][..]));
        assert_eq!(whole(vec![7; JOINED + 1], true).unwrap().len(), PREFIX + JOINED + 1);
    }
}
