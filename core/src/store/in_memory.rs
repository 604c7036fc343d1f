//! Key-value pairs in memory, for calls that must leave nothing behind.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use super::key_value::{BucketName, IncrementError, Key, add};
use super::{KeyValueStore, StoreError};
use crate::mutex::lock;

/// Limit of a store, in bytes: as much as a warm-up or golden request needs.
const MAX_SIZE: usize = 16 << 20;

/// Bytes counted for a pair beside its names and its value.
const PAIR_SIZE: usize = 64;

/// Key-value pairs in memory. They are dropped with the store.
pub struct InMemoryKeyValue {
    pairs: Mutex<Pairs>,
}

struct Pairs {
    /// Values by bucket and key.
    values: BTreeMap<(String, String), Vec<u8>>,
    /// Size of all pairs, in bytes.
    size: usize,
    max_size: usize,
}

impl InMemoryKeyValue {
    /// Creates an empty store.
    pub fn new() -> Self {
        InMemoryKeyValue::with_max_size(MAX_SIZE)
    }

    pub(super) fn with_max_size(max_size: usize) -> Self {
        InMemoryKeyValue { pairs: Mutex::new(Pairs { values: BTreeMap::new(), size: 0, max_size }) }
    }

    fn lock(&self) -> MutexGuard<'_, Pairs> {
        lock(&self.pairs)
    }
}

impl Default for InMemoryKeyValue {
    fn default() -> Self {
        InMemoryKeyValue::new()
    }
}

#[async_trait]
impl KeyValueStore for InMemoryKeyValue {
    async fn list_buckets(&self, after: String, most: usize) -> Result<Vec<String>, StoreError> {
        let pairs = self.lock();
        let mut names: Vec<String> = Vec::new();
        for (bucket, _) in pairs.values.keys().filter(|(bucket, _)| *bucket > after) {
            if names.last() == Some(bucket) {
                continue;
            }
            if names.len() == most {
                break;
            }
            names.push(bucket.clone());
        }

        Ok(names)
    }

    async fn list_keys(
        &self,
        bucket: BucketName,
        after: String,
        most: usize,
    ) -> Result<Vec<String>, StoreError> {
        let pairs = self.lock();
        let start = Bound::Excluded((bucket.as_str().to_owned(), after));
        let rest = pairs.values.range((start, Bound::Unbounded)).map(|(names, _)| names);
        let keys = rest.take_while(|(name, _)| name == bucket.as_str()).map(|(_, key)| key.clone());

        Ok(keys.take(most).collect())
    }

    async fn get(&self, bucket: BucketName, key: Key) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().get(&bucket, &key).cloned())
    }

    async fn exists(&self, bucket: BucketName, key: Key) -> Result<bool, StoreError> {
        Ok(self.lock().get(&bucket, &key).is_some())
    }

    async fn get_many(
        &self,
        bucket: BucketName,
        keys: Vec<Key>,
        max_bytes: usize,
    ) -> Result<Option<Vec<Option<Vec<u8>>>>, StoreError> {
        let pairs = self.lock();
        let found: Vec<_> = keys.iter().map(|key| pairs.get(&bucket, key)).collect();
        let bytes: usize = found.iter().flatten().map(|value| value.len()).sum();

        Ok((bytes <= max_bytes)
            .then(|| found.into_iter().map(Option::<&Vec<u8>>::cloned).collect()))
    }

    async fn set(&self, bucket: BucketName, key: Key, value: Vec<u8>) -> Result<(), StoreError> {
        self.lock().set_all(&bucket, vec![(key, value)])
    }

    async fn set_many(
        &self,
        bucket: BucketName,
        pairs: Vec<(Key, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        self.lock().set_all(&bucket, pairs)
    }

    async fn delete(&self, bucket: BucketName, key: Key) -> Result<bool, StoreError> {
        Ok(self.lock().replace(names(&bucket, &key), None).is_some())
    }

    async fn delete_many(&self, bucket: BucketName, keys: Vec<Key>) -> Result<(), StoreError> {
        let mut pairs = self.lock();
        for key in &keys {
            pairs.replace(names(&bucket, key), None);
        }

        Ok(())
    }

    async fn increment(
        &self,
        bucket: BucketName,
        key: Key,
        delta: i64,
    ) -> Result<Result<i64, IncrementError>, StoreError> {
        let mut pairs = self.lock();
        let sum = add(pairs.get(&bucket, &key).map(Vec::as_slice), delta);
        if let Ok(sum) = sum {
            pairs.set_all(&bucket, vec![(key, sum.to_string().into_bytes())])?;
        }

        Ok(sum)
    }

    async fn compare_and_swap(
        &self,
        bucket: BucketName,
        key: Key,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<Result<(), Option<Vec<u8>>>, StoreError> {
        let mut pairs = self.lock();
        let current = pairs.get(&bucket, &key);
        if current != expected.as_ref() {
            return Ok(Err(current.cloned()));
        }

        pairs.set_all(&bucket, vec![(key, value)]).map(Ok)
    }
}

impl Pairs {
    fn get(&self, bucket: &BucketName, key: &Key) -> Option<&Vec<u8>> {
        self.values.get(&names(bucket, key))
    }

    /// Sets several values. Fails with `Full`, and changes nothing, if they exceed the limit.
    fn set_all(
        &mut self,
        bucket: &BucketName,
        pairs: Vec<(Key, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        let before = self.size;
        let mut replaced = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let names = names(bucket, &key);
            let previous = self.replace(names.clone(), Some(value));
            replaced.push((names, previous));
        }

        if self.size > self.max_size && self.size > before {
            // In reverse, since a key may occur twice.
            for (names, previous) in replaced.into_iter().rev() {
                self.replace(names, previous);
            }
            return Err(StoreError::Full);
        }

        Ok(())
    }

    /// Sets or removes a value. Returns the previous one.
    fn replace(&mut self, names: (String, String), value: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let names_size = names.0.len() + names.1.len() + PAIR_SIZE;
        let added = value.as_ref().map_or(0, |value| names_size + value.len());
        let previous = match value {
            Some(value) => self.values.insert(names, value),
            None => self.values.remove(&names),
        };
        let removed = previous.as_ref().map_or(0, |value| names_size + value.len());
        self.size = self.size + added - removed;

        previous
    }
}

fn names(bucket: &BucketName, key: &Key) -> (String, String) {
    (bucket.as_str().to_owned(), key.as_str().to_owned())
}
