//! CPU time of a compile process, read from the kernel.

use std::time::{Duration, Instant};

/// CPU time of the main thread of a compile process, as of the last sample. That thread compiles
/// and runs the guest's `load`.
pub(super) struct ProcessUsage {
    path: String,
    before: Option<Times>,
    at: Instant,
}

/// Time used between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsageDelta {
    /// Wall-clock time between the samples.
    pub(super) passed: Duration,
    /// CPU time.
    pub(super) cpu: Duration,
    /// CPU time plus the time in which the thread was ready but had no core.
    pub(super) wanted: Duration,
}

#[derive(Clone, Copy)]
struct Times {
    cpu: Duration,
    waiting: Duration,
}

impl ProcessUsage {
    /// Usage of the process with that id, starting now.
    pub(super) fn new(process: u32) -> Self {
        let path = format!("/proc/{process}/schedstat");
        ProcessUsage { before: read(&path), path, at: Instant::now() }
    }

    /// Returns the time used since the last sample. Where the kernel gives no statistics, all the
    /// time passed counts as used.
    pub(super) fn sample(&mut self) -> UsageDelta {
        let now = read(&self.path);
        let at = Instant::now();
        let passed = at - std::mem::replace(&mut self.at, at);
        let before = std::mem::replace(&mut self.before, now);

        match (before, now) {
            (Some(before), Some(now)) => {
                let cpu = now.cpu.saturating_sub(before.cpu);
                UsageDelta { passed, cpu, wanted: cpu + now.waiting.saturating_sub(before.waiting) }
            }
            _ => UsageDelta { passed, cpu: passed, wanted: passed },
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
        let mut usage = [ProcessUsage::new(works.id()), ProcessUsage::new(sleeps.id())];

        let mut worked = Duration::ZERO;
        let mut slept = Duration::ZERO;
        while worked < Duration::from_millis(200) {
            std::thread::yield_now();
            worked += usage[0].sample().cpu;
            slept += usage[1].sample().cpu;
        }

        for child in [&mut works, &mut sleeps] {
            child.kill().unwrap();
            child.wait().unwrap();
        }

        assert!(slept < Duration::from_millis(50), "{slept:?} beside {worked:?}");
    }

    #[test]
    fn without_kernel_statistics_the_wall_clock_counts() {
        let mut usage = ProcessUsage::new(u32::MAX);
        let used = usage.sample();
        assert!(used.cpu > Duration::ZERO && used.cpu == used.wanted);
        assert!(parse("12").is_none() && parse("a b").is_none());
    }
}
