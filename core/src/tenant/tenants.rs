//! The tenants in force, and the identification of callers by API key.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::api_keys::ApiKeyIndex;
use super::{HostKey, KeyScopes, Tenant, TenantSettings};
use crate::model::{TenantName, hint};

/// The tenants in force. A clone is shallow; reading takes no lock.
#[derive(Clone, Default)]
pub struct Tenants {
    table: Arc<ArcSwap<TenantTable>>,
}

#[derive(Default)]
struct TenantTable {
    tenants: HashMap<TenantName, Arc<Tenant>>,
    keys: ApiKeyIndex<KeyOwner>,
}

/// The owner and the scopes of an API key.
#[derive(Clone)]
struct KeyOwner {
    /// `None` for a key of the host.
    tenant: Option<Arc<Tenant>>,
    scopes: KeyScopes,
    id: Arc<str>,
}

/// The identity of a caller.
#[derive(Clone)]
pub struct Identity {
    /// The tenant; `None` if the caller may act for any tenant and has named none.
    pub tenant: Option<Arc<Tenant>>,
    /// The scopes of the key.
    pub scopes: KeyScopes,
    /// The id of the key; `None` if no keys are configured.
    pub key: Option<Arc<str>>,
}

/// The reason for which a request is not authenticated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The request has no key.
    #[error("this server needs a key; send one as 'Authorization: Bearer KEY' or 'X-Api-Key: KEY'")]
    MissingKey,
    /// The request has several keys of a kind.
    #[error("the header Authorization or X-Api-Key is given more than once; send one key")]
    MultipleKeys,
    /// The key is not configured.
    #[error(
        "the key in this request is not known to this server; check that it is complete and was not revoked"
    )]
    UnknownKey,
    /// The key does not allow the header `Wardian-Tenant`.
    #[error("only a key with scope 'admin' may name a tenant; leave out the header Wardian-Tenant")]
    TenantHeaderNotAllowed,
    /// The tenant in the header does not exist. The text hints at similar names.
    #[error("the header Wardian-Tenant names no tenant of this server{0}")]
    UnknownTenant(String),
}

/// The faults of the configuration files of tenants; their contents are not in force. A clone is
/// shallow.
#[derive(Clone, Default)]
pub struct TenantConfigFaults(Arc<ArcSwap<Vec<String>>>);

impl TenantConfigFaults {
    /// Replaces the faults.
    pub fn set(&self, faults: Vec<String>) {
        self.0.store(Arc::new(faults));
    }

    /// Each fault with its file; empty while all files are in force.
    pub fn list(&self) -> Arc<Vec<String>> {
        self.0.load_full()
    }
}

/// The changes made by a new configuration.
#[derive(Default)]
pub struct TenantChanges {
    /// Tenants that are new, or that have another repository.
    pub added_or_moved: Vec<Arc<Tenant>>,
    /// Tenants that were removed.
    pub removed: Vec<Arc<Tenant>>,
}

impl Tenants {
    /// The tenants of a configuration. Without any API key, every caller is accepted.
    pub fn new(tenants: BTreeMap<TenantName, TenantSettings>, keys: Vec<HostKey>) -> Self {
        let all = Tenants::default();
        all.apply(tenants, keys);
        all
    }

    /// Applies a new configuration at once. Called by one task at a time.
    pub fn apply(
        &self,
        settings: BTreeMap<TenantName, TenantSettings>,
        keys: Vec<HostKey>,
    ) -> TenantChanges {
        let before = self.table.load_full();
        let mut changes = TenantChanges::default();
        let mut after = TenantTable::default();

        for (name, settings) in settings {
            let tenant = match before.tenants.get(&name) {
                Some(tenant) => {
                    if !tenant.settings().has_same_source(&settings) {
                        changes.added_or_moved.push(tenant.clone());
                    }
                    tenant.apply(settings);
                    tenant.clone()
                }
                None => {
                    let tenant = Tenant::new(name.clone(), settings);
                    changes.added_or_moved.push(tenant.clone());
                    tenant
                }
            };
            after.add(name, tenant);
        }

        for HostKey { id, digest, scopes } in keys {
            after.keys.insert(digest, KeyOwner { tenant: None, scopes, id: id.into() });
        }

        let gone = before.tenants.iter().filter(|(name, _)| !after.tenants.contains_key(*name));
        changes.removed = gone.map(|(_, tenant)| tenant.clone()).collect();
        changes.removed.iter().for_each(|tenant| tenant.mark_removed());
        self.table.store(Arc::new(after));

        changes
    }

    /// The tenant of this name.
    pub fn find(&self, name: &str) -> Option<Arc<Tenant>> {
        self.table.load().tenants.get(name).cloned()
    }

    /// The names of all tenants.
    pub fn names(&self) -> HashSet<TenantName> {
        self.table.load().tenants.keys().cloned().collect()
    }

    /// Every tenant, sorted by name.
    pub fn all(&self) -> Vec<Arc<Tenant>> {
        let mut all: Vec<_> = self.table.load().tenants.values().cloned().collect();
        all.sort_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// True if callers need an API key.
    pub fn require_keys(&self) -> bool {
        !self.table.load().keys.is_empty()
    }

    /// Identifies the caller of a request by its key and the tenant it names.
    pub fn identify(&self, key: Option<&[u8]>, named: Option<&str>) -> Result<Identity, AuthError> {
        let table = self.table.load();
        let caller =
            if table.keys.is_empty() { table.unauthenticated() } else { table.key_owner(key)? };
        let Some(name) = named else { return Ok(caller) };
        if !caller.scopes.allows(super::KeyScope::Admin) {
            return Err(AuthError::TenantHeaderNotAllowed);
        }

        let tenant = table.tenants.get(name).ok_or_else(|| table.unknown_tenant(name))?;
        Ok(Identity { tenant: Some(tenant.clone()), ..caller })
    }
}

impl TenantTable {
    fn add(&mut self, name: TenantName, tenant: Arc<Tenant>) {
        for key in &tenant.settings().keys {
            let holder = KeyOwner {
                tenant: Some(tenant.clone()),
                scopes: key.scopes,
                id: key.id.as_str().into(),
            };
            self.keys.insert(key.digest, holder);
        }

        self.tenants.insert(name, tenant);
    }

    /// Without keys, every caller has all scopes, and acts for the default tenant or the only one.
    fn unauthenticated(&self) -> Identity {
        let default = self.tenants.get(TenantName::DEFAULT);
        let only = self.tenants.values().next().filter(|_| self.tenants.len() == 1);
        Identity { tenant: default.or(only).cloned(), scopes: KeyScopes::ADMIN, key: None }
    }

    fn unknown_tenant(&self, name: &str) -> AuthError {
        let mut names: Vec<_> = self.tenants.keys().map(TenantName::as_str).collect();
        names.sort_unstable();
        AuthError::UnknownTenant(hint("tenants", name, names))
    }

    fn key_owner(&self, key: Option<&[u8]>) -> Result<Identity, AuthError> {
        let key = key.filter(|key| !key.is_empty()).ok_or(AuthError::MissingKey)?;
        let KeyOwner { tenant, scopes, id } = self.keys.find(key).ok_or(AuthError::UnknownKey)?;
        Ok(Identity { tenant: tenant.clone(), scopes: *scopes, key: Some(id.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;
    use crate::tenant::{ApiKey, KeyScope, RepositoryLocation};

    fn key(id: &str, scope: KeyScope) -> ApiKey {
        ApiKey {
            id: id.into(),
            digest: Digest::sha256(id.as_bytes()),
            scopes: [scope].into_iter().collect(),
        }
    }

    fn tenant(keys: &[ApiKey]) -> TenantSettings {
        TenantSettings { keys: keys.to_vec(), ..TenantSettings::default() }
    }

    fn settings(tenants: &[(&str, TenantSettings)]) -> BTreeMap<TenantName, TenantSettings> {
        tenants
            .iter()
            .map(|(name, settings)| (TenantName::new(name).unwrap(), settings.clone()))
            .collect()
    }

    fn name(caller: &Identity) -> Option<String> {
        caller.tenant.as_ref().map(|tenant| tenant.name().to_string())
    }

    #[test]
    fn a_key_identifies_its_tenant_and_only_admin_may_name_one() {
        let both = settings(&[
            ("a", tenant(&[key("ka", KeyScope::Infer)])),
            ("b", tenant(&[key("kb", KeyScope::Admin)])),
        ]);
        let tenants = Tenants::new(both, vec![key("host", KeyScope::Admin)]);
        let who = |key: &str, named: Option<&str>| tenants.identify(Some(key.as_bytes()), named);

        assert_eq!(name(&who("ka", None).unwrap()).as_deref(), Some("a"));
        assert_eq!(who("ka", Some("a")).err(), Some(AuthError::TenantHeaderNotAllowed));
        assert_eq!(who("ka", Some("nobody")).err(), Some(AuthError::TenantHeaderNotAllowed));
        assert_eq!(name(&who("kb", Some("a")).unwrap()).as_deref(), Some("a"));
        assert_eq!(name(&who("host", None).unwrap()), None);

        let unknown = AuthError::UnknownTenant("; there are the tenants 'a', 'b'".into());
        assert_eq!(who("host", Some("c")).err(), Some(unknown));
        assert_eq!(who("wrong", None).err(), Some(AuthError::UnknownKey));
        assert_eq!(who("", None).err(), Some(AuthError::MissingKey));
        assert_eq!(tenants.identify(None, None).err(), Some(AuthError::MissingKey));
    }

    #[test]
    fn without_keys_every_caller_acts_for_the_default_tenant_or_the_only_one() {
        let only = Tenants::new(settings(&[("a", tenant(&[]))]), Vec::new());
        assert_eq!(name(&only.identify(None, None).unwrap()).as_deref(), Some("a"));
        let many = Tenants::new(settings(&[("a", tenant(&[])), ("b", tenant(&[]))]), Vec::new());
        assert_eq!(name(&many.identify(Some(b"whatever"), None).unwrap()), None);
        assert_eq!(name(&many.identify(None, Some("b")).unwrap()).as_deref(), Some("b"));
        assert!(!many.require_keys());
    }

    #[test]
    fn a_tenant_keeps_its_resources_when_its_settings_change() {
        let tenants = Tenants::new(settings(&[("a", tenant(&[])), ("b", tenant(&[]))]), Vec::new());
        let a = tenants.find("a").unwrap();
        let held = a.take(crate::tenant::Resource::Memory, 7).unwrap();
        let moved = TenantSettings {
            repository: RepositoryLocation::Directory("elsewhere".into()),
            weight: 3,
            ..TenantSettings::default()
        };
        let changes = tenants.apply(settings(&[("a", moved), ("c", tenant(&[]))]), Vec::new());
        let names = |tenants: &[Arc<Tenant>]| {
            tenants.iter().map(|one| one.name().to_string()).collect::<Vec<_>>()
        };

        assert_eq!(
            (names(&changes.added_or_moved), names(&changes.removed)),
            (vec!["a".into(), "c".into()], vec!["b".into()])
        );
        assert!(Arc::ptr_eq(&a, &tenants.find("a").unwrap()) && !a.is_removed());
        assert!(changes.removed[0].is_removed());
        assert_eq!((a.used(crate::tenant::Resource::Memory), a.settings().weight), (7, 3));

        drop(held);
    }
}
