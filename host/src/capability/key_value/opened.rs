//! The handles of an instance, and its only way to the store.

use std::sync::Arc;

use wasmtime::component::{Resource as Handle, ResourceTable};

use super::super::{Ctx, Grants};
use super::refusal::Refusal;
use super::{Job, KeyValue};
use crate::store::keys::{BucketName, Key};
use crate::store::{Scratch, StoreError};
use crate::tenant::{Held, Resource};

/// The most handles of an instance; a model needs a few.
pub(super) const MAX_HANDLES: usize = 100;

/// The most operations of one call, however fast they are. Its deadline limits slow ones.
pub(super) const MAX_OPERATIONS: u32 = 10_000;

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
    pub(super) _held: Held,
}

/// The handles of an instance, created at first use.
pub(in crate::capability) struct Opened {
    table: ResourceTable,
    /// The number of operations in the current call.
    operations: u32,
    /// The values of a call that validates a version.
    scratch: Option<Scratch>,
}

impl Opened {
    fn new() -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Opened { table, operations: 0, scratch: None }
    }

    /// Starts another call. Handles stay open: they are only names.
    pub(in crate::capability) fn begin_call(&mut self) {
        (self.operations, self.scratch) = (0, None);
    }
}

impl Ctx {
    fn opened(&mut self) -> &mut Opened {
        self.key_value.get_or_insert_with(|| Box::new(Opened::new()))
    }

    fn granted(&self) -> Result<&Arc<KeyValue>, Refusal> {
        // First, because a compile process is granted nothing.
        if self.loading {
            return Err(Refusal::Loading);
        }
        self.grants.key_value.as_ref().ok_or(Refusal::NotGranted)
    }

    /// Counts an operation. Fails if the call has used up its operations.
    pub(super) fn begin_operation(&mut self) -> Result<Arc<KeyValue>, Refusal> {
        let granted = self.granted()?.clone();
        let operations = &mut self.opened().operations;

        if *operations >= MAX_OPERATIONS {
            return Err(Refusal::TooManyOperations);
        }

        *operations += 1;
        granted.tenant.note_key_value_operation();

        Ok(granted)
    }

    /// Runs a job that only reads.
    pub(super) async fn read_values<T: Send + 'static>(
        &mut self,
        job: impl Job<T>,
    ) -> Result<T, Refusal> {
        let granted = self.begin_operation()?;
        let outcome =
            if self.scope.proving { self.in_scratch(job) } else { granted.read(job).await };
        outcome.map_err(|error| Refusal::of_store(error, &granted.tenant))
    }

    /// Runs a job that writes.
    pub(super) async fn write_values<T: Send + 'static>(
        &mut self,
        job: impl Job<T>,
    ) -> Result<T, Refusal> {
        let granted = self.begin_operation()?;
        let outcome =
            if self.scope.proving { self.in_scratch(job) } else { granted.write(job).await };
        outcome.map_err(|error| Refusal::of_store(error, &granted.tenant))
    }

    fn in_scratch<T>(&mut self, job: impl Job<T>) -> Result<T, StoreError> {
        let scratch = &mut self.opened().scratch;
        let scratch = match scratch {
            Some(scratch) => scratch,
            none => none.insert(Scratch::new()?),
        };
        scratch.run(job)
    }

    /// Adds an entry to the handle table. Fails if the instance has too many handles.
    pub(super) fn keep<T: Send + 'static>(&mut self, entry: T) -> Result<Handle<T>, Refusal> {
        self.opened().table.push(entry).map_err(|_| Refusal::TooManyHandles)
    }

    /// The name of an open bucket.
    pub(super) fn bucket(&mut self, handle: &Handle<Bucket>) -> Result<BucketName, Refusal> {
        let bucket = self.opened().table.get(handle).map_err(|_| Refusal::NoHandle)?;
        Ok(bucket.name.clone())
    }

    /// The value that a guest has read.
    pub(super) fn cas(&mut self, handle: &Handle<Cas>) -> Result<&Cas, Refusal> {
        self.opened().table.get(handle).map_err(|_| Refusal::NoHandle)
    }

    /// Removes an entry from the handle table.
    pub(super) fn close<T: Send + 'static>(&mut self, handle: Handle<T>) -> Result<T, Refusal> {
        self.opened().table.delete(handle).map_err(|_| Refusal::NoHandle)
    }

    /// Opens a compare-and-swap handle. Charges the value to the tenant.
    pub(super) fn keep_cas(
        &mut self,
        bucket: BucketName,
        key: Key,
        seen: Option<Vec<u8>>,
    ) -> Result<Handle<Cas>, Refusal> {
        let size = seen.as_ref().map_or(0, Vec::len) as u64;
        let held = self.granted()?.tenant.take(Resource::Memory, size).map_err(Refusal::Quota)?;
        self.keep(Cas { bucket, key, seen, _held: held })
    }

    /// Opens a bucket. Fails if its name is invalid.
    pub(super) fn open_bucket(&mut self, name: &str) -> Result<Handle<Bucket>, Refusal> {
        self.begin_operation()?;
        let name = BucketName::parse(name)
            .inspect_err(|error| self.warn(&format!("bucket '{name}': {error}")))?;
        self.keep(Bucket { name })
    }

    /// Writes a warning to the model's log, where the interface has no error for it.
    fn warn(&self, text: &str) {
        let Ctx { grants, call_log, .. } = self;
        let grants: &Grants = grants;

        super::super::logging::write(
            grants,
            call_log,
            super::super::Level::Warn,
            "key-value",
            text,
        );
    }
}
