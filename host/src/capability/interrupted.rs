//! How the host itself ends a call.

use std::fmt;

use crate::model::InferError;

/// Carries an [`InferError`] through the guest's stack when the host itself ends a call.
#[derive(Debug)]
pub struct Interrupted(pub InferError);

impl fmt::Display for Interrupted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl std::error::Error for Interrupted {}
