//! Sessions as they are stored.
//!
//! Times are milliseconds since 1970, so they stay valid across restarts.

use crate::model::{ModelName, Version};

/// State of a stored session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredSession {
    /// State as written by the model; `None` if it has stored none.
    pub state: Option<Vec<u8>>,
    /// Version number that wrote the state.
    pub version: u64,
}

/// Change of a session after a call.
#[derive(Clone, Debug)]
pub struct SessionUpdate {
    /// Model that owns the session.
    pub model: ModelName,
    /// Session id chosen by the caller.
    pub id: String,
    /// Version that was called.
    pub version: Version,
    /// New state; `None` if it is unchanged.
    pub state: Option<Option<Vec<u8>>>,
    /// True for the first request of a session.
    pub starts: bool,
    /// True if the session ends after its deferred tasks.
    pub ending: bool,
    /// Time until the session expires if it is not used, in milliseconds.
    pub idle_timeout_ms: i64,
}

/// One entry of a session list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Session id chosen by the caller.
    pub id: String,
    /// Size of the state, in bytes.
    pub size: u64,
    /// Version number that wrote the state.
    pub version: u64,
    /// Time of creation.
    pub began: i64,
    /// Time of the last use.
    pub used: i64,
    /// Time of expiry.
    pub expires: i64,
}
