//! Who asks, as far as what answers may know.

use std::sync::Arc;

use super::RequestId;

/// Who asks, as far as what answers may know.
#[derive(Clone, Debug, Default)]
pub struct Asker {
    /// Names the request in logs.
    pub request_id: RequestId,
    /// The id of the key that was shown, never the key itself; `None` where none is asked for.
    pub key: Option<Arc<str>>,
}
