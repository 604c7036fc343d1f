//! Errors of uploads and removals.

use std::io;

use crate::model::{LoadError, QuotaExceeded, Stage};
use crate::repository::IncompleteComponent;
use crate::repository::confined_dir::error_text;
use crate::repository::root::RootError;

/// The reason why an upload or a removal was refused. The texts name files relative to the
/// repository only, and may be shown to any client with access to it.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The model name or version is invalid.
    #[error("{0}")]
    InvalidName(String),
    /// There is no such version to remove.
    #[error("there is no such version in the repository")]
    NotFound,
    /// The target is held by a file that an upload must not change.
    #[error("{0}")]
    Conflict(String),
    /// The repository is remote, with this URL, and read-only here.
    #[error(
        "the repository is {0}, which this server only reads; put the version there, then POST /v2/repository/refresh"
    )]
    Remote(String),
    /// The component is too large.
    #[error("the component is larger than the {limit} bytes that {allowed_by} allows")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// The setting that limits it.
        allowed_by: &'static str,
    },
    /// A file of an archive, or all of them together, are too large.
    #[error("{what} is larger than the {limit} bytes that {allowed_by} allows")]
    FileTooLarge {
        /// The name of the file, or what is too large.
        what: String,
        /// The limit in bytes.
        limit: u64,
        /// The setting that limits it.
        allowed_by: &'static str,
    },
    /// The tenant's quota is exhausted.
    #[error(transparent)]
    QuotaExceeded(#[from] QuotaExceeded),
    /// The version failed to load or validate.
    #[error(transparent)]
    Invalid(#[from] LoadError),
    /// The repository cannot be opened now.
    #[error("the repository is degraded: {0}")]
    Degraded(String),
    /// A file system error.
    #[error("the repository cannot be written to: {}", error_text(.0))]
    Io(#[from] io::Error),
}

impl From<RootError> for UploadError {
    fn from(error: RootError) -> Self {
        match error {
            RootError::Unreadable(error) => {
                UploadError::Degraded(format!("it cannot be read: {}", error_text(&error)))
            }
            RootError::Refused(why) => UploadError::Degraded(why.reason),
        }
    }
}

impl From<IncompleteComponent> for UploadError {
    fn from(why: IncompleteComponent) -> Self {
        match why {
            IncompleteComponent::Unreadable(error) => error.into(),
            why => LoadError::new(Stage::Validate, why.to_string()).into(),
        }
    }
}

impl From<rustix::io::Errno> for UploadError {
    fn from(error: rustix::io::Errno) -> Self {
        UploadError::Io(error.into())
    }
}
