//! The log of a tenant's guests. The latest lines are kept for the tenant to read, and a rate limit
//! keeps guests from filling the operator's disk.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use crate::model::{ModelName, Version};
use crate::mutex::lock;

/// Bytes of kept lines.
const MAX_KEPT_BYTES: usize = 256 << 10;

/// Bytes that may be written at once, and in each second after that: an amount that an operator can
/// still read.
const BURST: u64 = 1 << 20;
const PER_SECOND: u64 = 64 << 10;

/// Bytes counted for a line in addition to its text.
const LINE_OVERHEAD: usize = 32;

/// One line of a tenant's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Time at which it was written.
    pub time: SystemTime,
    /// The model that wrote it.
    pub model: ModelName,
    /// The version that wrote it.
    pub version: Version,
    /// The request during which it was written; empty if there was none.
    pub request_id: String,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// The context that the guest gave.
    pub context: String,
    /// The text.
    pub message: String,
}

impl LogEntry {
    fn size(&self) -> usize {
        self.request_id.len() + self.context.len() + self.message.len() + LINE_OVERHEAD
    }
}

/// The rate limit's decision on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDecision {
    /// The line is written.
    Write,
    /// The line is dropped, and is the first one: a notice is written in its place.
    DropAndReport,
    /// The line is dropped.
    Drop,
}

/// The log of one tenant.
pub struct GuestLog {
    inner: Mutex<Inner>,
}

struct Inner {
    kept: VecDeque<LogEntry>,
    size: usize,
    /// Bytes that may be written now, as of `refilled`.
    allowance: u64,
    refilled: Instant,
    dropping: bool,
    dropped: u64,
}

impl Default for GuestLog {
    fn default() -> Self {
        GuestLog {
            inner: Mutex::new(Inner {
                kept: VecDeque::new(),
                size: 0,
                allowance: BURST,
                refilled: Instant::now(),
                dropping: false,
                dropped: 0,
            }),
        }
    }
}

impl GuestLog {
    /// Keeps a line for reading, if the rate limit allows it.
    pub fn push(&self, entry: &LogEntry) -> LogDecision {
        self.lock().push(entry, Instant::now())
    }

    /// The kept lines, oldest first.
    pub fn recent(&self) -> Vec<LogEntry> {
        self.lock().kept.iter().cloned().collect()
    }

    /// Number of dropped lines.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Inner {
    fn push(&mut self, entry: &LogEntry, now: Instant) -> LogDecision {
        self.refill(now);
        let cost = entry.size() as u64;
        if cost > self.allowance {
            self.dropped += 1;
            return if std::mem::replace(&mut self.dropping, true) {
                LogDecision::Drop
            } else {
                LogDecision::DropAndReport
            };
        }

        self.dropping = false;
        self.allowance -= cost;
        self.keep(entry.clone());

        LogDecision::Write
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled).min(Duration::from_secs(3600));
        let earned = passed.as_millis() as u64 * PER_SECOND / 1000;
        // Time too short to earn a byte is left to count later.
        if earned > 0 {
            self.allowance = (self.allowance + earned).min(BURST);
            self.refilled = now;
        }
    }

    fn keep(&mut self, entry: LogEntry) {
        self.size += entry.size();
        self.kept.push_back(entry);
        while self.size > MAX_KEPT_BYTES {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.size -= oldest.size();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(message: &str) -> LogEntry {
        LogEntry {
            time: SystemTime::UNIX_EPOCH,
            model: ModelName::new("iris").unwrap(),
            version: Version::new(1).unwrap(),
            request_id: String::new(),
            level: "info",
            context: String::new(),
            message: message.into(),
        }
    }

    #[test]
    fn a_flood_is_dropped_with_one_notice_and_writing_resumes_later() {
        let log = GuestLog::default();
        let start = Instant::now();
        let line = entry(&"x".repeat(1000));
        let push = |millis| log.lock().push(&line, start + Duration::from_millis(millis));
        let written = (0..2000).take_while(|_| push(0) == LogDecision::Write).count() as u64;

        assert!((BURST / 1100..=BURST / 1000).contains(&written), "{written}");
        assert_eq!((push(0), push(0)), (LogDecision::Drop, LogDecision::Drop));
        assert_eq!((push(1000), push(1000)), (LogDecision::Write, LogDecision::Write));
        assert!(log.dropped() >= 3);
    }

    #[test]
    fn only_the_latest_lines_are_kept() {
        let log = GuestLog::default();
        let start = Instant::now();
        for number in 0..10_000 {
            log.lock().push(&entry(&number.to_string()), start + Duration::from_secs(number));
        }

        let kept = log.recent();
        assert_eq!(kept.last().unwrap().message, "9999");
        assert!(kept.iter().map(LogEntry::size).sum::<usize>() <= MAX_KEPT_BYTES);
        assert!(kept.windows(2).all(|pair| pair[0].message != pair[1].message));
    }
}
