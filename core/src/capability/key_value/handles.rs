//! The handles of an instance: open buckets, and values to compare and swap.

use wasmtime::component::Resource as Handle;

use super::super::{Ctx, Grants};
use super::error::Refusal;
use crate::store::key_value::{BucketName, Key};
use crate::tenant::{QuotaGuard, Resource};

/// An open bucket.
#[allow(unreachable_pub)] // The generated code passes it on.
pub struct Bucket {
    pub(super) name: BucketName,
}

/// A value as read by a guest, to be replaced if it is still unchanged.
#[allow(unreachable_pub)] // As above.
pub struct Cas {
    pub(super) bucket: BucketName,
    pub(super) key: Key,
    pub(super) seen: Option<Vec<u8>>,
    /// Charges the value to the tenant's memory quota.
    pub(super) _held: QuotaGuard,
}

impl Ctx {
    /// Adds an entry to the handle table. Fails if the instance has too many handles.
    pub(super) fn open_handle<T: Send + 'static>(
        &mut self,
        entry: T,
    ) -> Result<Handle<T>, Refusal> {
        self.key_value_state().table.push(entry).map_err(|_| Refusal::TooManyHandles)
    }

    /// Returns the name of an open bucket.
    pub(super) fn bucket(&mut self, handle: &Handle<Bucket>) -> Result<BucketName, Refusal> {
        let bucket = self.key_value_state().table.get(handle).map_err(|_| Refusal::NoHandle)?;
        Ok(bucket.name.clone())
    }

    /// Returns the value of a compare-and-swap handle.
    pub(super) fn cas(&mut self, handle: &Handle<Cas>) -> Result<&Cas, Refusal> {
        self.key_value_state().table.get(handle).map_err(|_| Refusal::NoHandle)
    }

    /// Removes an entry from the handle table.
    pub(super) fn close_handle<T: Send + 'static>(
        &mut self,
        handle: Handle<T>,
    ) -> Result<T, Refusal> {
        self.key_value_state().table.delete(handle).map_err(|_| Refusal::NoHandle)
    }

    /// Opens a compare-and-swap handle. Charges the value to the tenant.
    pub(super) fn open_cas(
        &mut self,
        bucket: BucketName,
        key: Key,
        seen: Option<Vec<u8>>,
    ) -> Result<Handle<Cas>, Refusal> {
        let size = seen.as_ref().map_or(0, Vec::len) as u64;
        let held =
            self.key_value_grant()?.tenant.take(Resource::Memory, size).map_err(Refusal::Quota)?;
        self.open_handle(Cas { bucket, key, seen, _held: held })
    }

    /// Opens a bucket. Fails if its name is invalid.
    pub(super) fn open_bucket(&mut self, name: &str) -> Result<Handle<Bucket>, Refusal> {
        self.begin_operation()?;
        let name = BucketName::parse(name)
            .inspect_err(|error| self.log_warning(&format!("bucket '{name}': {error}")))?;
        self.open_handle(Bucket { name })
    }

    /// Writes a warning to the model's log, where the interface has no error for it.
    fn log_warning(&self, text: &str) {
        let Ctx { grants, call_log, .. } = self;
        let grants: &Grants = grants;

        super::super::logging::write_line(
            grants,
            call_log,
            super::super::Level::Warn,
            "key-value",
            text,
        );
    }
}
