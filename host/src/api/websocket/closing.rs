//! The reasons for which a connection is closed.

use crate::api::error::ApiError;
use crate::model::InferError;

/// The codes of close frames that the server sends (RFC 6455, section 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum CloseCode {
    /// The client has closed the connection.
    Normal = 1000,
    /// The server stops.
    GoingAway = 1001,
    /// The client has broken the protocol.
    Protocol = 1002,
    /// A text is not UTF-8.
    InvalidText = 1007,
    /// A rule of the server: the key is no longer valid, or the client takes too long.
    Policy = 1008,
    /// A message is too large.
    TooLarge = 1009,
    /// The server or the model has failed.
    Internal = 1011,
    /// The route is no longer there, or has another form.
    Restart = 1012,
    /// A quota is used up, or the model cannot answer now.
    TryLater = 1013,
}

/// The end of a connection.
#[derive(Debug)]
pub(in crate::api) enum Closing {
    /// The client is gone: nothing can be sent.
    Gone,
    /// A close frame is sent, after a message with the error if there is one.
    Code {
        /// The code.
        code: CloseCode,
        /// The reason for the client, at most 123 bytes.
        reason: &'static str,
        /// The error.
        error: Option<Box<ApiError>>,
    },
}

impl Closing {
    /// An end with a code and a reason.
    pub(in crate::api) fn new(code: CloseCode, reason: &'static str) -> Self {
        Closing::Code { code, reason, error: None }
    }

    /// An end because of an error of the server's interface.
    pub(in crate::api) fn with_error(
        code: CloseCode,
        reason: &'static str,
        error: impl Into<ApiError>,
    ) -> Self {
        Closing::Code { code, reason, error: Some(Box::new(error.into())) }
    }

    /// The client has broken the protocol.
    pub(super) fn violation(reason: &'static str) -> Self {
        Closing::new(CloseCode::Protocol, reason)
    }

    /// A message is longer than `limit` bytes.
    pub(super) fn too_large(limit: u64) -> Self {
        let error = InferError::RequestTooLarge { limit };
        Closing::with_error(CloseCode::TooLarge, "the message is too large", error)
    }
}
