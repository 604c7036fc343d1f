//! Key-value pairs, grouped in buckets.

mod names;

use async_trait::async_trait;

use super::StoreError;
pub use names::{BucketName, Key, KeyError, MAX_KEY_SIZE, MAX_VALUE_SIZE, check_value};

/// The key-value pairs of one tenant. Keys are ordered by their bytes. A bucket exists as long as
/// it has a key. An operation that was started completes even if its future is dropped, or changes
/// nothing.
#[async_trait]
pub trait KeyValueStore: Send + Sync {
    /// Returns at most `most` names of buckets, starting after `after`.
    async fn list_buckets(&self, after: String, most: usize) -> Result<Vec<String>, StoreError>;

    /// Returns at most `most` keys, starting after `after`.
    async fn list_keys(
        &self,
        bucket: BucketName,
        after: String,
        most: usize,
    ) -> Result<Vec<String>, StoreError>;

    /// Returns the value of a key.
    async fn get(&self, bucket: BucketName, key: Key) -> Result<Option<Vec<u8>>, StoreError>;

    /// True if a key has a value.
    async fn exists(&self, bucket: BucketName, key: Key) -> Result<bool, StoreError>;

    /// Returns the values of several keys; `None` if they have more than `max_bytes` in total.
    async fn get_many(
        &self,
        bucket: BucketName,
        keys: Vec<Key>,
        max_bytes: usize,
    ) -> Result<Option<Vec<Option<Vec<u8>>>>, StoreError>;

    /// Sets the value of a key.
    async fn set(&self, bucket: BucketName, key: Key, value: Vec<u8>) -> Result<(), StoreError>;

    /// Sets the values of several keys.
    async fn set_many(
        &self,
        bucket: BucketName,
        pairs: Vec<(Key, Vec<u8>)>,
    ) -> Result<(), StoreError>;

    /// Deletes a key. Returns false if it had no value.
    async fn delete(&self, bucket: BucketName, key: Key) -> Result<bool, StoreError>;

    /// Deletes several keys.
    async fn delete_many(&self, bucket: BucketName, keys: Vec<Key>) -> Result<(), StoreError>;

    /// Adds `delta` to a decimal integer, which is 0 if the key has no value. Returns the sum.
    async fn increment(
        &self,
        bucket: BucketName,
        key: Key,
        delta: i64,
    ) -> Result<Result<i64, IncrementError>, StoreError>;

    /// Sets the value of a key if its current value is `expected`. Returns the current value
    /// otherwise.
    async fn compare_and_swap(
        &self,
        bucket: BucketName,
        key: Key,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<Result<(), Option<Vec<u8>>>, StoreError>;
}

/// Reason for a failed increment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncrementError {
    /// The value is not a decimal integer.
    #[error("the value is no whole number in decimal digits")]
    NotANumber,
    /// The sum does not fit into 64 bits.
    #[error("the sum does not fit into 64 bits")]
    Overflow,
}

/// Returns the sum of a stored value and `delta`. A missing value counts as 0.
pub(super) fn add(value: Option<&[u8]>, delta: i64) -> Result<i64, IncrementError> {
    let before = value.map_or(Ok(0), parse_integer)?;
    before.checked_add(delta).ok_or(IncrementError::Overflow)
}

fn parse_integer(value: &[u8]) -> Result<i64, IncrementError> {
    let text = std::str::from_utf8(value).map_err(|_| IncrementError::NotANumber)?;
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
            IncrementError::Overflow
        }
        _ => IncrementError::NotANumber,
    })
}

#[cfg(test)]
mod tests;
