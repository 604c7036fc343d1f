//! Request ids, used in responses and logs.

use std::fmt;

use bytes::Bytes;

/// A request id: printable ASCII, or empty for work without a request. A clone is shallow.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct RequestId(Bytes);

impl RequestId {
    /// Creates an id; `None` unless the bytes are printable ASCII.
    pub fn new(id: Bytes) -> Option<Self> {
        id.iter().all(|byte| (b' '..=b'~').contains(byte)).then_some(RequestId(id))
    }

    /// Returns the empty id, for work without a request.
    pub fn none() -> Self {
        RequestId::default()
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns the id as bytes, for a header.
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}
