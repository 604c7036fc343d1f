//! `wasi:keyvalue/atomics`: changes that depend on the current value, each one store transaction.

use wasmtime::component::Resource as Handle;

use super::super::Ctx;
use super::bindings::wasi::keyvalue::atomics::{CasError, Error, Host, HostCas};
use super::opened::{Bucket, Cas};
use super::refusal::Refusal;
use super::single::wanted;
use crate::store::keys::{self, check_value};

impl Host for Ctx {
    async fn increment(
        &mut self,
        bucket: Handle<Bucket>,
        key: String,
        delta: i64,
    ) -> Result<i64, Error> {
        let (name, key) = (self.bucket(&bucket)?, wanted(key)?);
        let sum = self.write_values(move |connection| {
            keys::Bucket::new(connection, &name).increment(&key, delta)
        });
        Ok(sum.await?.map_err(Refusal::from)?)
    }

    async fn swap(&mut self, cas: Handle<Cas>, value: Vec<u8>) -> Result<(), CasError> {
        let Cas { bucket, key, seen, .. } = self.close(cas)?;
        check_value(&value).map_err(Refusal::from)?;

        let (name, of) = (bucket.clone(), key.clone());
        let swap = move |connection: &_| {
            keys::Bucket::new(connection, &name).swap(&of, seen.as_deref(), &value)
        };

        match self.write_values(swap).await? {
            Ok(()) => Ok(()),
            Err(now) => Err(CasError::CasFailed(self.keep_cas(bucket, key, now)?)),
        }
    }
}

impl HostCas for Ctx {
    async fn new(&mut self, bucket: Handle<Bucket>, key: String) -> Result<Handle<Cas>, Error> {
        let (name, key) = (self.bucket(&bucket)?, wanted(key)?);
        let (of, sought) = (name.clone(), key.clone());
        let seen = self
            .read_values(move |connection| keys::Bucket::new(connection, &of).get(&sought))
            .await?;
        Ok(self.keep_cas(name, key, seen)?)
    }

    async fn current(&mut self, cas: Handle<Cas>) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.cas(&cas)?.seen.clone())
    }

    async fn drop(&mut self, cas: Handle<Cas>) -> wasmtime::Result<()> {
        // The handle exists: the guest's own table has it.
        let _ = self.close(cas);
        Ok(())
    }
}

impl From<Refusal> for CasError {
    fn from(refusal: Refusal) -> CasError {
        CasError::StoreError(refusal.into())
    }
}
