//! What can be asked for now.
//!
//! The two flows meet here: requests read, the manager writes. Reading takes no lock. Each tenant
//! has a map of its own ([`TenantModels`]), and writing replaces that map by one pointer store, so
//! a request sees a model before a swap or after it, never during, and what one tenant publishes
//! touches no other's map.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::model::{InferError, ModelName, TenantName, Version, VersionPolicy};
use crate::servable::ServableHandle;

/// What can be asked for now. A clone is shallow.
#[derive(Clone, Default)]
pub struct Registry {
    tenants: Arc<ArcSwap<HashMap<TenantName, TenantModels>>>,
    changes: Arc<watch::Sender<()>>,
}

/// The models of one tenant, to publish what is known of them. A clone is shallow.
#[derive(Clone)]
pub struct TenantModels {
    known: Arc<ArcSwap<Known>>,
    changes: Arc<watch::Sender<()>>,
}

/// What is known of one tenant's models.
#[derive(Clone, Default)]
struct Known {
    models: HashMap<ModelName, Arc<Entry>>,
    /// Apart, because nobody can ask them anything.
    interceptors: HashMap<ModelName, Arc<Entry>>,
    /// Every version that serves, interceptors among them.
    serving: Vec<ServableHandle>,
}

/// What is known of one model.
#[derive(Clone, Default)]
pub struct Entry {
    /// The versions that serve, newest first.
    pub serving: Vec<ServableHandle>,
    /// Which versions are wanted. It is the model's: a version that serves need not load again for
    /// it.
    pub policy: VersionPolicy,
    /// Why a version that was asked for might not serve: what to tell the caller.
    pub note: String,
}

impl Registry {
    /// Finds a version that serves: the one named, or the newest. Fails with `NotReady` if the
    /// model is known and nothing of it that fits serves; with `ModelNotFound` otherwise.
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
                .ok_or_else(|| InferError::NotReady(entry.note.clone())),
            Some(version) => entry.version(version).cloned().ok_or(InferError::ModelNotFound),
        }
    }

    /// What is known of a model.
    pub fn entry(&self, tenant: &TenantName, model: &str) -> Option<Arc<Entry>> {
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

    /// Every version that serves, of all tenants, interceptors among them.
    pub fn serving(&self) -> Vec<ServableHandle> {
        self.tenants
            .load()
            .values()
            .flat_map(|models| models.known.load().serving.clone())
            .collect()
    }

    /// Whether a version, of a model or of an interceptor, serves.
    pub fn serves(&self, tenant: &TenantName, model: &ModelName, version: Version) -> bool {
        let tenants = self.tenants.load();
        tenants.get(tenant).is_some_and(|models| models.known.load().serves(model, version))
    }

    /// Makes room for a tenant's models, in place of those of a former tenant of that name.
    pub fn open(&self, tenant: &TenantName) -> TenantModels {
        let models = TenantModels { known: Arc::default(), changes: self.changes.clone() };
        self.tenants.rcu(|tenants| {
            let mut tenants = HashMap::clone(tenants);
            tenants.insert(tenant.clone(), models.clone());
            tenants
        });
        models
    }

    /// Forgets a tenant's models, unless a later tenant of that name has taken their place.
    pub fn close(&self, tenant: &TenantName, models: &TenantModels) {
        self.tenants.rcu(|tenants| {
            let mut tenants = HashMap::clone(tenants);
            if tenants.get(tenant).is_some_and(|other| Arc::ptr_eq(&other.known, &models.known)) {
                tenants.remove(tenant);
            }
            tenants
        });
    }

    /// Changes whenever other versions serve than before.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

impl TenantModels {
    /// Replaces what is known of these models, or forgets them. Versions left out can no longer be
    /// found; they drain as their requests end. Called by the tenant's own task alone: two writers
    /// would undo each other.
    pub fn publish(&self, changes: impl IntoIterator<Item = (ModelName, Option<Entry>)>) {
        let mut known = Known::clone(&self.known.load());
        let mut moved = false;
        for (model, entry) in changes {
            moved |= known.replace(model, entry);
        }

        if moved {
            known.serving =
                known.entries().flat_map(|entry| entry.serving.iter().cloned()).collect();
        }
        // The old map, with the handles in it, is dropped here and not on a request's thread.
        drop(self.known.swap(Arc::new(known)));

        if moved {
            self.changes.send_replace(());
        }
    }
}

impl Known {
    /// Replaces what is known of one model. Tells whether other versions of it serve than before.
    fn replace(&mut self, model: ModelName, entry: Option<Entry>) -> bool {
        let entries =
            if model.is_interceptor() { &mut self.interceptors } else { &mut self.models };
        let after = entry.as_ref().map(|entry| entry.serving.clone()).unwrap_or_default();
        let before = match entry {
            Some(entry) => entries.insert(model, Arc::new(entry)),
            None => entries.remove(&model),
        };
        let before = before.map(|entry| entry.serving.clone()).unwrap_or_default();
        before.len() != after.len()
            || !before.iter().zip(&after).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.models.values().chain(self.interceptors.values())
    }

    fn serves(&self, model: &ModelName, version: Version) -> bool {
        let entries = if model.is_interceptor() { &self.interceptors } else { &self.models };
        entries.get(model).is_some_and(|entry| entry.version(version).is_some())
    }
}

impl Entry {
    fn version(&self, version: Version) -> Option<&ServableHandle> {
        self.serving.iter().find(|servable| servable.id().version == version)
    }
}
