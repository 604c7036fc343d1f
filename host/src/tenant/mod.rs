//! Tenants: their models, their API keys and their quotas.
//!
//! [`Tenants`] holds the tenants in force. It identifies a caller by an API key, and finds a
//! [`Tenant`] by name. A tenant lives as long as any reference to it, so its use of resources is
//! counted in one place however often its settings change. Resources are given back by guards on
//! drop, never by hand. The fair scheduler gives turns on the cores to tenants and models.

mod account;
mod allotment;
mod bill;
mod credentials;
mod in_turns;
mod instances;
mod log;
mod meter;
pub mod metrics;
mod pace;
mod payer;
mod rate;
mod roster;
mod settings;
mod site;
mod slots;
mod turns;
mod workers;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use account::{Account, Share};
pub use allotment::Held;
pub use bill::{Bill, thread_time};
pub use credentials::{Credential, Scope, Scopes};
pub use in_turns::InTurns;
pub use instances::InstancePermit;
pub use log::{Entry as LogEntry, Log, Verdict};
pub use meter::{Meter, Paying};
pub use pace::{Pace, Stopped};
pub use payer::Payer;
pub use roster::{AuthError, Caller, Changes, TenancyFaults, Tenants};
pub use settings::{
    Callable, Ceilings, HostKey, PasswordFrom, PostgresSettings, Quota, REFRESH, StreamCeilings,
    TenantGrants, TenantSettings, UNLIMITED,
};
pub use site::Site;
pub use slots::{Room, Slots};
pub use turns::{Place, Turns, step_back};
pub use workers::{Undone, Workers};

use crate::model::{QuotaExceeded, TenantName};
use allotment::Allotment;
use instances::InstanceLimit;
use rate::Rate;

/// A resource that a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Requests in progress, waiting ones included.
    Concurrency,
    /// Requests that wait for an instance.
    Queue,
    /// Bytes of memory: of guests, over all instances, and of what the host holds for requests.
    Memory,
    /// Models that serve or are being loaded.
    Models,
    /// Bytes in its repository, including uploads in progress. Compiled artifacts in use count
    /// against the same limit.
    Storage,
    /// Bytes of its compiled artifacts, in use or not. They have no limit of their own.
    Artifacts,
    /// Bytes of its database.
    Database,
    /// Bytes that the host keeps for its models.
    Data,
    /// Stored sessions.
    Sessions,
    /// Deferred tasks that wait or run.
    Tasks,
}

impl Resource {
    /// Every resource.
    pub const ALL: [Resource; 10] = [
        Resource::Concurrency,
        Resource::Queue,
        Resource::Memory,
        Resource::Models,
        Resource::Storage,
        Resource::Artifacts,
        Resource::Database,
        Resource::Data,
        Resource::Sessions,
        Resource::Tasks,
    ];

    /// Its name in `wardian.toml`, in errors and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Concurrency => "concurrency",
            Resource::Queue => "queue",
            Resource::Memory => "memory",
            Resource::Models => "models",
            Resource::Storage => "storage",
            Resource::Artifacts => "artifacts",
            Resource::Database => "database",
            Resource::Data => "data",
            Resource::Sessions => "sessions",
            Resource::Tasks => "tasks",
        }
    }
}

/// A tenant and the resources it holds.
pub struct Tenant {
    name: TenantName,
    settings: ArcSwap<TenantSettings>,
    account: Arc<Account>,
    rate: Rate,
    allotments: [Allotment; Resource::ALL.len()],
    instances: InstanceLimit,
    /// Pools with idle instances that can be dropped.
    pools: Mutex<Vec<Weak<dyn Reclaim>>>,
    log: Log,
    payer: Payer,
    /// Permits for loads.
    loads: Semaphore,
    refused: AtomicU64,
    key_value_operations: AtomicU64,
    dismissed: AtomicBool,
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
        let account = Account::new(settings.weight);
        let tenant = Tenant {
            name,
            payer: Payer::new(account.clone()),
            account,
            rate: Rate::default(),
            allotments: Default::default(),
            instances: InstanceLimit::new(settings.quota.instances),
            pools: Mutex::default(),
            log: Log::default(),
            loads: Semaphore::new(MAX_LOADS),
            refused: AtomicU64::new(0),
            key_value_operations: AtomicU64::new(0),
            dismissed: AtomicBool::new(false),
            settings: ArcSwap::from_pointee(TenantSettings::default()),
        };
        tenant.apply(settings);

        Arc::new(tenant)
    }

    /// The tenant of a host without configured tenants, limited only by the host's own resources.
    pub fn unlimited(name: TenantName) -> Arc<Self> {
        Tenant::new(name, TenantSettings::unlimited(Site::Directory("models".into())))
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
        let may_ask = settings.keys.iter().filter(|key| key.scopes.allow(Scope::Infer));
        may_ask.count() <= 1
    }

    /// Its use of the cores.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The payer of host work for the tenant.
    pub fn payer(&self) -> &Payer {
        &self.payer
    }

    /// The log of its guests.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Applies new settings. Resources held beyond a lower limit are not taken away.
    pub(super) fn apply(&self, settings: TenantSettings) {
        let quota = &settings.quota;
        self.account.set_weight(settings.weight);
        self.rate.set_limit(quota.requests_per_second);
        self.instances.set_limit(quota.instances);

        for resource in Resource::ALL {
            self.allotment(resource).set_limit(quota.of(resource));
        }

        self.settings.store(Arc::new(settings));
    }

    /// Admits a request until the result is dropped. Fails with `QuotaExceeded` if the tenant's
    /// rate limit or its limit on concurrent requests does not allow it.
    pub fn admit(self: &Arc<Self>) -> Result<Held, QuotaExceeded> {
        self.rate.take().map_err(|refusal| self.note(refusal))?;
        self.take(Resource::Concurrency, 1)
    }

    /// Takes an amount of a resource until the result is dropped. Fails with `QuotaExceeded` if the
    /// quota does not allow it.
    pub fn take(self: &Arc<Self>, resource: Resource, amount: u64) -> Result<Held, QuotaExceeded> {
        Held::take(self, resource, amount)
    }

    /// Marks it as removed. A later tenant of the same name is another tenant.
    pub(super) fn dismiss(&self) {
        self.dismissed.store(true, Ordering::SeqCst);
    }

    /// True if it was removed. Its requests in progress still end normally.
    pub fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::SeqCst)
    }

    /// Waits for the permission to have one more instance, idle ones included: first for the quota,
    /// then for slots of the engine. Requests are served in order.
    pub async fn instance(self: &Arc<Self>, room: &Room) -> InstancePermit {
        let counted = match self.instances.try_take(self) {
            Some(counted) => counted,
            None => {
                // Registered before the search for an idle instance, so that a call that returns
                // one after the search sees that it is wanted.
                let _waiting = self.instances.wait();
                self.reclaim();
                self.instances.take(self).await
            }
        };
        InstancePermit::new(self, Some(counted), room.take(self).await)
    }

    /// The permission to have one more instance, if it is available at once.
    pub fn try_instance(self: &Arc<Self>, room: &Room) -> Option<InstancePermit> {
        let counted = self.instances.try_take(self)?;
        Some(InstancePermit::new(self, Some(counted), room.try_take(self)?))
    }

    /// The permission to have an instance in addition to one that the same call holds; `None` if
    /// the engine has no free slots. It does not wait and does not count against the quota: calls
    /// that each hold one instance and wait for another could deadlock.
    pub fn instance_beside(self: &Arc<Self>, room: &Room) -> Option<InstancePermit> {
        Some(InstancePermit::new(self, None, room.try_take(self)?))
    }

    /// True if a caller waits for the permission to have an instance.
    pub fn lacks_instances(&self) -> bool {
        self.instances.is_waited_for()
    }

    /// Waits for the permission to load a model, held until the result is dropped.
    pub async fn load_turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.loads.acquire().await.ok()
    }

    /// Registers a pool, whose idle instances are dropped when the tenant needs one elsewhere.
    pub fn enroll(&self, pool: Weak<dyn Reclaim>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    /// Drops an idle instance with its permit and its memory. Returns false if there is none.
    pub fn reclaim(&self) -> bool {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Dropping an instance frees its permit, which goes to the first waiting caller.
        pools.iter().filter_map(Weak::upgrade).any(|pool| pool.reclaim())
    }

    /// Sets the number of bytes in its repository.
    pub fn note_stored(&self, bytes: u64) {
        self.allotment(Resource::Storage).set_base(bytes);
    }

    /// Sets the amount of a resource that is kept on disk for it.
    pub fn note_kept(&self, resource: Resource, amount: u64) {
        self.allotment(resource).set_base(amount);
    }

    /// The error for a request that exceeds a quota. Counts it as a refusal.
    pub fn refuse(&self, resource: Resource) -> QuotaExceeded {
        let limit = self.settings().quota.of(resource);
        self.note(QuotaExceeded { quota: resource.name(), limit, retry_after_seconds: 1 })
    }

    /// Bytes of compiled artifacts in use, which count as storage.
    pub fn used_by_artifacts(&self) -> u64 {
        self.allotment(Resource::Artifacts).taken()
    }

    /// Bytes left of its storage quota; [`UNLIMITED`] if it has no limit.
    pub fn storage_left(&self) -> u64 {
        match self.settings().quota.storage {
            UNLIMITED => UNLIMITED,
            limit => limit.saturating_sub(self.allotment(Resource::Storage).used()),
        }
    }

    /// The amount of a resource in use. For storage: bytes in its repository and in uploads,
    /// without artifacts.
    pub fn used(&self, resource: Resource) -> u64 {
        let used = self.allotment(resource).used();
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
    pub fn note_key_value_operation(&self) {
        self.key_value_operations.fetch_add(1, Ordering::Relaxed);
    }

    fn allotment(&self, resource: Resource) -> &Allotment {
        &self.allotments[resource as usize]
    }

    fn note(&self, refusal: QuotaExceeded) -> QuotaExceeded {
        self.refused.fetch_add(1, Ordering::Relaxed);
        refusal
    }
}
