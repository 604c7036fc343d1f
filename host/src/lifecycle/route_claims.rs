//! The routes of a tenant's models that serve or are about to.
//!
//! A route is claimed before its version is published, so that of two models that load at the same
//! time only one gets it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::ModelRecord;
use crate::model::{ModelName, ModelRoute, Version, route_conflict};
use crate::repository::Digest;

/// The claimed routes, by model.
#[derive(Default)]
pub(super) struct RouteClaims {
    claims: BTreeMap<ModelName, Vec<Claim>>,
}

/// The routes of one content of a version.
struct Claim {
    version: Version,
    digest: Digest,
    routes: Vec<Arc<ModelRoute>>,
}

impl RouteClaims {
    /// Claims the routes of a content that is about to be published. Fails with the reason if
    /// another model has one of them.
    pub(super) fn claim(
        &mut self,
        model: &ModelName,
        version: Version,
        digest: Digest,
        routes: &[Arc<ModelRoute>],
    ) -> Result<(), String> {
        if routes.is_empty() {
            return Ok(());
        }

        let others = self.claims.iter().filter(|(name, _)| *name != model);
        let others = others.flat_map(|(name, claims)| {
            claims.iter().map(move |claim| (name, claim.routes.as_slice()))
        });
        if let Some(reason) = route_conflict(routes, others) {
            return Err(reason);
        }

        let claim = Claim { version, digest, routes: routes.to_vec() };
        self.claims.entry(model.clone()).or_default().push(claim);

        Ok(())
    }

    /// Gives back the routes of contents that neither serve nor are being loaded. Returns true if
    /// there were any.
    pub(super) fn release(&mut self, model: &ModelName, record: Option<&ModelRecord>) -> bool {
        let Some(claims) = self.claims.get_mut(model) else { return false };

        let before = claims.len();
        claims.retain(|claim| {
            record.is_some_and(|record| record.holds_content(claim.version, claim.digest))
        });
        let released = claims.len() < before;
        if claims.is_empty() {
            self.claims.remove(model);
        }

        released
    }
}
