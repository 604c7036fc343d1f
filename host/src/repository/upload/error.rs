//! Why an upload or a removal was refused.

use std::io;

use crate::model::{LoadError, QuotaExceeded};
use crate::repository::root::RootError;
use crate::repository::tree::plain;

/// Why an upload or a removal was refused. The texts name files relative to the repository only,
/// and are fit for whoever may manage it.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// What it names cannot be a model or a version.
    #[error("{0}")]
    BadName(String),
    /// There is no such version to remove.
    #[error("there is no such version in the repository")]
    NotThere,
    /// What is in its place is not for an upload to change.
    #[error("{0}")]
    Conflict(String),
    /// The repository is behind this URL and changes there.
    #[error(
        "the repository is {0}, which this server only reads; put the version there, then POST /v2/repository/refresh"
    )]
    Remote(String),
    /// It is larger than a component may be.
    #[error("the component is larger than the {limit} bytes that {allowed_by} allows")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
        /// What sets it.
        allowed_by: &'static str,
    },
    /// The tenant has no room for it.
    #[error(transparent)]
    QuotaExceeded(#[from] QuotaExceeded),
    /// It cannot serve.
    #[error(transparent)]
    Unfit(#[from] LoadError),
    /// The repository cannot be entered now.
    #[error("the repository is degraded: {0}")]
    Degraded(String),
    /// The file system of the repository does not take it.
    #[error("the repository cannot be written to: {}", plain(.0))]
    Unwritable(#[from] io::Error),
}

impl From<RootError> for UploadError {
    fn from(error: RootError) -> Self {
        match error {
            RootError::Unreadable(error) => error.into(),
            RootError::Refused(why) => UploadError::Degraded(why.reason),
        }
    }
}

impl From<rustix::io::Errno> for UploadError {
    fn from(error: rustix::io::Errno) -> Self {
        UploadError::Unwritable(error.into())
    }
}
