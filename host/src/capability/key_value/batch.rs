//! `wasi:keyvalue/batch`: several keys in one store transaction, so that a change is visible as a
//! whole or not at all.

use wasmtime::component::Resource as Handle;

use super::super::Ctx;
use super::bindings::wasi::keyvalue::batch::{Error, Host};
use super::error::Refusal;
use super::opened::Bucket;
use super::store::parse_key;
use crate::store::key_value::{self, Key, MAX_VALUE_SIZE, check_value};

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
        let read = move |connection: &_| {
            let values = key_value::Bucket::new(connection, &name).get_many(&keys, MAX_BYTES)?;
            Ok(values.map(|values| pair_values(keys, values)))
        };
        Ok(self.run_read(read).await?.ok_or(Refusal::TooMuch { most: MAX_BYTES })?)
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

        let write = move |connection: &_| {
            let bucket = key_value::Bucket::new(connection, &name);
            keys.iter().zip(&values).try_for_each(|(key, value)| bucket.set(key, value))
        };
        Ok(self.run_write(write).await?)
    }

    async fn delete_many(
        &mut self,
        bucket: Handle<Bucket>,
        keys: Vec<String>,
    ) -> Result<(), Error> {
        let (name, keys) = (self.bucket(&bucket)?, parse_keys(keys)?);
        let delete = move |connection: &_| {
            let bucket = key_value::Bucket::new(connection, &name);
            keys.iter().try_for_each(|key| bucket.delete(key).map(drop))
        };
        Ok(self.run_write(delete).await?)
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
