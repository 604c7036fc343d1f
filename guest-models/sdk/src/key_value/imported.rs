//! The store of the host.

use crate::Error;
use crate::bindings::model::wasi::keyvalue::{atomics, batch, store};

pub(super) type Bucket = store::Bucket;

type Outcome<T> = Result<T, String>;

pub(super) fn open(name: &str) -> Outcome<Bucket> {
    store::open(name).map_err(text)
}

pub(super) fn get(bucket: &Bucket, key: &str) -> Outcome<Option<Vec<u8>>> {
    bucket.get(key).map_err(text)
}

pub(super) fn set(bucket: &Bucket, key: &str, value: &[u8]) -> Outcome<()> {
    bucket.set(key, value).map_err(text)
}

pub(super) fn delete(bucket: &Bucket, key: &str) -> Outcome<()> {
    bucket.delete(key).map_err(text)
}

pub(super) fn exists(bucket: &Bucket, key: &str) -> Outcome<bool> {
    bucket.exists(key).map_err(text)
}

pub(super) fn list(
    bucket: &Bucket,
    cursor: Option<String>,
) -> Outcome<(Vec<String>, Option<String>)> {
    let page = bucket.list_keys(cursor.as_deref()).map_err(text)?;
    Ok((page.keys, page.cursor))
}

pub(super) fn increment(bucket: &Bucket, key: &str, delta: i64) -> Outcome<i64> {
    atomics::increment(bucket, key, delta).map_err(text)
}

pub(super) fn update(
    bucket: &Bucket,
    key: &str,
    mut change: impl FnMut(Option<Vec<u8>>) -> Result<Vec<u8>, Error>,
) -> Result<Outcome<Vec<u8>>, Error> {
    let mut cas = match atomics::Cas::new(bucket, key) {
        Ok(cas) => cas,
        Err(error) => return Ok(Err(text(error))),
    };
    loop {
        let now = match cas.current() {
            Ok(now) => now,
            Err(error) => return Ok(Err(text(error))),
        };
        let value = change(now)?;
        cas = match atomics::swap(cas, &value) {
            Ok(()) => return Ok(Ok(value)),
            Err(atomics::CasError::CasFailed(newer)) => newer,
            Err(atomics::CasError::StoreError(error)) => return Ok(Err(text(error))),
        };
    }
}

pub(super) fn get_many(bucket: &Bucket, keys: &[&str]) -> Outcome<Vec<Option<Vec<u8>>>> {
    let pairs = batch::get_many(bucket, &owned(keys)).map_err(text)?;
    Ok(pairs.into_iter().map(|pair| pair.map(|(_, value)| value)).collect())
}

pub(super) fn set_many(bucket: &Bucket, pairs: &[(&str, &[u8])]) -> Outcome<()> {
    let pairs: Vec<_> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
    batch::set_many(bucket, &pairs).map_err(text)
}

pub(super) fn delete_many(bucket: &Bucket, keys: &[&str]) -> Outcome<()> {
    batch::delete_many(bucket, &owned(keys)).map_err(text)
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn text(error: store::Error) -> String {
    match error {
        store::Error::NoSuchStore => {
            "a bucket is named by 1 to 64 of the characters A-Z, a-z, 0-9, '.', '_' and '-'"
                .to_owned()
        }
        store::Error::AccessDenied => {
            "it is not granted; the model.toml needs [capabilities] key_value = true".to_owned()
        }
        store::Error::Other(text) => text,
    }
}
