//! Creates the instances of one version and runs work in them at its tenant's expense.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use crate::capability::Scope;
use crate::database::Proof;
use crate::engine::{Budget, Call, GuestThreads, Instance, Template};
use crate::model::{InferError, Limits};
use crate::tenant::{InstancePermit, Share, Tenant};

/// Creates the instances of one version and runs work in them at its tenant's expense. A clone is
/// shallow.
#[derive(Clone)]
pub struct Maker {
    pub(super) template: Template,
    pub(super) threads: Arc<GuestThreads>,
    tenant: Arc<Tenant>,
    share: Arc<Share>,
    limits: Limits,
}

impl Maker {
    /// Returns a factory for the version that `template` was prepared from.
    pub fn new(
        template: Template,
        threads: Arc<GuestThreads>,
        tenant: Arc<Tenant>,
        limits: Limits,
    ) -> Self {
        let share = Share::new(tenant.account().clone());
        Maker { template, threads, tenant, share, limits }
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
    pub fn share(&self) -> &Arc<Share> {
        &self.share
    }

    /// Waits for a permit for one more instance.
    pub async fn instance(&self) -> InstancePermit {
        self.tenant.instance(self.template.room()).await
    }

    /// Returns a permit for one more instance; `None` if the caller would have to wait.
    pub fn try_instance(&self) -> Option<InstancePermit> {
        self.tenant.try_instance(self.template.room())
    }

    /// Returns a permit for an instance that runs beside one of another version; see
    /// [`Tenant::instance_beside`].
    pub fn instance_beside(&self) -> Option<InstancePermit> {
        self.tenant.instance_beside(self.template.room())
    }

    /// Returns a call with that budget and context, paid for by this version.
    pub fn call(&self, budget: Budget, scope: Scope) -> Call {
        Call { budget, share: self.share.clone(), scope: Arc::new(scope) }
    }

    /// Returns a call that the host makes by itself, with the full limits of a request.
    pub fn own_call(&self) -> Call {
        self.unasked(Scope::default())
    }

    /// Returns a call for validation, with the full limits of a request; see [`Scope::proving`].
    pub fn proof_call(&self, database: Option<&Arc<Proof>>) -> Call {
        self.unasked(Scope::of_proof(database))
    }

    fn unasked(&self, scope: Scope) -> Call {
        let budget = Budget::new(Instant::now(), self.limits.deadline, self.limits.cpu_time);
        self.call(budget, scope)
    }

    /// Creates an instance and runs `work` on it, on the guest threads. Waits for an instance
    /// permit up to the deadline of a request; fails with `Overloaded` after that.
    pub async fn run<T, F>(
        &self,
        work: impl FnOnce(Instance) -> F + Send + 'static,
    ) -> Result<T, InferError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        self.run_call(self.own_call(), work).await
    }

    /// Does the same with a validation call.
    pub async fn try_out<T, F>(
        &self,
        database: Option<&Arc<Proof>>,
        work: impl FnOnce(Instance) -> F + Send + 'static,
    ) -> Result<T, InferError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InferError>> + Send + 'static,
    {
        self.run_call(self.proof_call(database), work).await
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
        let permit = self.permit(&call.budget).await?;
        let (template, of_instance) = (self.template.clone(), call.clone());

        self.threads
            .run_long(&call, async move {
                work(Instance::new(&template, of_instance, permit).await?).await
            })
            .await
    }

    /// Waits for an instance permit within the budget's deadline. Fails with `Overloaded`, which is
    /// not counted as a failure of the version.
    async fn permit(&self, budget: &Budget) -> Result<InstancePermit, InferError> {
        let permit = tokio::time::timeout_at(budget.deadline().into(), self.instance()).await;
        permit.map_err(|_elapsed| InferError::Overloaded)
    }
}
