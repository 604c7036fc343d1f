//! API keys: their scopes, and their lookup by digest. The keys themselves are not stored.

use std::collections::HashMap;

use subtle::ConstantTimeEq;

use crate::model::Digest;

/// A scope of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Calls to models.
    Infer,
    /// Loading, unloading, uploading and deleting models, and reading their log.
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

/// The scopes of one API key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope.
    pub const ADMIN: Scopes = Scopes(1 << Scope::Admin as u8);

    /// True if these scopes allow something. The scope `admin` allows everything.
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8 | Scopes::ADMIN.0) != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Scopes(scopes.into_iter().fold(0, |bits, scope| bits | 1 << scope as u8))
    }
}

/// A configured API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The key's name in logs; unique within its tenant.
    pub id: String,
    /// SHA-256 of the key.
    pub digest: Digest,
    /// The scopes of the key.
    pub scopes: Scopes,
}

/// API keys, found by their digests.
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
        self.buckets.entry(bucket(&digest)).or_default().push((digest, value));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The value of this key. Its timing does not depend on the keys that exist: the lookup uses a
    /// digest, which a client cannot choose, and the comparison does not stop at the first
    /// difference.
    pub(super) fn find(&self, key: &[u8]) -> Option<&T> {
        let digest = Digest::of(key);
        let bucket = self.buckets.get(&bucket(&digest))?;
        bucket
            .iter()
            .find(|(known, _)| bool::from(known.as_bytes().ct_eq(digest.as_bytes())))
            .map(|(_, value)| value)
    }
}

fn bucket(digest: &Digest) -> u64 {
    digest.as_bytes().iter().take(8).fold(0, |bucket, &byte| bucket << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_digest_alone() {
        let mut ring = KeyRing::default();
        ring.insert(Digest::of(b"one"), 1);
        ring.insert(Digest::of(b"two"), 2);
        assert_eq!(
            (ring.find(b"one"), ring.find(b"two"), ring.find(b"three")),
            (Some(&1), Some(&2), None)
        );
        assert_eq!(
            ring.find(Digest::of(b"one").to_string().as_bytes()),
            None,
            "the digest is no key"
        );
    }

    #[test]
    fn only_admin_implies_the_others() {
        let infer: Scopes = [Scope::Infer].into_iter().collect();
        assert!(
            infer.allow(Scope::Infer) && !infer.allow(Scope::Manage) && !infer.allow(Scope::Admin)
        );

        let manage: Scopes = [Scope::Manage].into_iter().collect();
        assert!(!manage.allow(Scope::Infer) && manage.allow(Scope::Manage));
        assert!(Scope::ALL.into_iter().all(|scope| Scopes::ADMIN.allow(scope)));
        assert!(!Scope::ALL.into_iter().any(|scope| Scopes::default().allow(scope)));
    }
}
