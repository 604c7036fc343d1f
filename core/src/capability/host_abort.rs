//! Ending a call from the host.

use std::fmt;

use crate::model::InferError;

/// The error by which the host ends a call. It carries an [`InferError`] through the guest's stack.
#[derive(Debug)]
pub struct HostAbort(pub InferError);

impl fmt::Display for HostAbort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl std::error::Error for HostAbort {}
