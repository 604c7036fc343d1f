//! The name of a request, in its response and in every log line about it.

use std::fmt;

use bytes::Bytes;

/// The name of a request: printable ASCII, or empty where there is no request. A clone is shallow.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct RequestId(Bytes);

impl RequestId {
    /// An id of these bytes; `None` unless they are printable ASCII.
    pub fn new(id: Bytes) -> Option<Self> {
        id.iter().all(|byte| (b' '..=b'~').contains(byte)).then_some(RequestId(id))
    }

    /// The id of work that no request asked for.
    pub fn none() -> Self {
        RequestId::default()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The id as it goes into a header.
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
