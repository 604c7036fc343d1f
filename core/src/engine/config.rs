//! The settings of the WebAssembly engine, each with its reason.

use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    ResourcesRequired,
};

/// The settings that an operator may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The most bytes of memory that an instance can be permitted.
    pub max_memory: u64,
    /// The most instances at once, over all tenants and models. A large component takes several
    /// slots, see [`slots_needed`].
    pub instances: u32,
    /// The most bytes of stack of a guest.
    pub stack: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        // A thousand slots reserve 4 TiB of the 128 TiB that a process can address. Unused slots
        // cost nothing.
        EngineConfig { max_memory: 1 << 30, instances: 1000, stack: 1 << 20 }
    }
}

/// Bytes that a slot reserves: all that a 32-bit memory can address, and a guard behind it.
const SLOT_RESERVATION: u64 = (4 << 30) + (32 << 20);

impl EngineConfig {
    /// Bytes of address space that the engine reserves when it is built.
    pub fn reservation(&self) -> u64 {
        let stacks = u64::from(self.instances).saturating_mul(self.stack.saturating_add(1 << 20));
        u64::from(self.instances).saturating_mul(SLOT_RESERVATION).saturating_add(stacks)
    }

    /// Adds a remedy to an error of building the engine.
    pub(super) fn explain_error(&self, error: wasmtime::Error) -> wasmtime::Error {
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

/// The method by which an instance's memory is reset before its slot is reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryReset {
    /// Copies the original over the written pages. Twice the throughput of fresh instances on two
    /// cores, because unmapping makes every core flush its address translations.
    DirtyPages,
    /// Unmaps the written pages.
    Unmap,
}

impl MemoryReset {
    /// Chooses dirty pages if the kernel can list them (Linux 6.7) and there is no swap: wasmtime
    /// 48 does not reset a page that was swapped out.
    pub fn detect() -> Self {
        let swapless =
            std::fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() <= 1);
        let forced_off = std::env::var_os("WARDIAN_RESET").is_some_and(|choice| choice == "unmap");

        if swapless && !forced_off && PoolingAllocationConfig::is_pagemap_scan_available() {
            MemoryReset::DirtyPages
        } else {
            MemoryReset::Unmap
        }
    }
}

/// Dirty bytes that a reset may copy back; written pages beyond them are unmapped. A slot keeps as
/// much resident between two instances, so up to this times [`WARM_SLOTS`] stays in memory. Eight
/// times as much gains a few per cent of CPU time for calls that write more.
const KEEP_RESIDENT: usize = 1 << 20;

/// Slots that stay attached to the component that last used them.
const WARM_SLOTS: u32 = 64;

/// Returns wasmtime's configuration. The compile process and the server build it from the same
/// [`EngineConfig`]; otherwise the server could not read what the compile process wrote.
pub(super) fn wasmtime_config(
    config: &EngineConfig,
    pools: &PoolSizes,
    reset: MemoryReset,
) -> Config {
    let mut wasmtime = Config::new();
    wasmtime.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config, pools, reset)));
    interruption(&mut wasmtime, config);
    features(&mut wasmtime);
    code(&mut wasmtime);
    wasmtime
}

/// Tables of a slot. A component as compilers make it has one memory and one or two tables.
const TABLES_OF_SLOT: u32 = 2;

/// The most memories, tables and core instances of one component. Core instances take no slots:
/// wasmtime keeps them on the heap, where `max_component_instance_size` bounds their total. The
/// compile process reserves addresses for as many memories: less than 64 GiB, which is all that
/// valgrind has.
const MAX_MEMORIES: u32 = 15;
const MAX_TABLES: u32 = MAX_MEMORIES * TABLES_OF_SLOT;
const MAX_CORE_INSTANCES: u32 = 64;

/// The number of slots that an instance of a component takes. A slot has one memory, two tables and
/// one stack.
pub(super) fn slots_needed(needs: &ResourcesRequired) -> u32 {
    needs.num_memories.max(needs.num_tables.div_ceil(TABLES_OF_SLOT)).max(1)
}

/// The sizes of wasmtime's pools. A caller that holds its slots finds room in each of the pools.
pub(super) struct PoolSizes {
    memories: u32,
    tables: u32,
    stacks: u32,
}

impl PoolSizes {
    /// The pools of that many slots.
    pub(super) fn for_server(config: &EngineConfig) -> Self {
        let slots = config.instances;
        PoolSizes { memories: slots, tables: slots.saturating_mul(TABLES_OF_SLOT), stacks: slots }
    }

    /// Pools for one instance of the largest component. Stacks and tables count against the memory
    /// limit of the compile process.
    pub(super) fn for_compile_process() -> Self {
        PoolSizes { memories: MAX_MEMORIES, tables: MAX_TABLES, stacks: 2 }
    }
}

fn pool(config: &EngineConfig, pools: &PoolSizes, reset: MemoryReset) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(pools.stacks)
        .total_core_instances(pools.stacks.saturating_mul(MAX_CORE_INSTANCES));
    pool.total_memories(pools.memories).total_tables(pools.tables).total_stacks(pools.stacks);
    pool.max_core_instances_per_component(MAX_CORE_INSTANCES);
    pool.max_memories_per_component(MAX_MEMORIES).max_tables_per_component(MAX_TABLES);

    // The default of 1 MiB refuses large guests with a misleading error.
    pool.max_component_instance_size(10 << 20).max_core_instance_size(10 << 20);
    pool.table_elements(100_000);
    pool.max_memory_size(usize::try_from(config.max_memory).unwrap_or(usize::MAX));

    // Slots are decommitted at once, not in batches. When a version is unloaded, the allocator
    // releases its mappings only in decommitted slots, and a slot that waits for its batch keeps
    // code and weights in memory.
    pool.max_unused_warm_slots(WARM_SLOTS).decommit_batch_size(1);

    if reset == MemoryReset::DirtyPages {
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
    // cannot read its native stack, only locals that it wrote itself.
    wasmtime.async_stack_zeroing(false);
}

/// Disables features that models do not need and that most past faults of the engine were in.
fn features(wasmtime: &mut Config) {
    wasmtime.concurrency_support(false);
    wasmtime.wasm_memory64(false);
    wasmtime.wasm_multi_memory(false);
    wasmtime.wasm_relaxed_simd(true);
    // A snapshot may be taken on one machine and served on another.
    wasmtime.relaxed_simd_deterministic(true);
}

fn code(wasmtime: &mut Config) {
    wasmtime.cranelift_opt_level(OptLevel::Speed);
    // Weights form one dense image of up to a whole memory. With the default of 16 MiB, larger ones
    // would be copied into every instance.
    wasmtime.memory_guaranteed_dense_image_size(1 << 30);
    // Registering unwind tables takes time quadratic in the number of loaded components.
    wasmtime.native_unwind_info(false);
    wasmtime.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20));
}
