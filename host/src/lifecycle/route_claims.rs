//! The routes of a tenant's models that serve or are about to.
//!
//! A route is claimed before its version is published, so that of two models that load at the same
//! time only one gets it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model_record::ModelRecord;
use crate::model::{ModelName, ModelRoute, Version, route_conflict};
use crate::repository::Digest;

/// Limit of the routes of a tenant's models. Their table is built again when one changes.
const MAX_ROUTES: usize = 4096;

/// The claimed routes, by model.
#[derive(Default)]
pub(super) struct RouteClaims {
    claims: BTreeMap<ModelName, Vec<Claim>>,
    /// The contents whose claim was refused and whose load has not ended yet.
    refused: BTreeMap<ModelName, Vec<Claim>>,
}

/// The routes of one content of a version.
struct Claim {
    version: Version,
    digest: Digest,
    routes: Vec<Arc<ModelRoute>>,
}

impl Claim {
    fn is_of(&self, version: Version, digest: Digest) -> bool {
        self.version == version && self.digest == digest
    }
}

impl RouteClaims {
    /// Claims the routes of a content that is about to be published. Fails with the reason if
    /// another model has one of them, or the tenant's models would have too many.
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

        let conflict = self.conflict(model, routes);
        let claims = if conflict.is_some() { &mut self.refused } else { &mut self.claims };
        let claims = claims.entry(model.clone()).or_default();
        claims.retain(|claim| !claim.is_of(version, digest));
        claims.push(Claim { version, digest, routes: routes.to_vec() });

        conflict.map_or(Ok(()), Err)
    }

    /// Returns the reason that a model cannot have these routes; `None` if it can.
    fn conflict(&self, model: &ModelName, routes: &[Arc<ModelRoute>]) -> Option<String> {
        let others = self.claims.iter().filter(|(name, _)| *name != model);
        let of_model = |claims: &Vec<Claim>| claims.iter().map(|claim| claim.routes.len()).max();
        let count: usize = others.clone().filter_map(|(_, claims)| of_model(claims)).sum();
        if count + routes.len() > MAX_ROUTES {
            let own = routes.len();
            return Some(format!(
                "the tenant's other models have {count} routes, and with the {own} of this one \
                 there would be more than {MAX_ROUTES}; remove some"
            ));
        }

        let others = others.flat_map(|(name, claims)| {
            claims.iter().map(move |claim| (name, claim.routes.as_slice()))
        });

        route_conflict(routes, others)
    }

    /// Forgets a refused claim, because the load of its content has ended. Returns true if the
    /// routes have become free since it was refused.
    pub(super) fn take_refused(
        &mut self,
        model: &ModelName,
        version: Version,
        digest: Digest,
    ) -> bool {
        let Some(claims) = self.refused.get_mut(model) else { return false };
        let at = claims.iter().position(|claim| claim.is_of(version, digest));
        let refused = at.map(|at| claims.swap_remove(at));
        if claims.is_empty() {
            self.refused.remove(model);
        }

        refused.is_some_and(|claim| self.conflict(model, &claim.routes).is_none())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::parse_model_toml;

    #[test]
    fn the_routes_of_a_tenant_are_limited() {
        let version = Version::new(1).unwrap();
        let digest = Digest::sha256(b"a");
        let mut claims = RouteClaims::default();
        let mut claim = |number: usize, count: usize| {
            let routes = (0..count).map(|at| format!("[[routes]]\npath = '/{number}/{at}'\n"));
            let routes = parse_model_toml(&routes.collect::<String>()).unwrap().routes;
            let model = ModelName::new(&format!("model-{number}")).unwrap();
            claims.claim(&model, version, digest, &routes)
        };

        for number in 0..64 {
            assert_eq!(claim(number, 64), Ok(()));
        }
        // A model may be loaded again, and one without routes fits always.
        assert_eq!(claim(7, 64), Ok(()));
        assert_eq!(claim(64, 0), Ok(()));
        let reason = claim(64, 1).unwrap_err();
        assert!(reason.contains("have 4096 routes, and with the 1 of this one"), "{reason}");
        assert_eq!(claim(7, 63), Ok(()));
        assert!(claim(64, 2).is_err());
    }
}
