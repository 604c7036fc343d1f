//! The failure to start a directory source.

/// The reason why a directory source cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Events were requested but are not available.
    #[error("cannot watch for file events: {0}; use `watch = \"poll\"`")]
    Events(String),
    /// The thread cannot be started.
    #[error("cannot start the thread that watches the repository: {0}")]
    Thread(std::io::Error),
}
