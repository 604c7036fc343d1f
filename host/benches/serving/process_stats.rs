//! Reads the resources of a process, and a description of the machine, from `/proc`.

use std::fs;
use std::num::NonZero;
use std::time::Duration;

use anyhow::{Context, Result};

/// Clock ticks in `/proc` are hundredths of a second, whatever the kernel itself uses.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time that a process has used, over all its threads, living and gone.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("a server is gone")?;
    // The name comes second, in parentheses, and may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("an odd /proc/PID/stat")?;
    let field = |index: usize| {
        fields.split_whitespace().nth(index).and_then(|field| field.parse::<u32>().ok())
    };
    let ticks = field(11).zip(field(12)).map(|(user, system)| user + system);
    Ok(TICK * ticks.context("an odd /proc/PID/stat")?)
}

/// Memory that a process has, in bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident pages, shared ones counted whole.
    pub(crate) resident: f64,
    /// Resident pages, each shared one counted by its share.
    pub(crate) proportional: f64,
    /// Resident pages without a file behind them.
    pub(crate) anonymous: f64,
}

/// The memory that a process has.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let rollup =
        fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("a server is gone")?;
    let field = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        kibibytes
            .map(|kibibytes| kibibytes * 1024.0)
            .with_context(|| format!("no {name} in smaps_rollup"))
    };

    Ok(Memory {
        resident: field("Rss:")?,
        proportional: field("Pss:")?,
        anonymous: field("Anonymous:")?,
    })
}

/// The number of threads of a process.
pub(crate) fn threads(pid: u32) -> Result<usize> {
    count(&format!("/proc/{pid}/task"))
}

/// The number of file descriptors that a process has open.
pub(crate) fn descriptors(pid: u32) -> Result<usize> {
    count(&format!("/proc/{pid}/fd"))
}

fn count(folder: &str) -> Result<usize> {
    Ok(fs::read_dir(folder).context("a server is gone")?.count())
}

/// A line about the machine, with its load.
pub(crate) fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let release = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("unknown");

    format!(
        "{cores} cores of {}, Linux {}, load {load} before it began",
        model.trim_matches([':', ' ', '\t']),
        release.trim()
    )
}
