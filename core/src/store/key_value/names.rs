//! Rules for names of buckets, keys and sizes of values.

use std::fmt;

/// Largest key, in bytes: enough for a path or a prefixed hash.
pub const MAX_KEY_SIZE: usize = 512;

/// Largest value, in bytes. Larger data belongs in a sidecar file.
pub const MAX_VALUE_SIZE: usize = 1 << 20;

/// Longest bucket name, in characters.
const MAX_BUCKET_NAME: usize = 64;

/// Bucket used when a request names none.
const DEFAULT_BUCKET: &str = "default";

/// Reason for a rejected bucket name, key or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Invalid bucket name.
    #[error(
        "a bucket is named by 1 to {MAX_BUCKET_NAME} of the characters A-Z, a-z, 0-9, '.', '_' and '-'"
    )]
    Bucket,
    /// Invalid key length, in bytes.
    #[error("a key has 1 to {MAX_KEY_SIZE} bytes; this one has {0}")]
    Key(usize),
    /// Value too large, in bytes.
    #[error("a value has at most {MAX_VALUE_SIZE} bytes; this one has {0}")]
    Value(usize),
}

/// Valid name of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketName(String);

impl BucketName {
    /// Parses a name. The empty text means the default bucket.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = if text.is_empty() { DEFAULT_BUCKET } else { text };
        let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-');
        let fits = text.len() <= MAX_BUCKET_NAME && text.chars().all(plain);
        if fits { Ok(BucketName(text.to_owned())) } else { Err(KeyError::Bucket) }
    }

    /// Returns the name; never empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Valid key: any text of a bounded size.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// Checks the key's length.
    pub fn new(text: String) -> Result<Self, KeyError> {
        if (1..=MAX_KEY_SIZE).contains(&text.len()) {
            Ok(Key(text))
        } else {
            Err(KeyError::Key(text.len()))
        }
    }

    /// Returns the key; never empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the owned text.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Checks a value's size.
pub fn check_value(value: &[u8]) -> Result<(), KeyError> {
    if value.len() <= MAX_VALUE_SIZE { Ok(()) } else { Err(KeyError::Value(value.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_keys_are_short() {
        for good in ["a", "A.b_c-9", &"x".repeat(64)] {
            assert_eq!(BucketName::parse(good).unwrap().as_str(), good);
        }

        assert_eq!(BucketName::parse(""), BucketName::parse("default"));

        for bad in ["a/b", "ä", "a b", "a\0", &"x".repeat(65)] {
            assert_eq!(BucketName::parse(bad), Err(KeyError::Bucket), "{bad:?}");
        }

        assert!(Key::new("/ ä\0".into()).is_ok());
        assert_eq!(Key::new(String::new()), Err(KeyError::Key(0)));
        assert_eq!(Key::new("x".repeat(513)), Err(KeyError::Key(513)));
    }
}
