//! API keys: their scopes, and their lookup by digest. The keys themselves are not stored.

use std::collections::HashMap;

use subtle::ConstantTimeEq;

use crate::model::Digest;

/// A scope of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyScope {
    /// Calls to models.
    Infer,
    /// Loading, unloading, uploading and deleting models, and reading their log.
    Manage,
    /// Everything, for every tenant.
    Admin,
}

impl KeyScope {
    /// Every scope.
    pub const ALL: [KeyScope; 3] = [KeyScope::Infer, KeyScope::Manage, KeyScope::Admin];

    /// Its name in `wardian.toml`.
    pub fn name(self) -> &'static str {
        match self {
            KeyScope::Infer => "infer",
            KeyScope::Manage => "manage",
            KeyScope::Admin => "admin",
        }
    }
}

/// The scopes of one API key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyScopes(u8);

impl KeyScopes {
    /// Every scope.
    pub const ADMIN: KeyScopes = KeyScopes(1 << KeyScope::Admin as u8);

    /// True if these scopes allow something. The scope `admin` allows everything.
    pub fn allows(self, scope: KeyScope) -> bool {
        self.0 & (1 << scope as u8 | KeyScopes::ADMIN.0) != 0
    }
}

impl FromIterator<KeyScope> for KeyScopes {
    fn from_iter<I: IntoIterator<Item = KeyScope>>(scopes: I) -> Self {
        KeyScopes(scopes.into_iter().fold(0, |bits, scope| bits | 1 << scope as u8))
    }
}

/// A configured API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The key's name in logs; unique within its tenant.
    pub id: String,
    /// SHA-256 of the key.
    pub digest: Digest,
    /// The scopes of the key.
    pub scopes: KeyScopes,
}

/// API keys, found by their digests.
pub(super) struct ApiKeyIndex<T> {
    buckets: HashMap<u64, Vec<(Digest, T)>>,
}

impl<T> Default for ApiKeyIndex<T> {
    fn default() -> Self {
        ApiKeyIndex { buckets: HashMap::new() }
    }
}

impl<T> ApiKeyIndex<T> {
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
        let digest = Digest::sha256(key);
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
        let mut ring = ApiKeyIndex::default();
        ring.insert(Digest::sha256(b"one"), 1);
        ring.insert(Digest::sha256(b"two"), 2);
        assert_eq!(
            (ring.find(b"one"), ring.find(b"two"), ring.find(b"three")),
            (Some(&1), Some(&2), None)
        );
        assert_eq!(
            ring.find(Digest::sha256(b"one").to_string().as_bytes()),
            None,
            "the digest is no key"
        );
    }

    #[test]
    fn only_admin_implies_the_others() {
        let infer: KeyScopes = [KeyScope::Infer].into_iter().collect();
        assert!(
            infer.allows(KeyScope::Infer)
                && !infer.allows(KeyScope::Manage)
                && !infer.allows(KeyScope::Admin)
        );

        let manage: KeyScopes = [KeyScope::Manage].into_iter().collect();
        assert!(!manage.allows(KeyScope::Infer) && manage.allows(KeyScope::Manage));
        assert!(KeyScope::ALL.into_iter().all(|scope| KeyScopes::ADMIN.allows(scope)));
        assert!(!KeyScope::ALL.into_iter().any(|scope| KeyScopes::default().allows(scope)));
    }
}
