//! Messages.

use bytes::Bytes;

use crate::api::http::request_memory::RequestMemory;

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum MessageKind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A message of a client.
pub(in crate::api) struct Message {
    /// The kind.
    pub(in crate::api) kind: MessageKind,
    /// The content.
    pub(in crate::api) bytes: Bytes,
    /// The memory of the content.
    pub(in crate::api) memory: RequestMemory,
}
