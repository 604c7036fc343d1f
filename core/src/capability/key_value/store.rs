//! `wasi:keyvalue/store`: operations on one value.

use wasmtime::component::Resource as Handle;

use super::super::Ctx;
use super::bindings::wasi::keyvalue::store::{Error, Host, HostBucket, KeyResponse};
use super::error::Refusal;
use super::handles::Bucket;
use crate::store::key_value::{Key, check_value};

/// The most keys of one page.
const PAGE: usize = 1000;

impl Host for Ctx {
    async fn open(&mut self, identifier: String) -> Result<Handle<Bucket>, Error> {
        Ok(self.open_bucket(&identifier)?)
    }
}

impl HostBucket for Ctx {
    async fn get(&mut self, bucket: Handle<Bucket>, key: String) -> Result<Option<Vec<u8>>, Error> {
        let (name, key) = (self.bucket(&bucket)?, parse_key(key)?);
        let operation = self.begin_operation()?;

        Ok(operation.map_error(operation.store.get(name, key).await)?)
    }

    async fn set(
        &mut self,
        bucket: Handle<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<(), Error> {
        let (name, key) = (self.bucket(&bucket)?, parse_key(key)?);
        check_value(&value).map_err(Refusal::from)?;
        let operation = self.begin_operation()?;

        Ok(operation.map_error(operation.store.set(name, key, value).await)?)
    }

    async fn delete(&mut self, bucket: Handle<Bucket>, key: String) -> Result<(), Error> {
        let (name, key) = (self.bucket(&bucket)?, parse_key(key)?);
        let operation = self.begin_operation()?;
        operation.map_error(operation.store.delete(name, key).await)?;

        Ok(())
    }

    async fn exists(&mut self, bucket: Handle<Bucket>, key: String) -> Result<bool, Error> {
        let (name, key) = (self.bucket(&bucket)?, parse_key(key)?);
        let operation = self.begin_operation()?;

        Ok(operation.map_error(operation.store.exists(name, key).await)?)
    }

    /// A cursor is the last key of the previous page, so that a page does not depend on changes
    /// elsewhere.
    async fn list_keys(
        &mut self,
        bucket: Handle<Bucket>,
        cursor: Option<String>,
    ) -> Result<KeyResponse, Error> {
        let name = self.bucket(&bucket)?;
        let after = cursor.map(parse_key).transpose()?.map(Key::into_string).unwrap_or_default();
        let operation = self.begin_operation()?;
        let keys = operation.map_error(operation.store.list_keys(name, after, PAGE).await)?;
        let cursor = if keys.len() == PAGE { keys.last().cloned() } else { None };
        Ok(KeyResponse { keys, cursor })
    }

    async fn drop(&mut self, bucket: Handle<Bucket>) -> wasmtime::Result<()> {
        // The handle exists: the guest's own table has it.
        let _ = self.close_handle(bucket);
        Ok(())
    }
}

/// Validates a key given by a guest.
pub(super) fn parse_key(key: String) -> Result<Key, Refusal> {
    Ok(Key::new(key)?)
}
