//! Makes the instances of one version and runs work in them, on its tenant's account.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use crate::capability::Scope;
use crate::database::Proof;
use crate::engine::{Budget, Call, GuestThreads, Instance, Template};
use crate::model::{InferError, Limits};
use crate::tenant::{InstancePermit, Share, Tenant};

/// Makes the instances of one version and runs work in them, on its tenant's account. A clone is
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
    /// A maker for the version that this template is of.
    pub fn new(
        template: Template,
        threads: Arc<GuestThreads>,
        tenant: Arc<Tenant>,
        limits: Limits,
    ) -> Self {
        let share = Share::new(tenant.account().clone());
        Maker { template, threads, tenant, share, limits }
    }

    /// What instances are made from.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// On whose account they are.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Its part of its tenant's part of the cores.
    pub fn share(&self) -> &Arc<Share> {
        &self.share
    }

    /// Waits for the right to have one more instance.
    pub async fn instance(&self) -> InstancePermit {
        self.tenant.instance(self.template.room()).await
    }

    /// The right to have one more instance, if it can be had at once.
    pub fn try_instance(&self) -> Option<InstancePermit> {
        self.tenant.try_instance(self.template.room())
    }

    /// The right to have an instance beside one of another version, see
    /// [`Tenant::instance_beside`].
    pub fn instance_beside(&self) -> Option<InstancePermit> {
        self.tenant.instance_beside(self.template.room())
    }

    /// A call within that budget.
    pub fn call(&self, budget: Budget, scope: Scope) -> Call {
        Call { budget, share: self.share.clone(), scope: Arc::new(scope) }
    }

    /// A call that no request asked for, within all that a request might have.
    pub fn own_call(&self) -> Call {
        self.unasked(Scope::default())
    }

    /// The same for a call that tries the version out, see [`Scope::proving`].
    pub fn proof_call(&self, database: Option<&Arc<Proof>>) -> Call {
        self.unasked(Scope::of_proof(database))
    }

    fn unasked(&self, scope: Scope) -> Call {
        let budget = Budget::new(Instant::now(), self.limits.deadline, self.limits.cpu_time);
        self.call(budget, scope)
    }

    /// Makes an instance and does something with it, on the guest threads. Waits for the tenant to
    /// be allowed one more instance, no longer than a request might take.
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

    /// The same to try the version out.
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

    /// Waits for the right to have one more instance, no longer than the budget allows. That there
    /// was none is not the version's failure.
    async fn permit(&self, budget: &Budget) -> Result<InstancePermit, InferError> {
        let permit = tokio::time::timeout_at(budget.deadline().into(), self.instance()).await;
        permit.map_err(|_elapsed| InferError::Overloaded)
    }
}
