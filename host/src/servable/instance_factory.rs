//! Creates the instances of one version and runs work in them at its tenant's expense.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use crate::capability::CallContext;
use crate::database::ValidationTransaction;
use crate::engine::{Budget, Call, GuestThreads, Instance, Template};
use crate::model::{InferError, Limits};
use crate::tenant::{CpuShare, InstancePermit, Tenant};

/// Creates the instances of one version and runs work in them at its tenant's expense. A clone is
/// shallow.
#[derive(Clone)]
pub struct InstanceFactory {
    pub(super) template: Template,
    pub(super) threads: Arc<GuestThreads>,
    tenant: Arc<Tenant>,
    share: Arc<CpuShare>,
    limits: Limits,
}

impl InstanceFactory {
    /// Returns a factory for the version that `template` was prepared from.
    pub fn new(
        template: Template,
        threads: Arc<GuestThreads>,
        tenant: Arc<Tenant>,
        limits: Limits,
    ) -> Self {
        let share = CpuShare::new(tenant.account().clone());
        InstanceFactory { template, threads, tenant, share, limits }
    }

    /// The prepared component that instances are created from.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The tenant that pays for the instances.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The version's share of its tenant's CPU time.
    pub fn share(&self) -> &Arc<CpuShare> {
        &self.share
    }

    /// Waits for a permit for one more instance.
    pub async fn acquire_permit(&self) -> InstancePermit {
        self.tenant.acquire_instance(self.template.room()).await
    }

    /// Returns a permit for one more instance; `None` if the caller would have to wait.
    pub fn try_acquire_permit(&self) -> Option<InstancePermit> {
        self.tenant.try_acquire_instance(self.template.room())
    }

    /// Returns a permit for an instance that runs beside one of another version; see
    /// [`Tenant::acquire_extra_instance`].
    pub fn try_acquire_extra_permit(&self) -> Option<InstancePermit> {
        self.tenant.acquire_extra_instance(self.template.room())
    }

    /// Returns a call with that budget and context, paid for by this version.
    pub fn call(&self, budget: Budget, context: CallContext) -> Call {
        Call { budget, share: self.share.clone(), context: Arc::new(context) }
    }

    /// Returns a call that the host makes by itself, with the full limits of a request.
    pub fn internal_call(&self) -> Call {
        self.call_with_full_limits(CallContext::default())
    }

    /// Returns a call for validation, with the full limits of a request; see
    /// [`CallContext::for_validation`].
    pub fn validation_call(&self, database: Option<&Arc<ValidationTransaction>>) -> Call {
        self.call_with_full_limits(CallContext::for_validation(database))
    }

    fn call_with_full_limits(&self, context: CallContext) -> Call {
        let budget = Budget::new(Instant::now(), self.limits.deadline, self.limits.cpu_time);
        self.call(budget, context)
    }

    /// Creates an instance and runs `work` on it, on the guest threads. Waits for an instance
    /// permit up to the deadline of a request; fails with `Overloaded` after that.
    pub async fn run_in_new_instance<T, F>(
        &self,
        work: impl FnOnce(Instance) -> F + Send + 'static,
    ) -> Result<T, InferError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        self.run_call(self.internal_call(), work).await
    }

    /// Does the same with a validation call.
    pub async fn run_for_validation<T, F>(
        &self,
        database: Option<&Arc<ValidationTransaction>>,
        work: impl FnOnce(Instance) -> F + Send + 'static,
    ) -> Result<T, InferError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        self.run_call(self.validation_call(database), work).await
    }

    async fn run_call<T, F>(
        &self,
        call: Call,
        work: impl FnOnce(Instance) -> F + Send + 'static,
    ) -> Result<T, InferError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        let permit = self.acquire_permit_within(&call.budget).await?;
        let template = self.template.clone();
        let of_instance = call.clone();

        self.threads
            .run_long(&call, async move {
                work(Instance::new(&template, of_instance, permit).await?).await
            })
            .await
    }

    /// Waits for an instance permit within the budget's deadline. Fails with `Overloaded`, which is
    /// not counted as a failure of the version.
    async fn acquire_permit_within(&self, budget: &Budget) -> Result<InstancePermit, InferError> {
        let permit = tokio::time::timeout_at(budget.deadline().into(), self.acquire_permit()).await;
        permit.map_err(|_elapsed| InferError::Overloaded)
    }
}
