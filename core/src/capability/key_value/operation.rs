//! One operation of a call: it is counted, and reaches the store that the call may use.

use std::sync::Arc;

use super::super::Ctx;
use super::KeyValueGrant;
use super::error::Refusal;
use super::limits::MAX_OPERATIONS;
use crate::store::{KeyValueStore, StoreError};
use crate::tenant::Tenant;

/// An operation in progress.
pub(super) struct Operation {
    pub(super) store: Arc<dyn KeyValueStore>,
    tenant: Arc<Tenant>,
}

impl Operation {
    /// Maps the store's error for the model.
    pub(super) fn map_error<T>(&self, outcome: Result<T, StoreError>) -> Result<T, Refusal> {
        outcome.map_err(|error| Refusal::from_store(error, &self.tenant))
    }
}

impl Ctx {
    /// Counts an operation and returns the store for it. Fails if the call has used up its
    /// operations.
    pub(super) fn begin_operation(&mut self) -> Result<Operation, Refusal> {
        let grant = self.key_value_grant()?.clone();
        let validating = self.call.validating;
        let state = self.key_value_state();

        if state.operations >= MAX_OPERATIONS {
            return Err(Refusal::TooManyOperations);
        }

        state.operations += 1;
        grant.tenant.record_key_value_operation();

        let store = if validating {
            state.validation_store.get_or_insert_default().clone()
        } else {
            grant.store.clone()
        };

        Ok(Operation { store, tenant: grant.tenant.clone() })
    }

    /// Returns the grant. Fails while the model loads, and without a grant.
    pub(super) fn key_value_grant(&self) -> Result<&Arc<KeyValueGrant>, Refusal> {
        // First, because a compile process is granted nothing.
        if self.loading {
            return Err(Refusal::Loading);
        }
        self.grants.key_value.as_ref().ok_or(Refusal::NotGranted)
    }
}
