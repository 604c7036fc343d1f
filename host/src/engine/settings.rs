//! The engine's settings, each with its reason.

use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    ResourcesRequired,
};

/// What an operator may choose of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The most bytes of memory any one guest can be allowed.
    pub max_memory: u64,
    /// The most instances alive at once, over all tenants and models. A large component takes the
    /// place of several, see [`slots_of`].
    pub instances: u32,
    /// The most bytes of stack a guest may use.
    pub stack: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        // A thousand slots reserve 4 TiB of the 128 TiB a process can address, and cost nothing
        // unused.
        EngineConfig { max_memory: 1 << 30, instances: 1000, stack: 1 << 20 }
    }
}

/// Each slot reserves all that a 32-bit memory can address, and a guard behind it.
const SLOT: u64 = (4 << 30) + (32 << 20);

impl EngineConfig {
    /// Bytes of address space that the engine reserves when it is built.
    pub fn reservation(&self) -> u64 {
        let stacks = u64::from(self.instances).saturating_mul(self.stack.saturating_add(1 << 20));
        u64::from(self.instances).saturating_mul(SLOT).saturating_add(stacks)
    }

    /// An error of building the engine, with what would mend it.
    pub(super) fn explain(&self, error: wasmtime::Error) -> wasmtime::Error {
        if !format!("{error:#}").contains("mmap failed") {
            return error;
        }
        let (instances, gibibytes) = (self.instances, self.reservation().div_ceil(1 << 30));
        error.context(format!(
            "this process may not reserve the {gibibytes} GiB of addresses (not memory) that engine.instances = \
             {instances} takes; lift the limit (`ulimit -v unlimited`), or lower engine.instances in wardian.toml, which \
             takes 4 GiB of addresses each"
        ))
    }
}

/// How an instance's memory is made as new before another instance gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// By copying the original over the pages that were written to. Twice the throughput of fresh
    /// instances on two cores, because unmapping makes every core flush its address translations.
    DirtyPages,
    /// By unmapping what was written to.
    Unmap,
}

impl Reset {
    /// Dirty pages where the kernel can list them (Linux 6.7) and none can hide: wasmtime 48 does
    /// not reset a page that was swapped out, so there must be no swap.
    pub fn detect() -> Self {
        let swapless =
            std::fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() <= 1);
        let forced_off = std::env::var_os("WARDIAN_RESET").is_some_and(|choice| choice == "unmap");
        if swapless && !forced_off && PoolingAllocationConfig::is_pagemap_scan_available() {
            Reset::DirtyPages
        } else {
            Reset::Unmap
        }
    }
}

/// Dirty bytes that a reset may copy back; what a guest wrote beyond them is unmapped. A slot keeps
/// as much resident while it waits for its next instance, so this times the warm slots is memory
/// held.
const KEEP_RESIDENT: usize = 8 << 20;

/// Slots that stay attached to the component that last used them.
const WARM_SLOTS: u32 = 64;

/// wasmtime's configuration. The compile child and the server build it from the same
/// [`EngineConfig`], or the one could not read what the other wrote.
pub(super) fn wasmtime_config(config: &EngineConfig, pools: &Pools, reset: Reset) -> Config {
    let mut wasmtime = Config::new();
    wasmtime.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config, pools, reset)));
    interruption(&mut wasmtime, config);
    features(&mut wasmtime);
    code(&mut wasmtime);
    wasmtime
}

/// Tables in a slot. A component as compilers make it has a memory and one or two tables.
const TABLES_OF_SLOT: u32 = 2;

/// The most that one component may have. Core instances take no slots: wasmtime keeps them on the
/// heap, and what they take there together is bounded by `max_component_instance_size`.
const MAX_MEMORIES: u32 = 16;
const MAX_TABLES: u32 = MAX_MEMORIES * TABLES_OF_SLOT;
const MAX_CORE_INSTANCES: u32 = 64;

/// How many slots an instance of a component takes: a slot has one memory, two tables and a stack.
pub(super) fn slots_of(needs: &ResourcesRequired) -> u32 {
    needs.num_memories.max(needs.num_tables.div_ceil(TABLES_OF_SLOT)).max(1)
}

/// How much room wasmtime has. Whoever has its slots finds room in each of the pools.
pub(super) struct Pools {
    memories: u32,
    tables: u32,
    stacks: u32,
}

impl Pools {
    /// All that is in so many slots.
    pub(super) fn of_server(config: &EngineConfig) -> Self {
        let slots = config.instances;
        Pools { memories: slots, tables: slots.saturating_mul(TABLES_OF_SLOT), stacks: slots }
    }

    /// Room for one instance of the largest component. Stacks and tables count against the child's
    /// memory limit.
    pub(super) fn of_child() -> Self {
        Pools { memories: MAX_MEMORIES, tables: MAX_TABLES, stacks: 2 }
    }
}

fn pool(config: &EngineConfig, pools: &Pools, reset: Reset) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(pools.stacks)
        .total_core_instances(pools.stacks.saturating_mul(MAX_CORE_INSTANCES));
    pool.total_memories(pools.memories).total_tables(pools.tables).total_stacks(pools.stacks);
    pool.max_core_instances_per_component(MAX_CORE_INSTANCES);
    pool.max_memories_per_component(MAX_MEMORIES).max_tables_per_component(MAX_TABLES);
    // The default of 1 MiB refuses large guests with a confusing error.
    pool.max_component_instance_size(10 << 20).max_core_instance_size(10 << 20);
    pool.table_elements(100_000);
    pool.max_memory_size(usize::try_from(config.max_memory).unwrap_or(usize::MAX));
    // Slots are returned at once, not in batches: when a version goes, the allocator lets go of its
    // mappings only in slots that have been returned, and one that waits for its batch keeps code
    // and weights alive.
    pool.max_unused_warm_slots(WARM_SLOTS).decommit_batch_size(1);
    if reset == Reset::DirtyPages {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEEP_RESIDENT)
            .table_keep_resident(64 << 10);
    }
    pool
}

fn interruption(wasmtime: &mut Config, config: &EngineConfig) {
    let stack = usize::try_from(config.stack).unwrap_or(usize::MAX / 2);
    wasmtime.epoch_interruption(true);
    wasmtime.max_wasm_stack(stack);
    // Host functions run on the guest's stack and need room of their own.
    wasmtime.async_stack_size(stack.saturating_add(1 << 20));
    // Stacks are not cleared between guests: that takes a system call for every call, and a guest
    // cannot read its native stack, only locals that it has written itself.
    wasmtime.async_stack_zeroing(false);
}

/// Off is what models do not need and what most of the engine's past faults were in.
fn features(wasmtime: &mut Config) {
    wasmtime.concurrency_support(false);
    wasmtime.wasm_memory64(false);
    wasmtime.wasm_multi_memory(false);
    wasmtime.wasm_relaxed_simd(true);
    // Snapshots are computed on one machine and may be served on another.
    wasmtime.relaxed_simd_deterministic(true);
}

fn code(wasmtime: &mut Config) {
    wasmtime.cranelift_opt_level(OptLevel::Speed);
    // Weights are one dense image of up to a whole memory; the 16 MiB default would copy larger
    // ones into every instance.
    wasmtime.memory_guaranteed_dense_image_size(1 << 30);
    // Registering unwind tables takes time quadratic in the number of loaded components.
    wasmtime.native_unwind_info(false);
    wasmtime.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20));
}
