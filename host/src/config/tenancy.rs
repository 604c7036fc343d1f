//! Tenants and keys, merged from all files.

use std::collections::BTreeMap;
use std::path::Path;

use super::host_file::HostFile;
use super::tenant_file::TenantEntry;
use crate::model::TenantName;
use crate::tenant::{HostKey, RepositoryLocation, TenantSettings};

/// The tenants and the host's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenancy {
    /// All tenants with their settings; at least one.
    pub tenants: BTreeMap<TenantName, TenantSettings>,
    /// Keys of the host, which belong to no tenant.
    pub keys: Vec<HostKey>,
}

impl Tenancy {
    /// Returns the tenancy of a host without configured tenants: one tenant without quotas.
    pub fn single(models: RepositoryLocation) -> Self {
        let settings = TenantSettings::unlimited(models);
        Tenancy { tenants: [(TenantName::default_tenant(), settings)].into(), keys: Vec::new() }
    }

    /// True if requests need a key.
    pub fn requires_keys(&self) -> bool {
        !self.keys.is_empty() || self.tenants.values().any(|tenant| !tenant.keys.is_empty())
    }

    /// Reserves connections: with several tenants, each may use at most three quarters of
    /// `connections` concurrently.
    pub fn sharing(mut self, connections: u32) -> Self {
        let share = u64::from(connections - connections / 4);
        if self.tenants.len() > 1 {
            self.tenants
                .values_mut()
                .for_each(|tenant| tenant.quota.concurrency = tenant.quota.concurrency.min(share));
        }

        self
    }

    /// Merges the files. Relative defaults are relative to `base`. The last definition of a tenant
    /// counts; duplicates are reported by `clashes`.
    pub(super) fn from_files(host: &HostFile, tenants: &[&TenantEntry], base: &Path) -> Self {
        let keys = host.keys.iter().map(|located| located.key.clone()).collect();
        if tenants.is_empty() {
            let mut single =
                Tenancy { keys, ..Tenancy::single(host.config.repository.models.clone()) };
            single
                .tenants
                .values_mut()
                .for_each(|tenant| tenant.refresh = host.config.repository.refresh);
            return single;
        }

        let resolved = |entry: &&TenantEntry| (entry.name.clone(), entry.resolve(host, base));
        Tenancy { tenants: tenants.iter().map(resolved).collect(), keys }
    }
}

impl TenantEntry {
    fn resolve(&self, host: &HostFile, base: &Path) -> TenantSettings {
        TenantSettings {
            repository: self.repository(host, base),
            refresh: self.refresh.unwrap_or(host.config.repository.refresh),
            keys: self.keys.iter().map(|located| located.key.clone()).collect(),
            ..self.settings.clone()
        }
    }

    /// Returns the tenant's repository.
    pub(super) fn repository(&self, host: &HostFile, base: &Path) -> RepositoryLocation {
        let inherited = host.models.clone().filter(|_| self.inherits_models());
        let given = self.repository.clone().or(inherited);
        given.unwrap_or_else(|| base.join("models").join(self.name.as_str()).into())
    }

    /// True if the host's `models` is the tenant's repository.
    pub(super) fn inherits_models(&self) -> bool {
        self.repository.is_none() && self.name.as_str() == TenantName::DEFAULT
    }
}
