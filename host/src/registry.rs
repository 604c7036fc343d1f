//! What can be asked for now.
//!
//! The two flows meet here: requests read, the manager writes. Reading takes no lock; writing replaces
//! the whole map by one pointer store, so a request sees a model before a swap or after it, never during.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::model::{InferError, ModelName, TenantName, Version, VersionPolicy};
use crate::servable::ServableHandle;

/// What can be asked for now. A clone is shallow.
#[derive(Clone, Default)]
pub struct Registry {
    tenants: Arc<ArcSwap<HashMap<TenantName, Known>>>,
    changes: Arc<watch::Sender<()>>,
}

/// What is known of one tenant.
#[derive(Clone, Default)]
struct Known {
    models: HashMap<ModelName, Arc<Entry>>,
    /// Apart, because nobody can ask them anything.
    interceptors: HashMap<ModelName, Arc<Entry>>,
}

/// What is known of one model.
#[derive(Clone, Default)]
pub struct Entry {
    /// The versions that serve, newest first.
    pub serving: Vec<ServableHandle>,
    /// Which versions are wanted. It is the model's: a version that serves need not load again for it.
    pub policy: VersionPolicy,
    /// Why a version that was asked for might not serve: what to tell the caller.
    pub note: String,
}

impl Registry {
    /// Finds a version that serves: the one named, or the newest. Fails with `NotReady` if the model is
    /// known and nothing of it that fits serves; with `ModelNotFound` otherwise.
    pub fn find(
        &self,
        tenant: &TenantName,
        model: &str,
        version: Option<Version>,
    ) -> Result<ServableHandle, InferError> {
        let tenants = self.tenants.load();
        let entry = tenants.get(tenant).and_then(|known| known.models.get(model)).ok_or(InferError::ModelNotFound)?;
        match version {
            None => entry.serving.first().cloned().ok_or_else(|| InferError::NotReady(entry.note.clone())),
            Some(version) => {
                let found = entry.serving.iter().find(|servable| servable.id().version == version);
                found.cloned().ok_or(InferError::ModelNotFound)
            }
        }
    }

    /// What is known of a model.
    pub fn entry(&self, tenant: &TenantName, model: &str) -> Option<Arc<Entry>> {
        self.tenants.load().get(tenant)?.models.get(model).cloned()
    }

    /// The names of a tenant's models, sorted.
    pub fn names(&self, tenant: &TenantName) -> Vec<ModelName> {
        let tenants = self.tenants.load();
        let known = tenants.get(tenant).into_iter();
        let mut names: Vec<_> = known.flat_map(|known| known.models.keys().cloned()).collect();
        names.sort();
        names
    }

    /// Every version that serves, of all tenants, interceptors among them.
    pub fn serving(&self) -> Vec<ServableHandle> {
        let tenants = self.tenants.load();
        let entries = tenants.values().flat_map(|known| known.models.values().chain(known.interceptors.values()));
        entries.flat_map(|entry| entry.serving.iter().cloned()).collect()
    }

    /// Replaces what is known of these models, or forgets them. Versions left out can no longer be found;
    /// they drain as their requests end. Called by the manager alone: two writers would undo each other.
    pub fn publish(&self, changes: impl IntoIterator<Item = (TenantName, ModelName, Option<Entry>)>) {
        let mut tenants = HashMap::clone(&self.tenants.load());
        for (tenant, model, entry) in changes {
            let known = tenants.entry(tenant).or_default();
            let entries = if model.is_interceptor() { &mut known.interceptors } else { &mut known.models };
            match entry {
                Some(entry) => entries.insert(model, Arc::new(entry)),
                None => entries.remove(&model),
            };
        }
        tenants.retain(|_, known| !known.models.is_empty() || !known.interceptors.is_empty());
        // The old map, with the handles in it, is dropped here and not on a request's thread.
        drop(self.tenants.swap(Arc::new(tenants)));
        self.changes.send_replace(());
    }

    /// Changes whenever something was published.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}
