//! Settings of compilation.

use std::num::NonZero;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Compilation of components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileConfig {
    /// Limits of one compile process.
    pub limits: CompileLimits,
    /// Limit of compile processes that compute at the same time.
    pub jobs: u32,
    /// Limit of compile processes, including those that sleep or wait.
    pub children: u32,
    /// Time and CPU time limit of `load`.
    pub load_deadline: Duration,
}

/// The limits of a compile process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileLimits {
    /// Bytes of memory.
    pub memory: u64,
    /// CPU time.
    pub cpu_time: Duration,
    /// Wall-clock time, without the time in which it is paused.
    pub wall_time: Duration,
}

impl Default for CompileLimits {
    // The largest model measured (20 MB of code) took 11 s and less than 1 GiB. Ten times as much
    // is taken for an attack.
    fn default() -> Self {
        CompileLimits {
            memory: 4 << 30,
            cpu_time: Duration::from_secs(120),
            wall_time: Duration::from_secs(240),
        }
    }
}

impl Default for CompileConfig {
    fn default() -> Self {
        CompileConfig {
            limits: CompileLimits::default(),
            // Compile processes have low priority, but long guests have idle priority. So at most
            // half the cores compile while calls run. At least two: one tenant must not take the
            // only slot.
            jobs: (std::thread::available_parallelism().map_or(1, NonZero::get) / 2).clamp(2, 1024)
                as u32,
            // Enough for a dozen tenants whose models sleep in `load`. Each may take `memory`.
            children: 16,
            // Loading is pure computation. Only very large models take tens of seconds.
            load_deadline: Duration::from_secs(60),
        }
    }
}
