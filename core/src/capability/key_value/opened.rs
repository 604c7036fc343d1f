//! The handles of an instance, and its only way to the store.

use std::sync::Arc;

use wasmtime::component::{Resource as Handle, ResourceTable};

use super::super::{Ctx, Grants};
use super::KeyValueGrant;
use super::error::Refusal;
use super::limits::{MAX_HANDLES, MAX_OPERATIONS};
use crate::store::key_value::{BucketName, Key};
use crate::store::{InMemoryKeyValue, KeyValueStore, StoreError};
use crate::tenant::{QuotaGuard, Resource, Tenant};

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

/// The handles of an instance, created at first use.
pub(in crate::capability) struct OpenHandles {
    table: ResourceTable,
    /// The number of operations in the current call.
    operations: u32,
    /// The values of a call that validates a version.
    scratch: Option<Arc<InMemoryKeyValue>>,
}

/// An operation in progress.
pub(super) struct Operation {
    pub(super) store: Arc<dyn KeyValueStore>,
    tenant: Arc<Tenant>,
}

impl Operation {
    /// Maps the store's error for the model.
    pub(super) fn finish<T>(&self, outcome: Result<T, StoreError>) -> Result<T, Refusal> {
        outcome.map_err(|error| Refusal::from_store(error, &self.tenant))
    }
}

impl OpenHandles {
    fn new() -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        OpenHandles { table, operations: 0, scratch: None }
    }

    /// Starts another call. Handles stay open: they are only names.
    pub(in crate::capability) fn begin_call(&mut self) {
        self.operations = 0;
        self.scratch = None;
    }
}

impl Ctx {
    fn open_handles(&mut self) -> &mut OpenHandles {
        self.key_value.get_or_insert_with(|| Box::new(OpenHandles::new()))
    }

    fn grant(&self) -> Result<&Arc<KeyValueGrant>, Refusal> {
        // First, because a compile process is granted nothing.
        if self.loading {
            return Err(Refusal::Loading);
        }
        self.grants.key_value.as_ref().ok_or(Refusal::NotGranted)
    }

    /// Counts an operation and returns the store for it. Fails if the call has used up its
    /// operations.
    pub(super) fn begin_operation(&mut self) -> Result<Operation, Refusal> {
        let grant = self.grant()?.clone();
        let validating = self.scope.validating;
        let handles = self.open_handles();

        if handles.operations >= MAX_OPERATIONS {
            return Err(Refusal::TooManyOperations);
        }

        handles.operations += 1;
        grant.tenant.record_key_value_operation();

        let store = if validating {
            handles.scratch.get_or_insert_default().clone()
        } else {
            grant.store.clone()
        };

        Ok(Operation { store, tenant: grant.tenant.clone() })
    }

    /// Adds an entry to the handle table. Fails if the instance has too many handles.
    pub(super) fn open_handle<T: Send + 'static>(
        &mut self,
        entry: T,
    ) -> Result<Handle<T>, Refusal> {
        self.open_handles().table.push(entry).map_err(|_| Refusal::TooManyHandles)
    }

    /// The name of an open bucket.
    pub(super) fn bucket(&mut self, handle: &Handle<Bucket>) -> Result<BucketName, Refusal> {
        let bucket = self.open_handles().table.get(handle).map_err(|_| Refusal::NoHandle)?;
        Ok(bucket.name.clone())
    }

    /// The value that a guest has read.
    pub(super) fn cas(&mut self, handle: &Handle<Cas>) -> Result<&Cas, Refusal> {
        self.open_handles().table.get(handle).map_err(|_| Refusal::NoHandle)
    }

    /// Removes an entry from the handle table.
    pub(super) fn close_handle<T: Send + 'static>(
        &mut self,
        handle: Handle<T>,
    ) -> Result<T, Refusal> {
        self.open_handles().table.delete(handle).map_err(|_| Refusal::NoHandle)
    }

    /// Opens a compare-and-swap handle. Charges the value to the tenant.
    pub(super) fn open_cas(
        &mut self,
        bucket: BucketName,
        key: Key,
        seen: Option<Vec<u8>>,
    ) -> Result<Handle<Cas>, Refusal> {
        let size = seen.as_ref().map_or(0, Vec::len) as u64;
        let held = self.grant()?.tenant.take(Resource::Memory, size).map_err(Refusal::Quota)?;
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
