//! wasmtime, narrowed to what serving models needs.
//!
//! Read in this order: [`Engine`] is the process's one engine; a [`Job`](compile::Job) makes an
//! artifact of a component in a child process, kept in the [`ArtifactStore`]; [`Code`] is an
//! artifact mapped into memory; a [`Template`] is code with one version's grants and limits; an
//! [`Instance`] is made from a template, answers calls within a [`Budget`], and is thrown away.
//! Where a call runs is for [`GuestThreads`] to say, when is for [`Turns`], and what its end means
//! for [`trap`].

mod artifact;
mod bindings;
mod budget;
mod call;
pub mod compile;
mod exports;
mod instance;
mod settings;
mod state;
mod template;
mod threads;
mod ticker;
mod trap;
mod trusted;

use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use wasmtime::component::Linker;

pub(crate) use artifact::unwritten;
pub use artifact::{
    About, Artifact, ArtifactKey, ArtifactStore, Lease, Snapshot, StoredFile, TenantArtifacts,
};
pub use budget::Budget;
pub use call::Call;
pub use instance::{CallContext, Instance};
pub use settings::{EngineConfig, Reset};
pub use template::{Code, Template};
pub use threads::GuestThreads;

use crate::tenant::{Slots, Turns};
use settings::Pools;
use state::State;
use ticker::{Ticker, Ticking};

/// The process's one engine. A clone is shallow.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<EngineInner>,
}

struct EngineInner {
    wasmtime: wasmtime::Engine,
    linker: Linker<State>,
    reset: Reset,
    ticker: Arc<Ticker>,
    turns: Arc<Turns>,
    slots: Arc<Slots>,
}

impl Engine {
    /// Builds the engine, its linker and its clock. Fails if the machine cannot reserve the address
    /// space for the instance slots. Its clock is the one by which the turns are given out.
    pub fn new(config: &EngineConfig, turns: Arc<Turns>) -> wasmtime::Result<Self> {
        Self::with_pools(config, &Pools::of_server(config), turns)
    }

    /// The engine of a compile child: what it compiles can run in the server's, and a component has
    /// one instance.
    pub(super) fn of_child(config: &EngineConfig, turns: Arc<Turns>) -> wasmtime::Result<Self> {
        Self::with_pools(config, &Pools::of_child(), turns)
    }

    fn with_pools(
        config: &EngineConfig,
        pools: &Pools,
        turns: Arc<Turns>,
    ) -> wasmtime::Result<Self> {
        let reset = Reset::detect();
        let wasmtime = wasmtime::Engine::new(&settings::wasmtime_config(config, pools, reset));
        let wasmtime = wasmtime.map_err(|error| config.explain(error))?;
        let slots = Slots::new(config.instances);
        let mut linker = Linker::new(&wasmtime);
        crate::capability::add_to_linker(&mut linker)?;
        let (engine, compared) = (wasmtime.weak(), turns.clone());
        let mut before = Instant::now();
        let ticker = Ticker::start(move || {
            let now = Instant::now();
            compared.tick(now - std::mem::replace(&mut before, now));
            engine.upgrade().map(|engine| engine.increment_epoch()).is_some()
        })?;
        let clock = Arc::downgrade(&ticker);
        turns.set_clock(move || Box::new(clock.upgrade().map(|ticker| ticker.keep_ticking())));
        Ok(Engine {
            inner: Arc::new(EngineInner { wasmtime, linker, reset, ticker, turns, slots }),
        })
    }

    /// What an artifact must have been compiled for to run here: engine version, settings and CPU.
    pub fn fingerprint(&self) -> String {
        let mut hasher = StableHasher(Sha256::new());
        std::hash::Hash::hash(&self.inner.wasmtime.precompile_compatibility_hash(), &mut hasher);
        hasher.0.update(artifact::FORMAT);
        hex(&hasher.0.finalize()[..16])
    }

    /// How an instance's memory is made as new.
    pub fn reset(&self) -> Reset {
        self.inner.reset
    }

    /// Keeps the clock ticking that stops guests; to be held by whoever lets one run.
    fn keep_ticking(&self) -> Ticking {
        self.inner.ticker.keep_ticking()
    }

    fn turns(&self) -> &Arc<Turns> {
        &self.inner.turns
    }

    /// Its slots for instances, which tenants share.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.inner.slots
    }

    fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    fn linker(&self) -> &Linker<State> {
        &self.inner.linker
    }
}

/// The standard library's hasher may change with any release; a fingerprint on disk may not.
struct StableHasher(Sha256);

impl std::hash::Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    // The bytes are taken from the hash itself by `fingerprint`.
    fn finish(&self) -> u64 {
        0
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
