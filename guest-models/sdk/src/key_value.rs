//! Values by key that all instances, versions and models of a tenant share, and that survive
//! restarts.
//!
//! ```
//! # use wardian_sdk::{Error, key_value};
//! # fn infer() -> Result<(), Error> {
//! let bucket = key_value::open("visits")?;
//! let visits = bucket.increment("2026-01-31", 1)?;
//! bucket.update("last", |_old| Ok(visits.to_string().into_bytes()))?;
//! # Ok(())
//! # }
//! # infer().unwrap();
//! ```
//!
//! The component needs `[capabilities] key_value = true` in its `model.toml`. It cannot use the
//! store in [`Model::load`](crate::Model::load), whose memory becomes the snapshot. Warm-up and
//! golden requests use an empty store, and their writes are discarded.
//!
//! Natively each thread has a store of its own, in memory, so tests do not interfere.

use crate::{Error, OrError};

#[cfg(target_family = "wasm")]
#[path = "key_value/imported.rs"]
mod imp;
#[cfg(not(target_family = "wasm"))]
#[path = "key_value/in_memory.rs"]
mod imp;

/// Opens a bucket. Its name is 1 to 64 of `A-Z a-z 0-9 . _ -`; the empty name means the bucket
/// `default`.
///
/// # Errors
/// Failed if the name is invalid, in `load`, or without the grant.
pub fn open(name: &str) -> Result<Bucket, Error> {
    let bucket = imp::open(name).or_failed(format_args!("cannot open the bucket {name:?}"))?;
    Ok(Bucket { bucket, name: name.to_owned() })
}

/// Removes the values of the present thread.
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub(crate) fn forget_all() {
    imp::forget_all();
}

/// A bucket of values, with an open handle of the host.
///
/// Every method fails if the host refuses it, with the reason: a key has 1 to 512 bytes, a value at
/// most 1 MiB, and the tenant's quota `data` bounds all values together. A write is on disk when
/// its method returns.
pub struct Bucket {
    bucket: imp::Bucket,
    name: String,
}

impl Bucket {
    /// Returns the value of a key, if it has one.
    ///
    /// # Errors
    /// See [`Bucket`].
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        imp::get(&self.bucket, key).map_err(|reason| self.failed("read", key, reason))
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// See [`Bucket`].
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
        imp::set(&self.bucket, key, value.as_ref())
            .map_err(|reason| self.failed("set", key, reason))
    }

    /// Removes the value of a key, if it has one.
    ///
    /// # Errors
    /// See [`Bucket`].
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        imp::delete(&self.bucket, key).map_err(|reason| self.failed("delete", key, reason))
    }

    /// Returns true if a key has a value.
    ///
    /// # Errors
    /// See [`Bucket`].
    pub fn exists(&self, key: &str) -> Result<bool, Error> {
        imp::exists(&self.bucket, key).map_err(|reason| self.failed("look for", key, reason))
    }

    /// Returns all keys, ordered by bytes, read page by page. Keys that are added or removed
    /// meanwhile may be included or not; every other key is included once.
    pub fn keys(&self) -> Keys<'_> {
        Keys { bucket: self, page: Vec::new().into_iter(), next: Next::First }
    }

    /// Adds to a whole number in decimal digits, and returns the sum. A missing value counts as 0.
    ///
    /// # Errors
    /// See [`Bucket`]. Also if the value is not such a number, or the sum does not fit.
    pub fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        imp::increment(&self.bucket, key, delta)
            .map_err(|reason| self.failed("count up", key, reason))
    }

    /// Replaces a value by the result of `change`. If the value has changed meanwhile, `change` is
    /// called again with the new value, so no concurrent write is lost. Returns the new value.
    ///
    /// # Errors
    /// See [`Bucket`]. Also with any error of `change`; then nothing is changed.
    pub fn update(
        &self,
        key: &str,
        change: impl FnMut(Option<Vec<u8>>) -> Result<Vec<u8>, Error>,
    ) -> Result<Vec<u8>, Error> {
        imp::update(&self.bucket, key, change)?.map_err(|reason| self.failed("update", key, reason))
    }

    /// Returns the values of up to 1000 keys, of 4 MiB together, as of one moment.
    ///
    /// # Errors
    /// See [`Bucket`].
    pub fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        imp::get_many(&self.bucket, keys).map_err(|reason| self.failed_many("read", reason))
    }

    /// Sets the values of up to 1000 keys, of 4 MiB together: all of them or, if it fails, none.
    ///
    /// # Errors
    /// See [`Bucket`].
    pub fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<(), Error> {
        imp::set_many(&self.bucket, pairs).map_err(|reason| self.failed_many("set", reason))
    }

    /// Removes the values of up to 1000 keys: all of them or, if it fails, none.
    ///
    /// # Errors
    /// See [`Bucket`].
    pub fn delete_many(&self, keys: &[&str]) -> Result<(), Error> {
        imp::delete_many(&self.bucket, keys).map_err(|reason| self.failed_many("delete", reason))
    }

    fn failed(&self, what: &str, key: &str, reason: String) -> Error {
        let key: String = key.chars().take(100).collect();
        Error::failed(format_args!(
            "cannot {what} the key {key:?} of the bucket {:?}: {reason}",
            self.name
        ))
    }

    fn failed_many(&self, what: &str, reason: String) -> Error {
        Error::failed(format_args!("cannot {what} keys of the bucket {:?}: {reason}", self.name))
    }
}

/// The keys of a bucket, see [`Bucket::keys`].
pub struct Keys<'a> {
    bucket: &'a Bucket,
    page: std::vec::IntoIter<String>,
    next: Next,
}

enum Next {
    First,
    After(String),
    Nothing,
}

impl Iterator for Keys<'_> {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.page.next() {
                return Some(Ok(key));
            }
            let cursor = match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::First => None,
                Next::After(cursor) => Some(cursor),
                Next::Nothing => return None,
            };
            match imp::list(&self.bucket.bucket, cursor) {
                Ok((keys, cursor)) => {
                    self.page = keys.into_iter();
                    self.next = cursor.map_or(Next::Nothing, Next::After);
                }
                Err(reason) => return Some(Err(self.bucket.failed_many("list", reason))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_set_read_and_deleted() {
        let bucket = open("").unwrap();
        assert_eq!(bucket.get("a").unwrap(), None);
        bucket.set_many(&[("b", b"2"), ("a", b"1")]).unwrap();
        assert_eq!(
            open("default").unwrap().get_many(&["a", "x"]).unwrap(),
            [Some(b"1".to_vec()), None]
        );
        assert_eq!(bucket.keys().collect::<Result<Vec<_>, _>>().unwrap(), ["a", "b"]);
        bucket.delete("a").unwrap();
        assert!(!bucket.exists("a").unwrap() && bucket.exists("b").unwrap());
        assert!(open("other").unwrap().keys().next().is_none());
        assert!(open("not/a/name").is_err());
    }

    #[test]
    fn increment_accepts_only_numbers() {
        let bucket = open("").unwrap();
        assert_eq!(
            (bucket.increment("n", 2).unwrap(), bucket.increment("n", -5).unwrap()),
            (2, -3)
        );
        assert_eq!(bucket.get("n").unwrap().unwrap(), b"-3");
        assert!(bucket.increment("n", i64::MIN).is_err());
        bucket.set("n", "many").unwrap();
        assert!(
            matches!(bucket.increment("n", 1), Err(Error::Failed(text)) if text.contains("no whole number"))
        );
    }

    #[test]
    fn a_failed_update_changes_nothing() {
        let bucket = open("").unwrap();
        let append = |old: Option<Vec<u8>>| Ok([old.unwrap_or_default(), b"x".to_vec()].concat());
        bucket.update("u", append).unwrap();
        assert_eq!(bucket.update("u", append).unwrap(), b"xx");
        assert!(bucket.update("u", |_| Err(Error::rejected("no"))).is_err());
        assert_eq!(bucket.get("u").unwrap().unwrap(), b"xx");
    }
}
