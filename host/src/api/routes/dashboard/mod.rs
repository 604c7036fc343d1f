//! The dashboard: a page that shows and tries the models of a tenant.
//!
//! The page and its files are part of the program, and contain no data. They get it from the API
//! with the key that the visitor enters, so the page shows what the key may see. `GET
//! /v2/dashboard` is the state of the tenant's models, once or as a stream of events, and `GET
//! /v2/models/{m}/history` the last hour of one model with its plots.

mod assets;
mod history;
mod live;
mod plots;
mod routes;
mod state;
mod stream_limit;

use std::sync::Arc;

pub(super) use assets::page_response;
pub(super) use routes::endpoints;

use stream_limit::StreamLimit;

/// The dashboard of a server. A clone is shallow.
#[derive(Clone)]
pub struct Dashboard {
    enabled: bool,
    streams: Arc<StreamLimit>,
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
