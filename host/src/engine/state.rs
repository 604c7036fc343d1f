//! What the host keeps inside a guest's store.

use wasmtime::ResourceLimiter;
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::Call;
use crate::capability::{Ctx, CtxView};
use crate::model::QuotaExceeded;
use crate::tenant::Held;

/// What the host keeps inside a guest's store.
pub(super) struct State {
    pub(super) ctx: Ctx,
    pub(super) memory: MemoryLimit,
    pub(super) call: Call,
}

impl CtxView for State {
    fn ctx_mut(&mut self) -> &mut Ctx {
        &mut self.ctx
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.ctx.wasi()
    }
}

/// Limits the sum of all memories in a store, and of all tables; wasmtime's own limiter bounds each
/// by itself. What the store has counts against its tenant's quota until the store is gone.
pub(super) struct MemoryLimit {
    limit: u64,
    held: Held,
    /// How much the last growth added, in case the memory cannot be had after all.
    last: u64,
    /// Elements of all tables, and how many of them the last growth added.
    table_elements: usize,
    last_elements: usize,
    /// The guest asked for more than it may have, which explains the trap that follows.
    exceeded: Option<Exceeded>,
}

/// Which limit a guest has come to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Exceeded {
    /// Its model's own.
    Model,
    /// Its tenant's.
    Tenant(QuotaExceeded),
}

/// Elements over all tables of a store: functions, as a rule, and at most this many of them.
const MAX_TABLE_ELEMENTS: usize = 100_000;

impl MemoryLimit {
    pub(super) fn new(limit: u64, held: Held) -> Self {
        MemoryLimit { limit, held, last: 0, table_elements: 0, last_elements: 0, exceeded: None }
    }

    /// Forgets what an earlier call was refused: it explains nothing of what happens from now on.
    pub(super) fn begin_call(&mut self) {
        self.exceeded = None;
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn used(&self) -> u64 {
        self.held.amount()
    }

    pub(super) fn exceeded(&self) -> Option<Exceeded> {
        self.exceeded
    }

    fn grow(&mut self, amount: u64) -> Result<(), Exceeded> {
        if self.used().saturating_add(amount) > self.limit {
            return Err(Exceeded::Model);
        }
        self.held.grow(amount).map_err(Exceeded::Tenant)?;
        self.last = amount;
        Ok(())
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _max: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = self.grow(desired.saturating_sub(current) as u64);
        self.exceeded = grown.err().or(self.exceeded);
        Ok(grown.is_ok())
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.held.shrink(std::mem::take(&mut self.last));
        self.exceeded = self.exceeded.or(Some(Exceeded::Model));
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _max: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let added = desired.saturating_sub(current);
        let fits = self.table_elements.saturating_add(added) <= MAX_TABLE_ELEMENTS;
        self.last_elements = if fits { added } else { 0 };
        self.table_elements += self.last_elements;
        Ok(fits)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements -= std::mem::take(&mut self.last_elements);
        Ok(())
    }
}
