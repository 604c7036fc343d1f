//! Keys: what they are allowed, and how one is recognised without being stored.

use std::collections::HashMap;
use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a key as it is sent.
    pub fn of(key: &[u8]) -> Self {
        Digest(Sha256::digest(key).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(Digest(bytes))
    }

    fn bucket(&self) -> u64 {
        self.0.iter().take(8).fold(0, |bucket, &byte| bucket << 8 | u64::from(byte))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Something a key may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// To ask models.
    Infer,
    /// To load, unload, upload and delete models, and to read their log.
    Manage,
    /// Everything, for every tenant.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 3] = [Scope::Infer, Scope::Manage, Scope::Admin];

    /// Its name in `wardian.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Infer => "infer",
            Scope::Manage => "manage",
            Scope::Admin => "admin",
        }
    }
}

/// The scopes of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All of them.
    pub const ADMIN: Scopes = Scopes(1 << Scope::Admin as u8);

    /// Whether something is allowed. Whoever may do everything may do that too.
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8 | Scopes::ADMIN.0) != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Scopes(scopes.into_iter().fold(0, |bits, scope| bits | 1 << scope as u8))
    }
}

/// A key as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Names the key in logs; unique within its tenant.
    pub id: String,
    /// The key's SHA-256.
    pub digest: Digest,
    /// What it is allowed.
    pub scopes: Scopes,
}

/// Keys, found by their digests.
pub(super) struct KeyRing<T> {
    buckets: HashMap<u64, Vec<(Digest, T)>>,
}

impl<T> Default for KeyRing<T> {
    fn default() -> Self {
        KeyRing { buckets: HashMap::new() }
    }
}

impl<T> KeyRing<T> {
    pub(super) fn insert(&mut self, digest: Digest, value: T) {
        self.buckets.entry(digest.bucket()).or_default().push((digest, value));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// What was kept under that key. How long it takes tells nothing of the keys there are: what is looked up
    /// is a digest, which nobody can steer, and the comparison does not stop at the first difference.
    pub(super) fn find(&self, key: &[u8]) -> Option<&T> {
        let digest = Digest::of(key);
        let bucket = self.buckets.get(&digest.bucket())?;
        bucket.iter().find(|(known, _)| bool::from(known.0.ct_eq(&digest.0))).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_digest_alone() {
        let mut ring = KeyRing::default();
        ring.insert(Digest::of(b"one"), 1);
        ring.insert(Digest::of(b"two"), 2);
        assert_eq!((ring.find(b"one"), ring.find(b"two"), ring.find(b"three")), (Some(&1), Some(&2), None));
        assert_eq!(ring.find(Digest::of(b"one").to_string().as_bytes()), None, "the digest is no key");
    }

    #[test]
    fn digests_are_64_hexadecimal_digits() {
        let digest = Digest::of(b"x");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse(&digest.to_string().to_uppercase()), Some(digest));
        for text in ["", "00", &"g".repeat(64), &"0".repeat(63), &"é".repeat(32)] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_admin_implies_the_others() {
        let infer: Scopes = [Scope::Infer].into_iter().collect();
        assert!(infer.allow(Scope::Infer) && !infer.allow(Scope::Manage) && !infer.allow(Scope::Admin));
        let manage: Scopes = [Scope::Manage].into_iter().collect();
        assert!(!manage.allow(Scope::Infer) && manage.allow(Scope::Manage));
        assert!(Scope::ALL.into_iter().all(|scope| Scopes::ADMIN.allow(scope)));
        assert!(!Scope::ALL.into_iter().any(|scope| Scopes::default().allow(scope)));
    }
}
