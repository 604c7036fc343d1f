//! The table of key-value pairs.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::StoreError;
use super::super::key_value::{BucketName, IncrementError, Key, add};

/// `WITHOUT ROWID` stores keys and values in one tree. Most values are as small as a counter, so a
/// second tree for the index would cost more than it saves.
pub(super) const SCHEMA: &str =
    "CREATE TABLE key_values (bucket TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (bucket, key)) WITHOUT ROWID;";

/// The pairs of one bucket, borrowed for one job. Keys are ordered by their bytes.
pub(super) struct Bucket<'a> {
    connection: &'a Connection,
    name: &'a str,
}

impl<'a> Bucket<'a> {
    /// Returns the bucket of that name. A bucket exists as long as it has a key.
    pub(super) fn new(connection: &'a Connection, name: &'a BucketName) -> Self {
        Bucket { connection, name: name.as_str() }
    }

    /// Returns the value of a key.
    pub(super) fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        let mut get = self
            .connection
            .prepare_cached("SELECT value FROM key_values WHERE bucket = ? AND key = ?")?;
        Ok(get.query_row(params![self.name, key.as_str()], |row| row.get(0)).optional()?)
    }

    /// True if a key has a value.
    pub(super) fn exists(&self, key: &Key) -> Result<bool, StoreError> {
        let mut find = self
            .connection
            .prepare_cached("SELECT 1 FROM key_values WHERE bucket = ? AND key = ?")?;
        Ok(find.exists(params![self.name, key.as_str()])?)
    }

    /// Returns at most `most` keys, starting after `after`.
    pub(super) fn list_keys(&self, after: &str, most: usize) -> Result<Vec<String>, StoreError> {
        let text = "SELECT key FROM key_values WHERE bucket = ? AND key > ? ORDER BY key LIMIT ?";
        let mut list = self.connection.prepare_cached(text)?;
        let keys = list.query_map(params![self.name, after, most as i64], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// Returns the values of several keys; `None` if they have more than `most` bytes in total.
    pub(super) fn get_many(
        &self,
        keys: &[Key],
        most: usize,
    ) -> Result<Option<Vec<Option<Vec<u8>>>>, StoreError> {
        let (mut values, mut left) = (Vec::with_capacity(keys.len()), most);
        for key in keys {
            let value = self.get(key)?;
            match left.checked_sub(value.as_ref().map_or(0, Vec::len)) {
                Some(rest) => left = rest,
                None => return Ok(None),
            }

            values.push(value);
        }

        Ok(Some(values))
    }

    /// Sets the value of a key.
    pub(super) fn set(&self, key: &Key, value: &[u8]) -> Result<(), StoreError> {
        let text = "INSERT INTO key_values (bucket, key, value) VALUES (?, ?, ?)
            ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value";
        self.connection.prepare_cached(text)?.execute(params![self.name, key.as_str(), value])?;
        Ok(())
    }

    /// Deletes a key. Returns false if it had no value.
    pub(super) fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM key_values WHERE bucket = ? AND key = ?")?;
        Ok(delete.execute(params![self.name, key.as_str()])? > 0)
    }

    /// Adds `delta` to a decimal integer, which is 0 if the key has no value. Returns the sum.
    pub(super) fn increment(
        &self,
        key: &Key,
        delta: i64,
    ) -> Result<Result<i64, IncrementError>, StoreError> {
        let sum = add(self.get(key)?.as_deref(), delta);
        if let Ok(sum) = sum {
            self.set(key, sum.to_string().as_bytes())?;
        }

        Ok(sum)
    }

    /// Sets the value of a key if its current value is `expected`. Returns the current value
    /// otherwise.
    pub(super) fn compare_and_swap(
        &self,
        key: &Key,
        expected: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Result<(), Option<Vec<u8>>>, StoreError> {
        let now = self.get(key)?;
        if now.as_deref() != expected {
            return Ok(Err(now));
        }

        self.set(key, value).map(Ok)
    }
}

/// Returns at most `most` names of buckets, starting after `after`.
pub(super) fn list_buckets(
    connection: &Connection,
    after: &str,
    most: usize,
) -> Result<Vec<String>, StoreError> {
    // One index step per bucket, independent of its number of keys.
    let mut next =
        connection.prepare_cached("SELECT min(bucket) FROM key_values WHERE bucket > ?")?;
    let mut names: Vec<String> = Vec::new();
    while names.len() < most {
        let last = names.last().map_or(after, String::as_str);
        match next.query_row([last], |row| row.get::<_, Option<String>>(0))? {
            Some(name) => names.push(name),
            None => break,
        }
    }

    Ok(names)
}
