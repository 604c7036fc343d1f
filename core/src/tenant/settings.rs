//! The settings of a tenant, as its operator configures them.

use std::path::PathBuf;
use std::time::Duration;

use super::ceilings::Ceilings;
use super::grants::{AllowedOrigins, AllowedRuntimes, TenantGrants};
use super::quota::Quota;
use super::{ApiKey, RepositoryLocation};

/// The settings of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantSettings {
    /// The location of its models.
    pub repository: RepositoryLocation,
    /// Interval of scans for a repository that announces no changes.
    pub refresh: Duration,
    /// Its weight relative to other tenants when the cores are contended.
    pub weight: u32,
    /// Its API keys.
    pub keys: Vec<ApiKey>,
    /// Its quota.
    pub quota: Quota,
    /// Upper bounds for the settings of its models.
    pub ceilings: Ceilings,
    /// Capabilities that its models may be granted.
    pub grants: TenantGrants,
    /// The runtimes that may serve its model files.
    pub runtimes: AllowedRuntimes,
    /// Its database; `None` for a file of its own in the state directory.
    pub database: Option<PostgresSettings>,
}

/// A PostgreSQL database of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Its address, without a password.
    pub url: String,
    /// The source of the password; `None` if it takes none.
    pub password: Option<PasswordSource>,
}

/// The source of a password. The configuration never holds the password itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// The only line of a file.
    File(PathBuf),
    /// A variable of the host's environment.
    Variable(String),
}

/// A key of the host: it has scope `admin`, and its requests must name a tenant.
pub type HostKey = ApiKey;

/// Soon enough for a change that no caller waits for; listing a thousand objects costs a store
/// little.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(600);

impl Default for TenantSettings {
    fn default() -> Self {
        TenantSettings {
            repository: RepositoryLocation::Directory("models".into()),
            refresh: DEFAULT_REFRESH,
            weight: 1,
            keys: Vec::new(),
            quota: Quota::default(),
            ceilings: Ceilings::default(),
            grants: TenantGrants::default(),
            runtimes: AllowedRuntimes::default(),
            database: None,
        }
    }
}

impl TenantSettings {
    /// Settings without limits, for a tenant whose owner also runs the host.
    pub fn unlimited(repository: RepositoryLocation) -> Self {
        let grants = TenantGrants { http: AllowedOrigins::Any };
        TenantSettings {
            repository,
            quota: Quota::unlimited(),
            grants,
            ..TenantSettings::default()
        }
    }

    /// True if its repository and the interval of its scans are the same.
    pub fn has_same_source(&self, other: &TenantSettings) -> bool {
        self.repository == other.repository
            && (self.refresh == other.refresh || self.repository.directory().is_some())
    }
}
