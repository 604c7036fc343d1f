//! Code that models of one tenant share, mapped once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use wasmtime::component::Component;

use super::artifact::{ArtifactKey, Form, Lease, TenantArtifacts};
use super::{Engine, map_artifact};
use crate::model::{LoadError, Stage};
use crate::mutex::lock;

/// A mapped component that imports the state of a model.
pub(super) struct SharedCode {
    pub(super) component: Component,
    /// Tables of an instance.
    pub(super) tables: u32,
    /// Keeps the file on disk.
    _lease: Arc<Lease>,
}

/// The shared code in use. Its keys contain the tenant, so no code is shared between tenants.
#[derive(Default)]
pub struct SharedCodes {
    mapped: Mutex<HashMap<ArtifactKey, Slot>>,
}

/// One code. The lock is held while it is mapped, so that it is mapped once.
type Slot = Arc<Mutex<Weak<SharedCode>>>;

impl SharedCodes {
    /// Returns the code of that key; `None` if the store does not have it. Verifies its digest
    /// unless it is in use already.
    pub(super) fn get(
        &self,
        engine: &Engine,
        artifacts: &Arc<TenantArtifacts>,
        key: &ArtifactKey,
    ) -> Result<Option<Arc<SharedCode>>, LoadError> {
        let slot = lock(&self.mapped).entry(key.clone()).or_default().clone();
        let mut mapped = lock(&slot);
        if let Some(code) = mapped.upgrade() {
            return Ok(Some(code));
        }

        let Some(artifact) = artifacts.get(key)? else { return Ok(None) };
        let Form::Code { tables } = artifact.form else { return Ok(None) };
        let component = map_artifact::map_artifact(engine.wasmtime(), &artifact.code)
            .map_err(|error| LoadError::new(Stage::Link, format!("{error:#}")))?;

        let code = Arc::new(SharedCode { component, tables, _lease: artifact.lease });
        *mapped = Arc::downgrade(&code);
        Ok(Some(code))
    }

    /// Forgets code that is no longer in use.
    pub fn forget_unused(&self) {
        lock(&self.mapped)
            .retain(|_, slot| Arc::strong_count(slot) > 1 || lock(slot).strong_count() > 0);
    }
}
