//! `wasi:keyvalue/atomics`: changes that depend on the current value, each one store transaction.

use wasmtime::component::Resource as Handle;

use super::super::Ctx;
use super::bindings::wasi::keyvalue::atomics::{CasError, Error, Host, HostCas};
use super::error::Refusal;
use super::handles::{Bucket, Cas};
use super::store::parse_key;
use crate::store::key_value::check_value;

impl Host for Ctx {
    async fn increment(
        &mut self,
        bucket: Handle<Bucket>,
        key: String,
        delta: i64,
    ) -> Result<i64, Error> {
        let (name, key) = (self.bucket(&bucket)?, parse_key(key)?);
        let operation = self.begin_operation()?;
        let sum = operation.map_error(operation.store.increment(name, key, delta).await)?;

        Ok(sum.map_err(Refusal::from)?)
    }

    async fn swap(&mut self, cas: Handle<Cas>, value: Vec<u8>) -> Result<(), CasError> {
        let Cas { bucket, key, seen, .. } = self.close_handle(cas)?;
        check_value(&value).map_err(Refusal::from)?;

        let operation = self.begin_operation()?;
        let swapped =
            operation.store.compare_and_swap(bucket.clone(), key.clone(), seen, value).await;

        match operation.map_error(swapped)? {
            Ok(()) => Ok(()),
            Err(current) => Err(CasError::CasFailed(self.open_cas(bucket, key, current)?)),
        }
    }
}

impl HostCas for Ctx {
    async fn new(&mut self, bucket: Handle<Bucket>, key: String) -> Result<Handle<Cas>, Error> {
        let (name, key) = (self.bucket(&bucket)?, parse_key(key)?);
        let operation = self.begin_operation()?;
        let seen = operation.map_error(operation.store.get(name.clone(), key.clone()).await)?;

        Ok(self.open_cas(name, key, seen)?)
    }

    async fn current(&mut self, cas: Handle<Cas>) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.cas(&cas)?.seen.clone())
    }

    async fn drop(&mut self, cas: Handle<Cas>) -> wasmtime::Result<()> {
        // The handle exists: the guest's own table has it.
        let _ = self.close_handle(cas);
        Ok(())
    }
}

impl From<Refusal> for CasError {
    fn from(refusal: Refusal) -> CasError {
        CasError::StoreError(refusal.into())
    }
}
