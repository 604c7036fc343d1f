//! The caller details that models and interceptors may see.

use std::sync::Arc;

use super::RequestId;

/// The caller details that models and interceptors may see: the request and the id of the API key,
/// never the key itself.
#[derive(Clone, Debug, Default)]
pub struct CallerInfo {
    /// Id of the request, used in logs.
    pub request_id: RequestId,
    /// Id of the API key; `None` if the server has no keys.
    pub key: Option<Arc<str>>,
}
