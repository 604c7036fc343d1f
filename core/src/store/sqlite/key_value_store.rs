//! The operations on key-value pairs, each as one job.

use async_trait::async_trait;

use super::SqliteStore;
use super::job::JobKind;
use super::key_value::{self, Bucket};
use crate::store::key_value::{BucketName, IncrementError, Key};
use crate::store::{KeyValueStore, StoreError};

#[async_trait]
impl KeyValueStore for SqliteStore {
    async fn list_buckets(&self, after: String, most: usize) -> Result<Vec<String>, StoreError> {
        self.run(JobKind::Read, move |connection| key_value::list_buckets(connection, &after, most))
            .await
    }

    async fn list_keys(
        &self,
        bucket: BucketName,
        after: String,
        most: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.run(JobKind::Read, move |connection| {
            Bucket::new(connection, &bucket).list_keys(&after, most)
        })
        .await
    }

    async fn get(&self, bucket: BucketName, key: Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(JobKind::Read, move |connection| Bucket::new(connection, &bucket).get(&key)).await
    }

    async fn exists(&self, bucket: BucketName, key: Key) -> Result<bool, StoreError> {
        self.run(JobKind::Read, move |connection| Bucket::new(connection, &bucket).exists(&key))
            .await
    }

    async fn get_many(
        &self,
        bucket: BucketName,
        keys: Vec<Key>,
        max_bytes: usize,
    ) -> Result<Option<Vec<Option<Vec<u8>>>>, StoreError> {
        self.run(JobKind::Read, move |connection| {
            Bucket::new(connection, &bucket).get_many(&keys, max_bytes)
        })
        .await
    }

    async fn set(&self, bucket: BucketName, key: Key, value: Vec<u8>) -> Result<(), StoreError> {
        self.run(JobKind::Write, move |connection| {
            Bucket::new(connection, &bucket).set(&key, &value)
        })
        .await
    }

    async fn set_many(
        &self,
        bucket: BucketName,
        pairs: Vec<(Key, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        self.run(JobKind::Write, move |connection| {
            let bucket = Bucket::new(connection, &bucket);
            pairs.iter().try_for_each(|(key, value)| bucket.set(key, value))
        })
        .await
    }

    async fn delete(&self, bucket: BucketName, key: Key) -> Result<bool, StoreError> {
        self.run(JobKind::WriteAlways, move |connection| {
            Bucket::new(connection, &bucket).delete(&key)
        })
        .await
    }

    async fn delete_many(&self, bucket: BucketName, keys: Vec<Key>) -> Result<(), StoreError> {
        self.run(JobKind::WriteAlways, move |connection| {
            let bucket = Bucket::new(connection, &bucket);
            keys.iter().try_for_each(|key| bucket.delete(key).map(drop))
        })
        .await
    }

    async fn increment(
        &self,
        bucket: BucketName,
        key: Key,
        delta: i64,
    ) -> Result<Result<i64, IncrementError>, StoreError> {
        self.run(JobKind::Write, move |connection| {
            Bucket::new(connection, &bucket).increment(&key, delta)
        })
        .await
    }

    async fn compare_and_swap(
        &self,
        bucket: BucketName,
        key: Key,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<Result<(), Option<Vec<u8>>>, StoreError> {
        self.run(JobKind::Write, move |connection| {
            Bucket::new(connection, &bucket).compare_and_swap(&key, expected.as_deref(), &value)
        })
        .await
    }
}
