//! Tenants: their models, their API keys and their quotas.
//!
//! [`Tenants`] holds the tenants in force. It identifies a caller by an API key, and finds a
//! [`Tenant`] by name. A tenant lives as long as any reference to it, so its use of resources is
//! counted in one place however often its settings change. Resources are given back by guards on
//! drop, never by hand. The fair scheduler gives turns on the cores to tenants and models.

mod api_keys;
mod ceilings;
mod cpu_meter;
mod fair_scheduler;
mod grants;
mod guest_log;
mod helpers;
mod host_work_meter;
mod instance_limit;
pub mod metrics;
mod pacer;
mod payer;
mod quota;
mod quota_counter;
mod rate_limiter;
mod repository_location;
mod resource;
mod settings;
mod slots;
mod tenants;
mod thread_time;
mod turn_future;
mod virtual_time;
mod workers;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use api_keys::{ApiKey, KeyScope, KeyScopes};
pub use ceilings::{Ceilings, StreamCeilings};
pub use cpu_meter::CpuMeter;
pub use fair_scheduler::{FairScheduler, TurnTicket, set_idle_priority};
pub use grants::{AllowedOrigins, AllowedRuntimes, TenantGrants};
pub use guest_log::{GuestLog, LogDecision, LogEntry};
pub use helpers::Helpers;
pub use host_work_meter::{HostWorkMeter, MeterGuard};
pub use instance_limit::InstancePermit;
pub use pacer::{Pacer, Stopped};
pub use payer::Payer;
pub use quota::{Quota, UNLIMITED};
pub use quota_counter::QuotaGuard;
pub use repository_location::RepositoryLocation;
pub use resource::Resource;
pub use settings::{DEFAULT_REFRESH, HostKey, PasswordSource, PostgresSettings, TenantSettings};
pub use slots::{SlotRequest, Slots};
pub use tenants::{AuthError, Identity, TenantChanges, TenantConfigFaults, Tenants};
pub use thread_time::thread_time;
pub use turn_future::TurnFuture;
pub use virtual_time::{CpuAccount, CpuShare};
pub use workers::{INLINE_LIMIT, WorkError, Workers};

use crate::model::{QuotaExceeded, TenantName};
use crate::mutex::lock;
use instance_limit::InstanceLimit;
use quota_counter::QuotaCounter;
use rate_limiter::RateLimiter;

/// A tenant and the resources it holds.
pub struct Tenant {
    name: TenantName,
    settings: ArcSwap<TenantSettings>,
    account: Arc<CpuAccount>,
    rate_limiter: RateLimiter,
    quota_counters: [QuotaCounter; Resource::ALL.len()],
    instances: InstanceLimit,
    /// Pools with idle instances that can be dropped.
    reclaimable: Mutex<Vec<Weak<dyn Reclaim>>>,
    log: GuestLog,
    payer: Payer,
    /// Permits for loads.
    load_permits: Semaphore,
    refused: AtomicU64,
    key_value_operations: AtomicU64,
    removed: AtomicBool,
}

/// Loads of one tenant that run at the same time, however many files it has.
const MAX_LOADS: usize = 4;

/// A pool of idle instances.
pub trait Reclaim: Send + Sync {
    /// Drops one idle instance. Returns false if there is none.
    fn reclaim(&self) -> bool;
}

impl Tenant {
    /// A tenant that holds nothing yet.
    pub fn new(name: TenantName, settings: TenantSettings) -> Arc<Self> {
        let account = CpuAccount::new(settings.weight);
        let tenant = Tenant {
            name,
            payer: Payer::new(account.clone()),
            account,
            rate_limiter: RateLimiter::default(),
            quota_counters: Default::default(),
            instances: InstanceLimit::new(settings.quota.instances),
            reclaimable: Mutex::default(),
            log: GuestLog::default(),
            load_permits: Semaphore::new(MAX_LOADS),
            refused: AtomicU64::new(0),
            key_value_operations: AtomicU64::new(0),
            removed: AtomicBool::new(false),
            settings: ArcSwap::from_pointee(TenantSettings::default()),
        };
        tenant.apply(settings);

        Arc::new(tenant)
    }

    /// The tenant of a host without configured tenants, limited only by the host's own resources.
    pub fn unlimited(name: TenantName) -> Arc<Self> {
        Tenant::new(name, TenantSettings::unlimited(RepositoryLocation::Directory("models".into())))
    }

    /// Its name.
    pub fn name(&self) -> &TenantName {
        &self.name
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<TenantSettings> {
        self.settings.load_full()
    }

    /// True if at most one of its own keys may call models, so that all requests come from one
    /// caller.
    pub fn has_one_caller(&self) -> bool {
        let settings = self.settings();
        let infer_keys = settings.keys.iter().filter(|key| key.scopes.allows(KeyScope::Infer));
        infer_keys.count() <= 1
    }

    /// Its use of the cores.
    pub fn account(&self) -> &Arc<CpuAccount> {
        &self.account
    }

    /// The payer of host work for the tenant.
    pub fn payer(&self) -> &Payer {
        &self.payer
    }

    /// The log of its guests.
    pub fn log(&self) -> &GuestLog {
        &self.log
    }

    /// Applies new settings. Resources held beyond a lower limit are not taken away.
    pub(super) fn apply(&self, settings: TenantSettings) {
        let quota = &settings.quota;
        self.account.set_weight(settings.weight);
        self.rate_limiter.set_limit(quota.requests_per_second);
        self.instances.set_limit(quota.instances);

        for resource in Resource::ALL {
            self.quota_counter(resource).set_limit(quota.limit(resource));
        }

        self.settings.store(Arc::new(settings));
    }

    /// Admits a request until the result is dropped. Fails with `QuotaExceeded` if the tenant's
    /// rate limit or its limit on concurrent requests does not allow it.
    pub fn admit(self: &Arc<Self>) -> Result<QuotaGuard, QuotaExceeded> {
        self.rate_limiter.acquire().map_err(|refusal| self.record_refusal(refusal))?;
        self.take(Resource::Concurrency, 1)
    }

    /// Takes an amount of a resource until the result is dropped. Fails with `QuotaExceeded` if the
    /// quota does not allow it.
    pub fn take(
        self: &Arc<Self>,
        resource: Resource,
        amount: u64,
    ) -> Result<QuotaGuard, QuotaExceeded> {
        QuotaGuard::take(self, resource, amount)
    }

    /// Marks it as removed. A later tenant of the same name is another tenant.
    pub(super) fn mark_removed(&self) {
        self.removed.store(true, Ordering::SeqCst);
    }

    /// True if it was removed. Its requests in progress still end normally.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::SeqCst)
    }

    /// Waits for the permission to have one more instance, idle ones included: first for the quota,
    /// then for slots of the engine. Requests are served in order.
    pub async fn acquire_instance(self: &Arc<Self>, request: &SlotRequest) -> InstancePermit {
        let counted = match self.instances.try_take(self) {
            Some(counted) => counted,
            None => {
                // Registered before the search for an idle instance, so that a call that returns
                // one after the search sees that it is wanted.
                let _waiting = self.instances.register_waiter();
                self.reclaim();
                self.instances.take(self).await
            }
        };
        InstancePermit::new(self, Some(counted), request.take(self).await)
    }

    /// The permission to have one more instance, if it is available at once.
    pub fn try_acquire_instance(self: &Arc<Self>, request: &SlotRequest) -> Option<InstancePermit> {
        let counted = self.instances.try_take(self)?;
        Some(InstancePermit::new(self, Some(counted), request.try_take(self)?))
    }

    /// The permission to have an instance in addition to one that the same call holds; `None` if
    /// the engine has no free slots. It does not wait and does not count against the quota: calls
    /// that each hold one instance and wait for another could deadlock.
    pub fn acquire_extra_instance(
        self: &Arc<Self>,
        request: &SlotRequest,
    ) -> Option<InstancePermit> {
        Some(InstancePermit::new(self, None, request.try_take(self)?))
    }

    /// True if a caller waits for the permission to have an instance.
    pub fn has_instance_waiters(&self) -> bool {
        self.instances.has_waiters()
    }

    /// Waits for the permission to load a model, held until the result is dropped.
    pub async fn acquire_load(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.load_permits.acquire().await.ok()
    }

    /// Registers a pool, whose idle instances are dropped when the tenant needs one elsewhere.
    pub fn register_pool(&self, pool: Weak<dyn Reclaim>) {
        let mut pools = lock(&self.reclaimable);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    /// Drops an idle instance with its permit and its memory. Returns false if there is none.
    pub fn reclaim(&self) -> bool {
        let pools = lock(&self.reclaimable).clone();
        // Dropping an instance frees its permit, which goes to the first waiting caller.
        pools.iter().filter_map(Weak::upgrade).any(|pool| pool.reclaim())
    }

    /// Sets the number of bytes in its repository.
    pub fn set_stored_bytes(&self, bytes: u64) {
        self.quota_counter(Resource::Storage).set_base(bytes);
    }

    /// Sets the amount of a resource that is kept on disk for it.
    pub fn set_kept(&self, resource: Resource, amount: u64) {
        self.quota_counter(resource).set_base(amount);
    }

    /// The error for a request that exceeds a quota. Counts it as a refusal.
    pub fn refuse(&self, resource: Resource) -> QuotaExceeded {
        let limit = self.settings().quota.limit(resource);
        self.record_refusal(QuotaExceeded { quota: resource.name(), limit, retry_after_seconds: 1 })
    }

    /// Bytes of compiled artifacts in use, which count as storage.
    pub fn used_by_artifacts(&self) -> u64 {
        self.quota_counter(Resource::Artifacts).taken()
    }

    /// Bytes left of its storage quota; [`UNLIMITED`] if it has no limit.
    pub fn storage_left(&self) -> u64 {
        match self.settings().quota.storage {
            UNLIMITED => UNLIMITED,
            limit => limit.saturating_sub(self.quota_counter(Resource::Storage).used()),
        }
    }

    /// The amount of a resource in use. For storage: bytes in its repository and in uploads,
    /// without artifacts.
    pub fn used(&self, resource: Resource) -> u64 {
        let used = self.quota_counter(resource).used();
        if resource == Resource::Storage {
            used.saturating_sub(self.used_by_artifacts())
        } else {
            used
        }
    }

    /// Number of its instances, idle ones included.
    pub fn instances(&self) -> u64 {
        self.instances.used()
    }

    /// Number of refusals for its quota.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Number of key-value operations of its models.
    pub fn key_value_operations(&self) -> u64 {
        self.key_value_operations.load(Ordering::Relaxed)
    }

    /// Counts a key-value operation of one of its models.
    pub fn record_key_value_operation(&self) {
        self.key_value_operations.fetch_add(1, Ordering::Relaxed);
    }

    fn quota_counter(&self, resource: Resource) -> &QuotaCounter {
        &self.quota_counters[resource as usize]
    }

    fn record_refusal(&self, refusal: QuotaExceeded) -> QuotaExceeded {
        self.refused.fetch_add(1, Ordering::Relaxed);
        refusal
    }
}
