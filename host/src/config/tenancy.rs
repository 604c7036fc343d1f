//! Which tenants there are and who may ask, put together from every file that says something of it.

use std::collections::BTreeMap;
use std::path::Path;

use super::file::Host;
use super::tenants::TenantEntry;
use crate::model::TenantName;
use crate::tenant::{HostKey, Site, TenantSettings};

/// The tenants, and the keys that belong to none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenancy {
    /// Every tenant with what is in force for it; at least one.
    pub tenants: BTreeMap<TenantName, TenantSettings>,
    /// The host's own keys.
    pub keys: Vec<HostKey>,
}

impl Tenancy {
    /// A host that has configured no tenants: one, which may use whatever there is.
    pub fn single(models: Site) -> Self {
        let settings = TenantSettings::unlimited(models);
        Tenancy { tenants: [(TenantName::default_tenant(), settings)].into(), keys: Vec::new() }
    }

    /// Whether anybody has to show a key.
    pub fn asks_for_keys(&self) -> bool {
        !self.keys.is_empty() || self.tenants.values().any(|tenant| !tenant.keys.is_empty())
    }

    /// Keeps connections for others: where there are several tenants, none may have requests under
    /// way on more than three quarters of so many connections.
    pub fn sharing(mut self, connections: u32) -> Self {
        let share = u64::from(connections - connections / 4);
        if self.tenants.len() > 1 {
            self.tenants
                .values_mut()
                .for_each(|tenant| tenant.quota.concurrency = tenant.quota.concurrency.min(share));
        }
        self
    }

    /// Puts together what was said. Relative defaults are relative to `base`. Of a tenant that is
    /// there twice the last counts; that it is there twice is for `clashes` to find.
    pub(super) fn of(host: &Host, tenants: &[&TenantEntry], base: &Path) -> Self {
        let keys = host.keys.iter().map(|placed| placed.key.clone()).collect();
        if tenants.is_empty() {
            let mut single =
                Tenancy { keys, ..Tenancy::single(host.config.repository.models.clone()) };
            single
                .tenants
                .values_mut()
                .for_each(|tenant| tenant.refresh = host.config.repository.refresh);
            return single;
        }
        let settled = |entry: &&TenantEntry| (entry.name.clone(), entry.settle(host, base));
        Tenancy { tenants: tenants.iter().map(settled).collect(), keys }
    }
}

impl TenantEntry {
    fn settle(&self, host: &Host, base: &Path) -> TenantSettings {
        TenantSettings {
            repository: self.repository(host, base),
            refresh: self.refresh.unwrap_or(host.config.repository.refresh),
            keys: self.keys.iter().map(|placed| placed.key.clone()).collect(),
            ..self.settings.clone()
        }
    }

    /// Where its models are.
    pub(super) fn repository(&self, host: &Host, base: &Path) -> Site {
        let inherited = host.models.clone().filter(|_| self.inherits());
        let given = self.repository.clone().or(inherited);
        given.unwrap_or_else(|| base.join("models").join(self.name.as_str()).into())
    }

    /// Whether the host's own `models` is its repository.
    pub(super) fn inherits(&self) -> bool {
        self.repository.is_none() && self.name.as_str() == TenantName::DEFAULT
    }
}
