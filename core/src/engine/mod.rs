//! The wasmtime runtime, reduced to what serving models needs.
//!
//! Reading order: [`Engine`] is the one engine of the process. A [`Job`](compile::Job)
//! describes a compilation, which a child process runs; its result is an artifact in the
//! [`ArtifactStore`]. [`Code`] is an artifact mapped into memory, with the
//! [`SharedCode`](shared_code::SharedCode) that it needs, and a [`Template`] is code with the
//! grants and limits of one version. An [`Instance`] is created from a template and answers calls,
//! each within a [`Budget`]. [`GuestThreads`] chooses the thread of a call, [`FairScheduler`] the
//! time at which it runs, and [`trap`] maps the end of a failed call to an error.

mod artifact;
mod bindings;
mod budget;
mod call;
pub mod compile;
mod config;
mod epoch;
mod guest_threads;
mod instance;
mod interfaces;
mod map_artifact;
mod reset;
mod role;
mod shared_code;
mod store_state;
mod template;
mod trap;

use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, InstancePre, Linker};

pub use artifact::write_error;
pub use artifact::{
    Artifact, ArtifactKey, ArtifactStore, Form, Lease, ModelInfo, Snapshot, StoredFile,
    TenantArtifacts,
};
pub use budget::Budget;
pub use call::Call;
pub use config::{EngineConfig, MemoryReset};
pub use guest_threads::GuestThreads;
pub use instance::{Instance, InterceptorContext};
pub use interfaces::Interface;
pub use role::Role;
pub use shared_code::SharedCodes;
pub use template::{Code, Template};

use crate::model::hex;
use crate::tenant::{FairScheduler, Slots};
use config::PoolSizes;
use epoch::{EpochTicker, TickGuard};
use store_state::State;

/// The WebAssembly engine of the process. A clone shares it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<EngineInner>,
}

struct EngineInner {
    wasmtime: wasmtime::Engine,
    linker: Linker<State>,
    reset: MemoryReset,
    ticker: Arc<EpochTicker>,
    turns: Arc<FairScheduler>,
    slots: Arc<Slots>,
}

impl Engine {
    /// Builds the engine and its linker, and starts the epoch clock, which also drives `turns`.
    /// Fails if the address space for the instance slots cannot be reserved.
    pub fn new(config: &EngineConfig, turns: Arc<FairScheduler>) -> wasmtime::Result<Self> {
        Self::with_pools(config, &PoolSizes::for_server(config), turns)
    }

    /// Builds the engine of a compile process. Its code runs in the server's engine. It has room
    /// for one instance.
    pub(super) fn for_compile_process(
        config: &EngineConfig,
        turns: Arc<FairScheduler>,
    ) -> wasmtime::Result<Self> {
        Self::with_pools(config, &PoolSizes::for_compile_process(), turns)
    }

    fn with_pools(
        config: &EngineConfig,
        pools: &PoolSizes,
        turns: Arc<FairScheduler>,
    ) -> wasmtime::Result<Self> {
        let reset = MemoryReset::detect();

        let wasmtime = wasmtime::Engine::new(&config::wasmtime_config(config, pools, reset));
        let wasmtime = wasmtime.map_err(|error| config.explain_error(error))?;

        let slots = Slots::new(config.instances);
        let mut linker = Linker::new(&wasmtime);
        crate::capability::add_to_linker(&mut linker)?;

        let engine = wasmtime.weak();
        let ticked_turns = turns.clone();
        let mut before = Instant::now();
        let ticker = EpochTicker::start(move || {
            let now = Instant::now();
            ticked_turns.tick(now - std::mem::replace(&mut before, now));
            engine.upgrade().map(|engine| engine.increment_epoch()).is_some()
        })?;

        let clock = Arc::downgrade(&ticker);
        turns.set_clock(move || Box::new(clock.upgrade().map(|ticker| ticker.keep_ticking())));

        Ok(Engine {
            inner: Arc::new(EngineInner { wasmtime, linker, reset, ticker, turns, slots }),
        })
    }

    /// Identifies the engine version, settings and CPU that an artifact must be compiled for to run
    /// here.
    pub fn fingerprint(&self) -> String {
        let mut hasher = StableHasher(Sha256::new());
        std::hash::Hash::hash(&self.inner.wasmtime.precompile_compatibility_hash(), &mut hasher);
        hasher.0.update(artifact::FORMAT);
        // Weights that were packed by `load` are in the snapshot.
        hasher.0.update([wardian_kernels::LAYOUT]);
        hasher.0.update(wardian_kernels::InstructionSet::best().name());
        hex(&hasher.0.finalize()[..16])
    }

    /// Returns the method by which an instance's memory is reset for reuse.
    pub fn reset(&self) -> MemoryReset {
        self.inner.reset
    }

    /// Keeps the epoch clock ticking while the guard lives. Running guests are interrupted only
    /// while it ticks, so the caller holds the guard for as long as a guest runs.
    fn keep_ticking(&self) -> TickGuard {
        self.inner.ticker.keep_ticking()
    }

    fn turns(&self) -> &Arc<FairScheduler> {
        &self.inner.turns
    }

    /// Returns the instance slots, which all tenants share.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.inner.slots
    }

    fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    fn linker(&self) -> &Linker<State> {
        &self.inner.linker
    }

    /// Links shared code with the state of one model.
    fn link_state(
        &self,
        code: &Component,
        state: &wasmtime::Module,
    ) -> wasmtime::Result<InstancePre<State>> {
        let mut linker = self.inner.linker.clone();
        linker.root().module(compile::STATE, state)?;
        linker.instantiate_pre(code)
    }
}

/// A hasher with a stable output. That of the standard library may change with any release, and
/// fingerprints are stored on disk.
struct StableHasher(Sha256);

impl std::hash::Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    // Unused: `fingerprint` finalizes the inner hash.
    fn finish(&self) -> u64 {
        0
    }
}
