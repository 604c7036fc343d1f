//! Tenants: whose models they are, who may ask, and how much each may hold.
//!
//! [`Tenants`] is what is in force now: it tells from a secret who a caller is ([`Caller`]) and
//! finds a [`Tenant`] by name. A tenant lives as long as anybody holds it, so what it holds is
//! counted in one place however often its settings change: what is taken comes back through a guard
//! ([`Held`], [`InstancePermit`]) and never by hand. Its part of the cores is kept in its
//! [`Account`], by which [`Turns`] are given out.

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

/// Something a tenant may hold so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Requests under way, waiting ones included.
    Concurrency,
    /// Requests that wait for an instance.
    Queue,
    /// Bytes of memory: of guests, over all instances, and of what the host holds for requests.
    Memory,
    /// Models that serve or are being loaded.
    Models,
    /// Bytes in its repository, with what is being uploaded. Compiled artifacts that are in use
    /// count against its limit.
    Storage,
    /// Bytes of its compiled artifacts, in use or not. They have no limit of their own.
    Artifacts,
    /// Bytes of its database.
    Database,
    /// Bytes that the host keeps for its models.
    Data,
    /// Sessions that are kept.
    Sessions,
    /// Tasks that wait or run.
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

/// A tenant, and everything it holds.
pub struct Tenant {
    name: TenantName,
    settings: ArcSwap<TenantSettings>,
    account: Arc<Account>,
    rate: Rate,
    allotments: [Allotment; Resource::ALL.len()],
    instances: InstanceLimit,
    /// Who has instances waiting for work that could be let go of.
    pools: Mutex<Vec<Weak<dyn Reclaim>>>,
    log: Log,
    payer: Payer,
    /// Loads that may be under way.
    loads: Semaphore,
    refused: AtomicU64,
    key_value_operations: AtomicU64,
    dismissed: AtomicBool,
}

/// Loads of one tenant that may be under way at once, however many files it has been given.
const MAX_LOADS: usize = 4;

/// Something that keeps instances which nobody is using.
pub trait Reclaim: Send + Sync {
    /// Lets go of one instance. Tells whether there was one.
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

    /// The tenant of a host that has configured none, with limits that only the host's own
    /// resources set.
    pub fn unlimited(name: TenantName) -> Arc<Self> {
        Tenant::new(name, TenantSettings::unlimited(Site::Directory("models".into())))
    }

    /// Its name.
    pub fn name(&self) -> &TenantName {
        &self.name
    }

    /// What is in force for it.
    pub fn settings(&self) -> Arc<TenantSettings> {
        self.settings.load_full()
    }

    /// True if no two keys of its own may ask its models, so that all requests are of one caller.
    pub fn has_one_caller(&self) -> bool {
        let settings = self.settings();
        let may_ask = settings.keys.iter().filter(|key| key.scopes.allow(Scope::Infer));
        may_ask.count() <= 1
    }

    /// Its part of the cores.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// For whom the host works when it works for it.
    pub fn payer(&self) -> &Payer {
        &self.payer
    }

    /// What its guests have written.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Puts other settings in force. What it holds beyond a smaller limit is not taken away.
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

    /// Lets a request in, until the result is dropped. Fails if it comes too soon after others, or
    /// if as many are under way as may be.
    pub fn admit(self: &Arc<Self>) -> Result<Held, QuotaExceeded> {
        self.rate.take().map_err(|refusal| self.note(refusal))?;
        self.take(Resource::Concurrency, 1)
    }

    /// Takes so much of a resource, until the result is dropped. Fails if that would be more than
    /// it may hold.
    pub fn take(self: &Arc<Self>, resource: Resource, amount: u64) -> Result<Held, QuotaExceeded> {
        Held::take(self, resource, amount)
    }

    /// Notes that it is no more. One of the same name that comes later is another one.
    pub(super) fn dismiss(&self) {
        self.dismissed.store(true, Ordering::SeqCst);
    }

    /// Whether it is no more. What is under way for it still ends well.
    pub fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::SeqCst)
    }

    /// Waits for the right to have one more instance, idle ones included: first until its quota
    /// allows one, then for room in the engine. Requests are served in the order in which they
    /// came.
    pub async fn instance(self: &Arc<Self>, room: &Room) -> InstancePermit {
        let counted = match self.instances.try_take(self) {
            Some(counted) => counted,
            None => {
                // Before looking for one that is idle: whoever lays one down after that look sees
                // that it is wanted.
                let _waiting = self.instances.wait();
                self.reclaim();
                self.instances.take(self).await
            }
        };
        InstancePermit::new(self, Some(counted), room.take(self).await)
    }

    /// The right to have one more instance, if it can be had at once.
    pub fn try_instance(self: &Arc<Self>, room: &Room) -> Option<InstancePermit> {
        let counted = self.instances.try_take(self)?;
        Some(InstancePermit::new(self, Some(counted), room.try_take(self)?))
    }

    /// The right to have an instance beside one that the same call holds already; `None` if the
    /// engine has no room. It is had at once, and takes nothing of the quota: calls that each hold
    /// one and wait for another could wait for each other for ever.
    pub fn instance_beside(self: &Arc<Self>, room: &Room) -> Option<InstancePermit> {
        Some(InstancePermit::new(self, None, room.try_take(self)?))
    }

    /// Whether somebody waits for the right to have an instance.
    pub fn lacks_instances(&self) -> bool {
        self.instances.is_waited_for()
    }

    /// Waits until another of its models may be loaded, until the result is dropped.
    pub async fn load_turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.loads.acquire().await.ok()
    }

    /// Has that pool asked to let go of an instance when the tenant needs one elsewhere.
    pub fn enroll(&self, pool: Weak<dyn Reclaim>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    /// Lets go of an instance that nobody is using, with its permit and its memory. Tells whether
    /// there was one.
    pub fn reclaim(&self) -> bool {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Dropping an instance frees its permit, which goes to whoever waits.
        pools.iter().filter_map(Weak::upgrade).any(|pool| pool.reclaim())
    }

    /// Notes how many bytes its repository holds, in place of what was noted before.
    pub fn note_stored(&self, bytes: u64) {
        self.allotment(Resource::Storage).set_base(bytes);
    }

    /// Notes how much of a resource is kept on disk for it, in place of what was noted before.
    pub fn note_kept(&self, resource: Resource, amount: u64) {
        self.allotment(resource).set_base(amount);
    }

    /// The refusal of something that would be more than it may keep.
    pub fn refuse(&self, resource: Resource) -> QuotaExceeded {
        let limit = self.settings().quota.of(resource);
        self.note(QuotaExceeded { quota: resource.name(), limit, retry_after_seconds: 1 })
    }

    /// Bytes of compiled artifacts that are in use, which are part of its storage.
    pub fn used_by_artifacts(&self) -> u64 {
        self.allotment(Resource::Artifacts).taken()
    }

    /// Bytes that are left of its storage; [`UNLIMITED`] where it has no limit.
    pub fn storage_left(&self) -> u64 {
        match self.settings().quota.storage {
            UNLIMITED => UNLIMITED,
            limit => limit.saturating_sub(self.allotment(Resource::Storage).used()),
        }
    }

    /// How much of a resource it holds. Of its storage, what is in its repository or being
    /// uploaded: artifacts are told apart.
    pub fn used(&self, resource: Resource) -> u64 {
        let used = self.allotment(resource).used();
        if resource == Resource::Storage {
            used.saturating_sub(self.used_by_artifacts())
        } else {
            used
        }
    }

    /// How many instances it has, idle ones included.
    pub fn instances(&self) -> u64 {
        self.instances.used()
    }

    /// How often it was refused something for its quota.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many key-value operations its models have made.
    pub fn key_value_operations(&self) -> u64 {
        self.key_value_operations.load(Ordering::Relaxed)
    }

    /// Notes that one of its models has made a key-value operation.
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
