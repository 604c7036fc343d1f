//! Origins and runtimes that a tenant's models may use.

use crate::model::Origin;

/// Capabilities that a tenant's models are granted on request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantGrants {
    /// Destinations of outgoing HTTP requests.
    pub http: AllowedOrigins,
}

/// The runtimes that may serve a tenant's model files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedRuntimes {
    /// Every runtime: each is confined like the tenant's own components.
    #[default]
    Any,
    /// Those of these names and no others.
    Listed(Vec<String>),
}

impl AllowedRuntimes {
    /// Checks the runtime of a model file. Fails with the setting that excludes it.
    pub fn check(&self, runtime: &str) -> Result<(), String> {
        match self {
            AllowedRuntimes::Listed(listed) if !listed.iter().any(|name| name == runtime) => {
                Err(format!(
                    "the runtime '{runtime}' may not serve this tenant's model files; the operator can list it in the \
                 tenant's `runtimes`"
                ))
            }
            AllowedRuntimes::Any | AllowedRuntimes::Listed(_) => Ok(()),
        }
    }
}

/// Origins that a tenant's models may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every origin: the owner of these models also runs the host.
    Any,
    /// These origins and no others.
    Listed(Vec<Origin>),
}

impl Default for AllowedOrigins {
    fn default() -> Self {
        AllowedOrigins::Listed(Vec::new())
    }
}

impl AllowedOrigins {
    /// Checks the origins that a model requests. Fails with those that it may not call.
    pub fn check(&self, asked: &[Origin]) -> Result<(), String> {
        let AllowedOrigins::Listed(listed) = self else { return Ok(()) };

        let refused: Vec<_> =
            asked.iter().filter(|origin| !listed.contains(origin)).map(Origin::to_string).collect();
        if refused.is_empty() {
            return Ok(());
        }

        Err(format!(
            "capabilities.http: this tenant's models may not call {}; the operator can list it in the tenant's grants",
            refused.join(", ")
        ))
    }
}
