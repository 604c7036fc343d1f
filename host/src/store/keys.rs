//! Values by key, in buckets.

mod names;

use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
pub use names::{BucketName, Key, KeyError, MAX_KEY, MAX_VALUE, check_value};

/// The table: one tree and no second one for the order of keys, since most values are as small as a
/// counter.
pub const SCHEMA: &str =
    "CREATE TABLE key_values (bucket TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (bucket, key)) WITHOUT ROWID;";

/// Why a value cannot be counted up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountError {
    /// It is something else.
    #[error("the value is no whole number in decimal digits")]
    NotANumber,
    /// There is no such number.
    #[error("the sum does not fit into 64 bits")]
    Overflow,
}

/// The values of one bucket, for the length of a job. Keys are in the order of their bytes.
pub struct Bucket<'a> {
    connection: &'a Connection,
    name: &'a str,
}

impl<'a> Bucket<'a> {
    /// The bucket of that name, which is there as long as something is in it.
    pub fn new(connection: &'a Connection, name: &'a BucketName) -> Self {
        Bucket { connection, name: name.as_str() }
    }

    /// The value of a key.
    pub fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        let mut get = self
            .connection
            .prepare_cached("SELECT value FROM key_values WHERE bucket = ? AND key = ?")?;
        Ok(get.query_row(params![self.name, key.as_str()], |row| row.get(0)).optional()?)
    }

    /// Whether a key has a value.
    pub fn exists(&self, key: &Key) -> Result<bool, StoreError> {
        let mut find = self
            .connection
            .prepare_cached("SELECT 1 FROM key_values WHERE bucket = ? AND key = ?")?;
        Ok(find.exists(params![self.name, key.as_str()])?)
    }

    /// At most so many keys, from the first one after `after`.
    pub fn keys(&self, after: &str, most: usize) -> Result<Vec<String>, StoreError> {
        let text = "SELECT key FROM key_values WHERE bucket = ? AND key > ? ORDER BY key LIMIT ?";
        let mut list = self.connection.prepare_cached(text)?;
        let keys = list.query_map(params![self.name, after, most as i64], |row| row.get(0))?;
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// The values of several keys, `None` for all of them if they have more bytes than `most`
    /// together.
    pub fn get_many(
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

    /// Gives a key a value.
    pub fn set(&self, key: &Key, value: &[u8]) -> Result<(), StoreError> {
        let text = "INSERT INTO key_values (bucket, key, value) VALUES (?, ?, ?)
            ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value";
        self.connection.prepare_cached(text)?.execute(params![self.name, key.as_str(), value])?;
        Ok(())
    }

    /// Takes a key's value away. Tells whether it had one.
    pub fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM key_values WHERE bucket = ? AND key = ?")?;
        Ok(delete.execute(params![self.name, key.as_str()])? > 0)
    }

    /// Adds to the number that a key's value says, 0 where there is none. Gives the sum.
    pub fn increment(&self, key: &Key, delta: i64) -> Result<Result<i64, CountError>, StoreError> {
        let before = self.get(key)?;
        let sum = before.map_or(Ok(0), |value| number(&value));
        let sum = sum.and_then(|before| before.checked_add(delta).ok_or(CountError::Overflow));
        if let Ok(sum) = sum {
            self.set(key, sum.to_string().as_bytes())?;
        }
        Ok(sum)
    }

    /// Gives a key another value if its value is still the expected one; else tells what it is now.
    pub fn swap(
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

/// At most so many names of buckets, from the first one after `after`.
pub fn buckets(
    connection: &Connection,
    after: &str,
    most: usize,
) -> Result<Vec<String>, StoreError> {
    // One step for each bucket, however many keys it has.
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

fn number(value: &[u8]) -> Result<i64, CountError> {
    let text = std::str::from_utf8(value).map_err(|_| CountError::NotANumber)?;
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
            CountError::Overflow
        }
        _ => CountError::NotANumber,
    })
}

#[cfg(test)]
mod tests;
