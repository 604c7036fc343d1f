//! `wasi:keyvalue/batch`: several keys in one store transaction, so that a change is visible as a
//! whole or not at all.

use wasmtime::component::Resource as Handle;

use super::super::Ctx;
use super::bindings::wasi::keyvalue::batch::{Error, Host};
use super::error::Refusal;
use super::handles::Bucket;
use super::store::parse_key;
use crate::store::key_value::{Key, MAX_VALUE_SIZE, check_value};

/// The most keys of one operation.
const MAX_KEYS: usize = 1000;

/// Bytes of the values that one operation reads or writes, which the host holds in memory.
const MAX_BYTES: usize = 4 * MAX_VALUE_SIZE;

impl Host for Ctx {
    async fn get_many(
        &mut self,
        bucket: Handle<Bucket>,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, Error> {
        let (name, keys) = (self.bucket(&bucket)?, parse_keys(keys)?);
        let operation = self.begin_operation()?;
        let values = operation.store.get_many(name, keys.clone(), MAX_BYTES).await;
        let values = operation.map_error(values)?.ok_or(Refusal::TooMuch { most: MAX_BYTES })?;

        Ok(pair_values(keys, values))
    }

    async fn set_many(
        &mut self,
        bucket: Handle<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Error> {
        let name = self.bucket(&bucket)?;
        let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let keys = parse_keys(keys)?;
        check_values(&values)?;

        let operation = self.begin_operation()?;
        let pairs = keys.into_iter().zip(values).collect();

        Ok(operation.map_error(operation.store.set_many(name, pairs).await)?)
    }

    async fn delete_many(
        &mut self,
        bucket: Handle<Bucket>,
        keys: Vec<String>,
    ) -> Result<(), Error> {
        let (name, keys) = (self.bucket(&bucket)?, parse_keys(keys)?);
        let operation = self.begin_operation()?;

        Ok(operation.map_error(operation.store.delete_many(name, keys).await)?)
    }
}

fn parse_keys(keys: Vec<String>) -> Result<Vec<Key>, Refusal> {
    if keys.len() > MAX_KEYS {
        return Err(Refusal::TooManyKeys { given: keys.len(), most: MAX_KEYS });
    }
    keys.into_iter().map(parse_key).collect()
}

fn check_values(values: &[Vec<u8>]) -> Result<(), Refusal> {
    values.iter().try_for_each(|value| check_value(value))?;
    let bytes: usize = values.iter().map(Vec::len).sum();
    if bytes <= MAX_BYTES { Ok(()) } else { Err(Refusal::TooMuch { most: MAX_BYTES }) }
}

fn pair_values(keys: Vec<Key>, values: Vec<Option<Vec<u8>>>) -> Vec<Option<(String, Vec<u8>)>> {
    let pairs = keys.into_iter().zip(values);
    pairs.map(|(key, value)| value.map(|value| (key.into_string(), value))).collect()
}
