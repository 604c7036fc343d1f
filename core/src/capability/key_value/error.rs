//! Failures of key-value operations, as errors of the interface.

use super::bindings::wasi::keyvalue::store::Error;
use super::limits::{MAX_HANDLES, MAX_OPERATIONS};
use crate::model::{QuotaExceeded, format_size};
use crate::store::StoreError;
use crate::store::key_value::{IncrementError, KeyError};
use crate::tenant::{Tenant, UNLIMITED};

/// The reason why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "key-value cannot be used while a model loads: its memory is kept for every instance; open buckets in infer"
    )]
    Loading,
    #[error("the model's [capabilities] key_value is not granted")]
    NotGranted,
    #[error("a call may make {MAX_OPERATIONS} operations")]
    TooManyOperations,
    #[error(
        "an instance may have {MAX_HANDLES} buckets and compare-and-swap handles open; drop some"
    )]
    TooManyHandles,
    #[error("there may be {most} keys in one operation; these are {given}")]
    TooManyKeys { given: usize, most: usize },
    #[error("these values have more than {most} bytes together; take fewer at once")]
    TooMuch { most: usize },
    #[error("no such handle")]
    NoHandle,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Count(#[from] IncrementError),
    #[error("{0}")]
    Quota(QuotaExceeded),
    #[error(
        "this tenant's quota data ({0}) is used up; delete something, or ask the operator for more"
    )]
    Data(String),
    #[error("the disk is full")]
    DiskFull,
    #[error(transparent)]
    Store(StoreError),
    /// The reason is written to the host's log.
    #[error("the store cannot be used now")]
    Unavailable,
}

impl Refusal {
    /// Maps a store error for a model of that tenant.
    pub(super) fn from_store(error: StoreError, tenant: &Tenant) -> Refusal {
        let limit = tenant.settings().quota.data;
        match error {
            StoreError::DiskFull => Refusal::DiskFull,
            StoreError::Full if limit == UNLIMITED => Refusal::DiskFull,
            StoreError::Full => Refusal::Data(format_size(limit)),
            StoreError::Unavailable(reason) => {
                tracing::error!(tenant = %tenant.name(), reason, "a tenant's store cannot be used");
                Refusal::Unavailable
            }
            busy => Refusal::Store(busy),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            Refusal::Key(KeyError::Bucket) => Error::NoSuchStore,
            Refusal::NotGranted => Error::AccessDenied,
            other => Error::Other(other.to_string()),
        }
    }
}
