//! What repositories hold, and whose they are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::interceptors::Change;
use super::super::manager::announce;
use super::super::tenants::TenantRecord;
use super::Task;
use crate::model::{ModelName, TenantName};
use crate::repository::{Aspired, Source};
use crate::tenant::Tenant;

impl Task {
    /// Serves a tenant's models, or serves them from another repository.
    pub(in crate::lifecycle) fn adopt(&mut self, tenant: Arc<Tenant>, source: Source) {
        let name = tenant.name().clone();
        if let Some(events) = self.events.upgrade() {
            tokio::spawn(announce(source.subscribe(), events));
        }
        let record = match self.tenants.remove(&name) {
            Some(before) => before.moved(tenant, source.number()),
            None => TenantRecord::new(tenant, source.number(), self.metrics.of(&name)),
        };
        let mut wrappings = HashMap::clone(&self.shared.wrappings.load());
        wrappings.insert(name.clone(), record.interceptors.wrapping().clone());
        self.shared.wrappings.store(Arc::new(wrappings));
        self.tenants.insert(name.clone(), record);
        if let Ok(uploads) = source.uploads().cloned() {
            tokio::task::spawn_blocking(move || uploads.clear_leftovers());
        }
        let mut sources = HashMap::clone(&self.shared.sources.load());
        sources.insert(name, Arc::new(source));
        self.shared.sources.store(Arc::new(sources));
    }

    /// Wants nothing of a tenant any more.
    pub(super) fn dismiss(&mut self, tenant: &TenantName) {
        self.tenants.remove(tenant);
        self.shared.loader.forget_tenant(tenant);
        let mut wrappings = HashMap::clone(&self.shared.wrappings.load());
        wrappings.remove(tenant);
        self.shared.wrappings.store(Arc::new(wrappings));
        let mut sources = HashMap::clone(&self.shared.sources.load());
        sources.remove(tenant);
        self.shared.sources.store(Arc::new(sources));
        self.note_degraded(tenant, None);
        let keys: Vec<_> = self.models.keys().filter(|(owner, _)| owner == tenant).cloned().collect();
        for key in keys {
            if let Some(record) = self.models.get_mut(&key) {
                record.see(std::iter::empty());
                record.leave_place();
            }
            self.drive(&key);
        }
    }

    /// Takes over what a source sees. What it no longer sees is in the records of its tenant still.
    pub(super) fn merge(&mut self, aspired: &Aspired) {
        if !self.tenants.get_mut(&aspired.tenant).is_some_and(|record| record.see(aspired)) {
            return;
        }
        self.note_degraded(&aspired.tenant, aspired.degraded.as_ref());
        if aspired.degraded.is_some() {
            return;
        }
        let tenant = &aspired.tenant;
        let names = aspired.seen.iter().map(|seen| seen.name().clone());
        let known = self.models.keys().filter(|(owner, _)| owner == tenant).map(|(_, name)| name.clone());
        let names: BTreeSet<_> = names.chain(known).collect();
        let (interceptors, models): (Vec<_>, Vec<_>) = names.into_iter().partition(ModelName::is_interceptor);
        interceptors.iter().for_each(|name| self.see(aspired, name));
        // What wraps models comes first: whether they may be loaded depends on it.
        self.rewrapped.insert(tenant.clone());
        self.rewrap();
        models.iter().for_each(|name| self.see(aspired, name));
    }

    /// Takes over what a source sees of one model.
    pub(super) fn see(&mut self, aspired: &Aspired, name: &ModelName) {
        let key = (aspired.tenant.clone(), name.clone());
        let owner = self.tenants.get(&aspired.tenant).filter(|_| !name.is_interceptor());
        let held = owner.and_then(|owner| owner.interceptors.held()).cloned();
        let record = self.models.entry(key.clone()).or_default();
        record.hold(held);
        if record.see(aspired.of(name)) {
            self.drive(&key);
        }
    }

    /// Tells the models of every tenant whose interceptors have changed.
    pub(super) fn rewrap(&mut self) {
        for tenant in std::mem::take(&mut self.rewrapped) {
            let Some(owner) = self.tenants.get_mut(&tenant) else { continue };
            let own = self.models.iter().filter(|((owner, name), _)| *owner == tenant && name.is_interceptor());
            let Change { links, held } = owner.update_interceptors(own.map(|((_, name), record)| (name, record)));
            if !links && !held {
                continue;
            }
            let held = owner.interceptors.held().cloned();
            let models = self.models.iter_mut().filter(|((owner, name), _)| *owner == tenant && !name.is_interceptor());
            let told = models.map(|(key, model)| {
                model.hold(held.clone());
                if links {
                    model.forget_objections();
                }
                key.clone()
            });
            told.collect::<Vec<_>>().iter().for_each(|key| self.drive(key));
        }
    }

    pub(super) fn note_degraded(&self, tenant: &TenantName, reason: Option<&String>) {
        let mut degraded = HashMap::clone(&self.shared.degraded.load());
        match reason {
            Some(reason) => degraded.insert(tenant.clone(), reason.clone()),
            None => degraded.remove(tenant),
        };
        self.shared.degraded.store(Arc::new(degraded));
    }
}
