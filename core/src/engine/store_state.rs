//! The host's data in a guest's store.

use std::io;
use std::sync::Arc;

use wasmtime::ResourceLimiter;
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::Call;
use crate::capability::{Ctx, CtxView, HostAbort, NextSlice};
use crate::model::QuotaExceeded;
use crate::tenant::{CpuShare, QuotaGuard};

/// The host's data in a guest's store.
pub(super) struct State {
    pub(super) ctx: Ctx,
    pub(super) memory: MemoryLimiter,
    pub(super) call: Call,
}

impl CtxView for State {
    fn ctx_mut(&mut self) -> &mut Ctx {
        &mut self.ctx
    }

    fn share_in_turn(&self) -> Option<&Arc<CpuShare>> {
        let Call { budget, share, .. } = &self.call;
        budget.is_on_guest_thread().then_some(share)
    }

    fn end_time_slice(&mut self) -> wasmtime::Result<Option<NextSlice>> {
        let State { call: Call { budget, .. }, ctx, .. } = self;
        budget.charge(ctx.take_sql_cpu_time());
        budget.charge(ctx.take_helper_cpu_time());
        ctx.forget_kernel_time();

        let over = budget.check().map_err(|spent| wasmtime::Error::new(HostAbort(spent)))?;
        Ok(over.then(|| Box::pin(budget.yield_turn()) as NextSlice))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.ctx.wasi()
    }
}

/// Limits the sum of all memories in a store, and of all tables; wasmtime's own limits bound each
/// separately. The memory counts against the tenant's quota until the store is dropped.
pub(super) struct MemoryLimiter {
    limit: u64,
    charged: QuotaGuard,
    /// Bytes that the last growth added, in case the allocation fails.
    last_growth: u64,
    /// Elements of all tables, and the number that the last growth added.
    table_elements: usize,
    last_table_growth: usize,
    /// The limit that the guest last hit, which explains a trap that follows.
    exceeded: Option<ExceededLimit>,
}

/// A limit on a guest's memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum ExceededLimit {
    /// The model's `limits.memory`.
    Model,
    /// The tenant's quota.
    Tenant(QuotaExceeded),
    /// The memory of the process or of the machine.
    Host,
}

/// The most elements over all tables of a store: more than there are functions, as a rule.
const MAX_TABLE_ELEMENTS: usize = 100_000;

impl MemoryLimiter {
    pub(super) fn new(limit: u64, charged: QuotaGuard) -> Self {
        MemoryLimiter {
            limit,
            charged,
            last_growth: 0,
            table_elements: 0,
            last_table_growth: 0,
            exceeded: None,
        }
    }

    /// Resets the limit hit by an earlier call, which does not explain traps of this one.
    pub(super) fn begin_call(&mut self) {
        self.exceeded = None;
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn used(&self) -> u64 {
        self.charged.amount()
    }

    pub(super) fn exceeded(&self) -> Option<ExceededLimit> {
        self.exceeded
    }

    fn grow(&mut self, amount: u64) -> Result<(), ExceededLimit> {
        if self.used().saturating_add(amount) > self.limit {
            return Err(ExceededLimit::Model);
        }
        // Idle instances of the tenant give way.
        while let Err(exceeded) = self.charged.grow(amount) {
            if !self.charged.tenant().reclaim() {
                return Err(ExceededLimit::Tenant(exceeded));
            }
        }
        self.last_growth = amount;
        Ok(())
    }
}

/// True if the system refused memory: the process has reached a limit of its own, or the machine is
/// out of memory.
pub(super) fn is_out_of_memory(error: &wasmtime::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::OutOfMemory)
}

impl ResourceLimiter for MemoryLimiter {
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

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.charged.shrink(std::mem::take(&mut self.last_growth));

        let limit =
            if is_out_of_memory(&error) { ExceededLimit::Host } else { ExceededLimit::Model };
        self.exceeded = self.exceeded.or(Some(limit));
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
        self.last_table_growth = if fits { added } else { 0 };
        self.table_elements += self.last_table_growth;
        Ok(fits)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements -= std::mem::take(&mut self.last_table_growth);
        Ok(())
    }
}
