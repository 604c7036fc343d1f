//! CPU time of a compile process, read from the kernel.

use std::time::{Duration, Instant};

/// CPU time of the main thread of a compile process, as of the last sample. That thread compiles
/// and runs the guest's `load`.
pub(super) struct ProcessCpuTime {
    path: String,
    before: Option<Times>,
    at: Instant,
}

/// Time used between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CpuTimeDelta {
    /// Wall-clock time between the samples.
    pub(super) passed: Duration,
    /// CPU time.
    pub(super) cpu: Duration,
    /// CPU time plus the time in which the thread was ready but had no core.
    pub(super) demand: Duration,
}

#[derive(Clone, Copy)]
struct Times {
    cpu: Duration,
    waiting: Duration,
}

impl ProcessCpuTime {
    /// Starts to measure the process with that id.
    pub(super) fn new(process: u32) -> Self {
        let path = format!("/proc/{process}/schedstat");
        ProcessCpuTime { before: read(&path), path, at: Instant::now() }
    }

    /// Returns the time used since the last sample. Where the kernel gives no statistics, all the
    /// time passed counts as used.
    pub(super) fn sample(&mut self) -> CpuTimeDelta {
        let now = read(&self.path);
        let at = Instant::now();
        let passed = at - std::mem::replace(&mut self.at, at);
        let before = std::mem::replace(&mut self.before, now);

        match (before, now) {
            (Some(before), Some(now)) => {
                let cpu = now.cpu.saturating_sub(before.cpu);
                CpuTimeDelta {
                    passed,
                    cpu,
                    demand: cpu + now.waiting.saturating_sub(before.waiting),
                }
            }
            _ => CpuTimeDelta { passed, cpu: passed, demand: passed },
        }
    }
}

fn read(path: &str) -> Option<Times> {
    parse(&std::fs::read_to_string(path).ok()?)
}

/// Parses the nanoseconds on a core, and the nanoseconds waiting for one.
fn parse(text: &str) -> Option<Times> {
    let mut numbers =
        text.split_whitespace().map(|number| number.parse().map(Duration::from_nanos).ok());
    Some(Times { cpu: numbers.next()??, waiting: numbers.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_process_is_distinguished_from_a_sleeping_one() {
        // This test's own thread may not be the process's first, so it starts processes.
        let run =
            |script: &str| std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        let mut works = run("while :; do :; done");
        let mut sleeps = run("exec sleep 60");
        let mut cpu_time = [ProcessCpuTime::new(works.id()), ProcessCpuTime::new(sleeps.id())];

        let mut worked = Duration::ZERO;
        let mut slept = Duration::ZERO;
        while worked < Duration::from_millis(200) {
            std::thread::yield_now();
            worked += cpu_time[0].sample().cpu;
            slept += cpu_time[1].sample().cpu;
        }

        for child in [&mut works, &mut sleeps] {
            child.kill().unwrap();
            child.wait().unwrap();
        }

        assert!(slept < Duration::from_millis(50), "{slept:?} beside {worked:?}");
    }

    #[test]
    fn without_kernel_statistics_the_wall_clock_counts() {
        let mut cpu_time = ProcessCpuTime::new(u32::MAX);
        let used = cpu_time.sample();
        assert!(used.cpu > Duration::ZERO && used.cpu == used.demand);
        assert!(parse("12").is_none() && parse("a b").is_none());
    }
}
