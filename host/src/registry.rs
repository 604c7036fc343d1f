//! What can be asked for now.
//!
//! The two flows meet here: requests read, the manager writes. Reading takes no lock; writing replaces
//! the whole map by one pointer store, so a request sees a model before a swap or after it, never during.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::model::{InferError, ModelName, TenantName, Version, VersionPolicy};
use crate::servable::ServableHandle;

/// What can be asked for now. A clone is shallow.
#[derive(Clone, Default)]
pub struct Registry {
    tenants: Arc<ArcSwap<HashMap<TenantName, Models>>>,
}

type Models = HashMap<ModelName, Arc<Entry>>;

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
        let entry = tenants.get(tenant).and_then(|models| models.get(model)).ok_or(InferError::ModelNotFound)?;
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
        self.tenants.load().get(tenant)?.get(model).cloned()
    }

    /// The names of a tenant's models, sorted.
    pub fn names(&self, tenant: &TenantName) -> Vec<ModelName> {
        let tenants = self.tenants.load();
        let mut names: Vec<_> = tenants.get(tenant).into_iter().flat_map(|models| models.keys().cloned()).collect();
        names.sort();
        names
    }

    /// Every version that serves, of all tenants.
    pub fn serving(&self) -> Vec<ServableHandle> {
        let tenants = self.tenants.load();
        tenants.values().flat_map(HashMap::values).flat_map(|entry| entry.serving.iter().cloned()).collect()
    }

    /// Replaces what is known of these models, or forgets them. Versions left out can no longer be found;
    /// they drain as their requests end. Called by the manager alone: two writers would undo each other.
    pub fn publish(&self, changes: impl IntoIterator<Item = (TenantName, ModelName, Option<Entry>)>) {
        let mut tenants = HashMap::clone(&self.tenants.load());
        for (tenant, model, entry) in changes {
            let models = tenants.entry(tenant).or_default();
            match entry {
                Some(entry) => models.insert(model, Arc::new(entry)),
                None => models.remove(&model),
            };
        }
        tenants.retain(|_, models| !models.is_empty());
        // The old map, with the handles in it, is dropped here and not on a request's thread.
        drop(self.tenants.swap(Arc::new(tenants)));
    }
}
