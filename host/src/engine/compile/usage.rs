//! What a child has used of the cores, as the kernel tells it.

use std::time::{Duration, Instant};

/// What a child's first thread has used, as of the last look. That thread compiles, and runs the
/// guest's `load`.
pub(super) struct Usage {
    path: String,
    before: Option<Times>,
    at: Instant,
}

/// What was used between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Used {
    /// The time between them.
    pub(super) passed: Duration,
    /// CPU time.
    pub(super) cpu: Duration,
    /// CPU time, and the time in which the thread wanted a core and had none.
    pub(super) wanted: Duration,
}

#[derive(Clone, Copy)]
struct Times {
    cpu: Duration,
    waiting: Duration,
}

impl Usage {
    /// Nothing is used yet by the process of that number.
    pub(super) fn new(process: u32) -> Self {
        let path = format!("/proc/{process}/schedstat");
        Usage { before: read(&path), path, at: Instant::now() }
    }

    /// What was used since the last look. Where the kernel does not tell, all the time that has
    /// passed.
    pub(super) fn look(&mut self) -> Used {
        let (now, at) = (read(&self.path), Instant::now());
        let passed = at - std::mem::replace(&mut self.at, at);
        let before = std::mem::replace(&mut self.before, now);
        match (before, now) {
            (Some(before), Some(now)) => {
                let cpu = now.cpu.saturating_sub(before.cpu);
                Used { passed, cpu, wanted: cpu + now.waiting.saturating_sub(before.waiting) }
            }
            _ => Used { passed, cpu: passed, wanted: passed },
        }
    }
}

fn read(path: &str) -> Option<Times> {
    parse(&std::fs::read_to_string(path).ok()?)
}

/// Nanoseconds on a core, and nanoseconds waiting for one.
fn parse(text: &str) -> Option<Times> {
    let mut numbers =
        text.split_whitespace().map(|number| number.parse().map(Duration::from_nanos).ok());
    Some(Times { cpu: numbers.next()??, waiting: numbers.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_told_from_sleep() {
        // This test's own thread may not be the process's first, so it starts processes.
        let run =
            |script: &str| std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        let (mut works, mut sleeps) = (run("while :; do :; done"), run("exec sleep 60"));
        let mut usage = [Usage::new(works.id()), Usage::new(sleeps.id())];
        let (mut worked, mut slept) = (Duration::ZERO, Duration::ZERO);
        while worked < Duration::from_millis(200) {
            std::thread::yield_now();
            worked += usage[0].look().cpu;
            slept += usage[1].look().cpu;
        }
        for child in [&mut works, &mut sleeps] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(slept < Duration::from_millis(50), "{slept:?} beside {worked:?}");
    }

    #[test]
    fn where_the_kernel_does_not_tell_the_clock_counts() {
        let mut usage = Usage::new(u32::MAX);
        let used = usage.look();
        assert!(used.cpu > Duration::ZERO && used.cpu == used.wanted);
        assert!(parse("12").is_none() && parse("a b").is_none());
    }
}
