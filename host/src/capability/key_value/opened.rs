//! What an instance has open, and its one way to the store.

use std::sync::Arc;

use wasmtime::component::{Resource as Handle, ResourceTable};

use super::super::{Ctx, Grants};
use super::refusal::Refusal;
use super::{Job, KeyValue};
use crate::store::keys::{BucketName, Key};
use crate::store::{Scratch, StoreError};
use crate::tenant::{Held, Resource};

/// Handles that an instance may hold; a model needs a few.
pub(super) const MAX_HANDLES: usize = 100;

/// Operations of one call, however fast they are: its deadline bounds those that are slow.
pub(super) const MAX_OPERATIONS: u32 = 10_000;

/// A bucket that a guest has opened.
#[allow(unreachable_pub)] // The generated code passes it on.
pub struct Bucket {
    pub(super) name: BucketName,
}

/// A value as it was when a guest looked, to be replaced if it still is.
#[allow(unreachable_pub)] // As above.
pub struct Cas {
    pub(super) bucket: BucketName,
    pub(super) key: Key,
    pub(super) seen: Option<Vec<u8>>,
    /// Counts what was seen as memory of the tenant's.
    pub(super) _held: Held,
}

/// What an instance has open, made when first used.
pub(in crate::capability) struct Opened {
    table: ResourceTable,
    /// Made in the present call.
    operations: u32,
    /// The values of a call of which nothing may remain.
    scratch: Option<Scratch>,
}

impl Opened {
    fn new() -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Opened { table, operations: 0, scratch: None }
    }

    /// Starts another call. What an instance has opened stays open: it is only names.
    pub(in crate::capability) fn begin_call(&mut self) {
        (self.operations, self.scratch) = (0, None);
    }
}

impl Ctx {
    fn opened(&mut self) -> &mut Opened {
        self.key_value.get_or_insert_with(|| Box::new(Opened::new()))
    }

    fn granted(&self) -> Result<&Arc<KeyValue>, Refusal> {
        // First, because a compile child is granted nothing.
        if self.loading {
            return Err(Refusal::Loading);
        }
        self.grants.key_value.as_ref().ok_or(Refusal::NotGranted)
    }

    /// Counts an operation. Fails if the call may make no more.
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

    /// Has a job done that changes nothing.
    pub(super) async fn read_values<T: Send + 'static>(
        &mut self,
        job: impl Job<T>,
    ) -> Result<T, Refusal> {
        let granted = self.begin_operation()?;
        let outcome =
            if self.scope.proving { self.in_scratch(job) } else { granted.read(job).await };
        outcome.map_err(|error| Refusal::of_store(error, &granted.tenant))
    }

    /// Has a job done that changes something.
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

    /// Opens something.
    pub(super) fn keep<T: Send + 'static>(&mut self, entry: T) -> Result<Handle<T>, Refusal> {
        self.opened().table.push(entry).map_err(|_| Refusal::TooManyHandles)
    }

    /// The name of a bucket that is open.
    pub(super) fn bucket(&mut self, handle: &Handle<Bucket>) -> Result<BucketName, Refusal> {
        let bucket = self.opened().table.get(handle).map_err(|_| Refusal::NoHandle)?;
        Ok(bucket.name.clone())
    }

    /// What a guest has looked at.
    pub(super) fn cas(&mut self, handle: &Handle<Cas>) -> Result<&Cas, Refusal> {
        self.opened().table.get(handle).map_err(|_| Refusal::NoHandle)
    }

    /// Closes something.
    pub(super) fn close<T: Send + 'static>(&mut self, handle: Handle<T>) -> Result<T, Refusal> {
        self.opened().table.delete(handle).map_err(|_| Refusal::NoHandle)
    }

    /// Opens a look at a value.
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

    /// Opens a bucket.
    pub(super) fn open_bucket(&mut self, name: &str) -> Result<Handle<Bucket>, Refusal> {
        self.begin_operation()?;
        let name = BucketName::parse(name)
            .inspect_err(|error| self.warn(&format!("bucket '{name}': {error}")))?;
        self.keep(Bucket { name })
    }

    /// Tells in the model's log what the interface has no words for.
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
