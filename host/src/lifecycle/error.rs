//! Errors of the manager's commands.

use std::time::Duration;

use crate::model::LoadError;

/// Longest wait for a refresh. Fetching a large model takes minutes; the refresh continues after
/// the caller has stopped waiting.
pub(super) const REFRESH_TIMEOUT: Duration = Duration::from_secs(60);

/// The reason for which a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The repository holds no such model.
    #[error("there is no such model in the repository")]
    NotFound,
    /// The content of the repository cannot serve.
    #[error("{0}")]
    Failed(LoadError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// The reason for which a repository was not refreshed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The refresh failed in whole or in part.
    #[error("{0}")]
    Degraded(String),
    /// The refresh is still running.
    #[error("the refresh takes longer than {} s and continues", REFRESH_TIMEOUT.as_secs())]
    TimedOut,
    /// The refresh cannot run now.
    #[error(transparent)]
    Command(#[from] CommandError),
}
