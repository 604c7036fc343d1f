//! Cancels statements that exceed their time or memory, or that have no caller any more. Makes long
//! statements yield to other work.
//!
//! SQLite calls the progress handler every few steps of its virtual machine, while it prepares and
//! while it runs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::super::SqlError;
use super::super::limits::{statement_timeout, transaction_timeout};
use super::cancel_token::CancelToken;
use crate::mutex::lock;
use crate::tenant::HostWorkMeter;

/// Virtual machine steps between two checks: a few microseconds for ordinary steps, a tenth of a
/// second for function calls on large values.
pub(super) const PROGRESS_STEPS: i32 = 250;

/// Time between two measurements of memory, each of which is a system call.
const MEMORY_CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Memory limit of one statement, in bytes. Sorts and temporary tables lie in memory, since files
/// would fill the disk, and SQLite does not limit them.
const MAX_STATEMENT_MEMORY: u64 = 256 << 20;

/// Memory of all running statements, in bytes, above which the large ones are cancelled. It is well
/// below `HEAP_LIMIT`, SQLite's limit for the process, beyond which small statements and those of
/// the host would fail too.
const MAX_TOTAL_MEMORY: u64 = 1 << 30;

/// Memory below which a statement does not count as large, in bytes.
const SMALL_STATEMENT: u64 = 16 << 20;

/// Bytes used by running statements, as of their last measurement.
static MEMORY_USED: AtomicU64 = AtomicU64::new(0);

/// Limits of a connection's current statement. A clone is shallow.
#[derive(Clone)]
pub(super) struct Watchdog {
    current: Arc<Mutex<CurrentStatement>>,
    meter: HostWorkMeter,
}

#[derive(Default)]
struct CurrentStatement {
    cancel_token: CancelToken,
    /// Time at which the statement must end, and its limit.
    deadline: Option<(Instant, Duration)>,
    /// Time at which the transaction must end.
    transaction_deadline: Option<Instant>,
    memory: Option<ThreadMemory>,
    stopped: Option<SqlError>,
}

/// Memory that the current thread has taken from the system since the start of a statement.
struct ThreadMemory {
    thread: ThreadId,
    stat: Option<File>,
    baseline: u64,
    /// Part of [`MEMORY_USED`] that belongs to this thread, in bytes.
    recorded: u64,
    next_check: Instant,
}

impl Watchdog {
    /// Creates a guard without a current statement.
    pub(super) fn new(meter: HostWorkMeter) -> Self {
        Watchdog { current: Arc::default(), meter }
    }

    /// Waits for a turn and starts to guard a statement. Fails if it was cancelled or its time
    /// ended before.
    pub(super) fn begin(
        &self,
        cancel_token: &CancelToken,
        allowed: Duration,
        open_until: Option<Instant>,
    ) -> Result<(), SqlError> {
        let now = Instant::now();
        let mut current = self.lock();

        current.cancel_token = cancel_token.clone();
        (current.deadline, current.transaction_deadline) =
            (Some((now + allowed, allowed)), open_until);
        current.stopped = None;
        // The connection may have been moved from another thread.
        current.memory.take_if(|memory| memory.thread != thread::current().id());

        let memory = current.memory.get_or_insert_with(ThreadMemory::for_this_thread);
        memory.next_check = now + MEMORY_CHECK_INTERVAL;
        memory.baseline = u64::MAX;

        self.meter.begin_work(|| current.stop_reason(Instant::now()))
    }

    /// Ends a statement. Returns the reason if it was cancelled.
    pub(super) fn end(&self) -> Option<SqlError> {
        self.meter.end_work();

        let mut current = self.lock();
        (current.deadline, current.transaction_deadline, current.cancel_token) =
            (None, None, CancelToken::default());

        if let Some(memory) = &mut current.memory {
            memory.record(0);
        }

        current.stopped.take()
    }

    /// True if the statement must end. Yields to other work if the statement's slice is over.
    pub(super) fn should_stop(&self) -> bool {
        let mut current = self.lock();
        if current.deadline.is_none() {
            // Statements of the host are short.
            return false;
        }

        let why = current.stop_reason(Instant::now());
        let why =
            why.or_else(|| self.meter.yield_if_due(|| current.stop_reason(Instant::now())).err());
        let stops = why.is_some();

        current.stopped = why.or(current.stopped.take());

        stops
    }

    fn lock(&self) -> MutexGuard<'_, CurrentStatement> {
        lock(&self.current)
    }
}

impl CurrentStatement {
    fn stop_reason(&mut self, now: Instant) -> Option<SqlError> {
        if self.cancel_token.is_cancelled() {
            return Some(SqlError::Unavailable("the call has ended".into()));
        }

        match self.deadline {
            Some((until, allowed)) if now >= until => return Some(statement_timeout(allowed)),
            _ => {}
        }

        if self.transaction_deadline.is_some_and(|until| now >= until) {
            return Some(transaction_timeout());
        }

        let memory = self.memory.as_mut()?;
        if now < memory.next_check {
            return None;
        }

        let taken = memory.measure(now);
        memory.record(taken);

        let crowded =
            taken > SMALL_STATEMENT && MEMORY_USED.load(Ordering::Relaxed) > MAX_TOTAL_MEMORY;
        let limit = if crowded { SMALL_STATEMENT } else { MAX_STATEMENT_MEMORY };
        let why = if crowded { " while others need it too" } else { "" };
        let text = || format!("the statement took more than {} MiB of memory{why}", limit >> 20);

        (taken > limit).then(|| SqlError::Limit(text()))
    }
}

impl ThreadMemory {
    fn for_this_thread() -> ThreadMemory {
        // If it cannot be read, only the time is limited.
        let stat = File::open("/proc/thread-self/stat").ok();
        ThreadMemory {
            thread: thread::current().id(),
            stat,
            baseline: u64::MAX,
            recorded: 0,
            next_check: Instant::now(),
        }
    }

    /// Updates this thread's part of the total.
    fn record(&mut self, taken: u64) {
        MEMORY_USED.fetch_add(taken, Ordering::Relaxed);
        MEMORY_USED.fetch_sub(std::mem::replace(&mut self.recorded, taken), Ordering::Relaxed);
    }

    /// Returns the bytes taken since the first measurement. Memory that was released and taken
    /// again counts twice.
    fn measure(&mut self, now: Instant) -> u64 {
        self.next_check = now + MEMORY_CHECK_INTERVAL;
        let faults = self.stat.as_ref().and_then(minor_faults).unwrap_or(0);
        self.baseline = self.baseline.min(faults);
        (faults - self.baseline).saturating_mul(rustix::param::page_size() as u64)
    }
}

impl Drop for ThreadMemory {
    fn drop(&mut self) {
        self.record(0);
    }
}

/// Returns the number of pages that a thread has touched for the first time.
fn minor_faults(stat: &File) -> Option<u64> {
    let mut text = [0; 512];
    let length = stat.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(text.get(..length)?).ok()?;
    // The name of the thread is in parentheses and may contain any character.
    let (_, after) = text.rsplit_once(") ")?;

    after.split(' ').nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Larger than an arena of the C library, so that it comes from the system. Memory released by
    /// another test was touched before and would not count.
    const FRESH: usize = 256 << 20;

    #[test]
    fn memory_taken_by_a_thread_is_measured() {
        let mut memory = ThreadMemory::for_this_thread();
        let now = Instant::now();

        assert_eq!(memory.measure(now), 0);

        let taken = std::hint::black_box(vec![1_u8; FRESH]);
        let seen = memory.measure(now);

        assert!(
            (FRESH as u64..2 * FRESH as u64).contains(&seen),
            "{seen} bytes for {}",
            taken.len()
        );
    }
}
