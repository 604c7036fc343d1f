//! What the host keeps inside a guest's store.

use wasmtime::ResourceLimiter;
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::Budget;
use crate::capability::{Ctx, CtxView};

/// What the host keeps inside a guest's store.
pub(super) struct State {
    pub(super) ctx: Ctx,
    pub(super) memory: MemoryLimit,
    pub(super) budget: Budget,
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

/// Limits the sum of all memories in a store; wasmtime's own limiter bounds each by itself.
pub(super) struct MemoryLimit {
    limit: u64,
    used: u64,
    /// The guest asked for more than it may have, which explains the trap that follows.
    exceeded: bool,
}

/// Elements over all tables of a store: functions, as a rule, and at most this many of them.
const MAX_TABLE_ELEMENTS: usize = 100_000;

impl MemoryLimit {
    pub(super) fn new(limit: u64) -> Self {
        MemoryLimit { limit, used: 0, exceeded: false }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn exceeded(&self) -> bool {
        self.exceeded
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current) as u64);
        if used > self.limit {
            self.exceeded = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.exceeded = true;
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}
