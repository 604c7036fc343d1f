//! The dashboard as a part of a server: if there is one, and its open event streams. Its routes are
//! in [`super::routes::dashboard`].

mod stream_limit;

use std::sync::Arc;

use stream_limit::StreamLimit;
pub(super) use stream_limit::StreamPermit;

/// The dashboard of a server. A clone is shallow.
#[derive(Clone)]
pub struct Dashboard {
    enabled: bool,
    pub(super) streams: Arc<StreamLimit>,
}

impl Dashboard {
    /// Returns the dashboard. Its routes do not exist unless it is enabled.
    pub fn new(enabled: bool) -> Self {
        Dashboard { enabled, streams: Arc::default() }
    }

    /// True if the server has it.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }
}
