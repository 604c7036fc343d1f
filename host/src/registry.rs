//! The models and versions that can be called now.
//!
//! Requests read the registry, the manager writes it. Reading takes no lock. Each tenant has its
//! own map ([`TenantModels`]), which a write replaces with one pointer store. A request therefore
//! sees a model before a swap or after it, never between, and a publish for one tenant touches no
//! other tenant's map.

mod counted_routes;
mod path_tree;
mod route_table;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::model::{
    InferError, ModelName, ModelRoute, ModelRoutes, Retention, RouteMethod, TenantName, Version,
    VersionPolicy, route_conflict,
};
use crate::servable::ServableHandle;
use counted_routes::{CountedRoutes, RouteCount};
use route_table::RouteTable;

#[cfg(fuzzing)]
pub(crate) use route_table::fuzzing;

/// The models of all tenants. A clone is shallow.
#[derive(Clone, Default)]
pub struct Registry {
    tenants: Arc<ArcSwap<HashMap<TenantName, TenantModels>>>,
    route_count: RouteCount,
    changes: Arc<watch::Sender<()>>,
}

/// One tenant's part of the registry, for the writer. A clone is shallow.
#[derive(Clone)]
pub struct TenantModels {
    known: Arc<ArcSwap<ModelMap>>,
    route_count: RouteCount,
    changes: Arc<watch::Sender<()>>,
}

/// The models of one tenant.
#[derive(Clone, Default)]
struct ModelMap {
    models: HashMap<ModelName, Arc<ModelEntry>>,
    /// Kept separately, because callers cannot call interceptors.
    interceptors: HashMap<ModelName, Arc<ModelEntry>>,
    /// All serving versions, interceptors included.
    serving: Vec<ServableHandle>,
    /// The routes of the newest serving version of each model, each with the model; `None` if no
    /// model has ever had any.
    routes: Option<Arc<CountedRoutes<ModelName>>>,
}

/// The changes of a publish to a model.
#[derive(Clone, Copy, Default)]
struct Change {
    /// Its serving versions.
    versions: bool,
    /// The routes of its newest serving version.
    routes: bool,
}

/// The result of a search among the routes of a tenant's models.
pub enum RouteSearch {
    /// A route, the version that answers it, and the values of the parameters in the path.
    Found(Arc<ModelRoute>, ServableHandle, Vec<String>),
    /// The path has routes with these methods alone.
    OtherMethods(Vec<RouteMethod>),
    /// There is no such path.
    Nothing,
}

/// One model.
#[derive(Clone, Default)]
pub struct ModelEntry {
    /// Serving versions, newest first.
    pub serving: Vec<ServableHandle>,
    /// The model's version policy. It belongs to the model: a changed policy does not reload a
    /// serving version.
    pub policy: VersionPolicy,
    /// Old versions that are kept in the repository; `None` if none is deleted.
    pub retention: Option<Retention>,
    /// The reason that a requested version may not serve, for the caller.
    pub not_ready_reason: String,
}

impl Registry {
    /// Finds a serving version: the given one, or the newest. Fails with `NotReady` if the model is
    /// known but has no serving version, and with `ModelNotFound` if the model or the given version
    /// is unknown.
    pub fn find(
        &self,
        tenant: &TenantName,
        model: &str,
        version: Option<Version>,
    ) -> Result<ServableHandle, InferError> {
        let entry = self.entry(tenant, model).ok_or(InferError::ModelNotFound)?;
        match version {
            None => entry
                .serving
                .first()
                .cloned()
                .ok_or_else(|| InferError::NotReady(entry.not_ready_reason.clone())),
            Some(version) => entry.version(version).cloned().ok_or(InferError::ModelNotFound),
        }
    }

    /// Returns a model's entry; `None` if the model is unknown.
    pub fn entry(&self, tenant: &TenantName, model: &str) -> Option<Arc<ModelEntry>> {
        self.tenants.load().get(tenant)?.known.load().models.get(model).cloned()
    }

    /// The names of a tenant's models, sorted.
    pub fn names(&self, tenant: &TenantName) -> Vec<ModelName> {
        let tenants = self.tenants.load();
        let Some(models) = tenants.get(tenant) else { return Vec::new() };
        let mut names: Vec<_> = models.known.load().models.keys().cloned().collect();
        names.sort();
        names
    }

    /// Finds the route of a tenant's models for a path and a method.
    pub fn find_route(
        &self,
        tenant: &TenantName,
        method: Option<RouteMethod>,
        path: &str,
    ) -> RouteSearch {
        let tenants = self.tenants.load();
        let Some(models) = tenants.get(tenant) else { return RouteSearch::Nothing };

        let known = models.known.load();
        let Some(found) = known.routes.as_ref().and_then(|routes| routes.table().at(path)) else {
            return RouteSearch::Nothing;
        };
        let Some((route, model)) = method.and_then(|method| found.with_method(method)) else {
            return RouteSearch::OtherMethods(found.methods());
        };

        match known.models.get(model).and_then(|entry| entry.serving.first()) {
            Some(newest) => RouteSearch::Found(route.clone(), newest.clone(), found.values),
            None => RouteSearch::Nothing,
        }
    }

    /// True if a model of any tenant has routes.
    pub fn has_routes(&self) -> bool {
        !self.route_count.is_zero()
    }

    /// True if a model of the tenant has routes.
    pub fn tenant_has_routes(&self, tenant: &TenantName) -> bool {
        let tenants = self.tenants.load();
        let Some(models) = tenants.get(tenant) else { return false };
        models.known.load().routes.as_ref().is_some_and(|routes| !routes.table().is_empty())
    }

    /// Returns the reason that a tenant's model cannot have these routes; `None` if it can.
    pub fn route_conflict(
        &self,
        tenant: &TenantName,
        model: &ModelName,
        routes: &ModelRoutes,
    ) -> Option<String> {
        let tenants = self.tenants.load();
        let known = tenants.get(tenant)?.known.load();
        let others = known.models.iter().filter(|(name, _)| *name != model);
        route_conflict(routes, others.map(|(name, entry)| (name, entry.routes())))
    }

    /// All serving versions of all tenants, interceptors included.
    pub fn serving(&self) -> Vec<ServableHandle> {
        self.tenants
            .load()
            .values()
            .flat_map(|models| models.known.load().serving.clone())
            .collect()
    }

    /// True if that version of a model or interceptor serves.
    pub fn serves(&self, tenant: &TenantName, model: &ModelName, version: Version) -> bool {
        let tenants = self.tenants.load();
        tenants.get(tenant).is_some_and(|models| models.known.load().serves(model, version))
    }

    /// Adds a tenant without models. Replaces the models of a former tenant with the same name.
    pub fn add_tenant(&self, tenant: &TenantName) -> TenantModels {
        let models = TenantModels {
            known: Arc::default(),
            route_count: self.route_count.clone(),
            changes: self.changes.clone(),
        };
        self.tenants.rcu(|tenants| {
            let mut tenants = HashMap::clone(tenants);
            tenants.insert(tenant.clone(), models.clone());
            tenants
        });
        models
    }

    /// Removes a tenant's models, unless a later tenant with the same name has replaced them.
    pub fn remove_tenant(&self, tenant: &TenantName, models: &TenantModels) {
        self.tenants.rcu(|tenants| {
            let mut tenants = HashMap::clone(tenants);
            if tenants.get(tenant).is_some_and(|other| Arc::ptr_eq(&other.known, &models.known)) {
                tenants.remove(tenant);
            }
            tenants
        });
    }

    /// Changes whenever the set of serving versions changes.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

impl TenantModels {
    /// Replaces the given models' entries; `None` removes a model. Removed versions can no longer
    /// be found and drain as their requests end. Only the tenant's own task may call it: concurrent
    /// writers would overwrite each other.
    pub fn publish(&self, changes: impl IntoIterator<Item = (ModelName, Option<ModelEntry>)>) {
        let mut known = ModelMap::clone(&self.known.load());
        let mut all = Change::default();
        for (model, entry) in changes {
            let change = known.replace(model, entry);
            all.versions |= change.versions;
            all.routes |= change.routes;
        }

        if all.versions {
            known.serving =
                known.entries().flat_map(|entry| entry.serving.iter().cloned()).collect();
        }
        // The table is large, and most new versions keep their routes.
        if all.routes {
            known.routes = Some(Arc::new(self.route_count.add(known.route_table())));
        }
        // Drops the old map and its handles here rather than on a request's thread.
        drop(self.known.swap(Arc::new(known)));

        if all.versions {
            self.changes.send_replace(());
        }
    }
}

impl ModelMap {
    /// Replaces one model's entry.
    fn replace(&mut self, model: ModelName, entry: Option<ModelEntry>) -> Change {
        let entries =
            if model.is_interceptor() { &mut self.interceptors } else { &mut self.models };
        let after = entry.map(Arc::new);
        let before = match &after {
            Some(entry) => entries.insert(model, entry.clone()),
            None => entries.remove(&model),
        };

        let [before, after] = [before, after].map(Option::unwrap_or_default);
        let same_versions = before.serving.len() == after.serving.len()
            && before
                .serving
                .iter()
                .zip(&after.serving)
                .all(|(one, other)| Arc::ptr_eq(one, other));
        Change { versions: !same_versions, routes: before.routes() != after.routes() }
    }

    fn entries(&self) -> impl Iterator<Item = &Arc<ModelEntry>> {
        self.models.values().chain(self.interceptors.values())
    }

    fn route_table(&self) -> RouteTable<ModelName> {
        RouteTable::new(self.models.iter().flat_map(|(model, entry)| {
            entry.routes().iter().map(|route| (route.clone(), model.clone()))
        }))
    }

    fn serves(&self, model: &ModelName, version: Version) -> bool {
        let entries = if model.is_interceptor() { &self.interceptors } else { &self.models };
        entries.get(model).is_some_and(|entry| entry.version(version).is_some())
    }
}

impl ModelEntry {
    /// The routes of the newest serving version.
    fn routes(&self) -> &ModelRoutes {
        self.serving.first().map_or(&[], |servable| &servable.settings().routes)
    }

    fn version(&self, version: Version) -> Option<&ServableHandle> {
        self.serving.iter().find(|servable| servable.id().version == version)
    }
}
