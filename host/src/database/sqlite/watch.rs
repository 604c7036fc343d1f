//! Stops a statement that takes too long, takes too much memory, or that nobody waits for any more,
//! and has one that runs for long give way to others.
//!
//! SQLite asks every so many steps of its virtual machine, while it prepares and while it runs.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::super::SqlError;
use super::super::limits::{open_too_long, too_long};
use crate::tenant::Meter;

/// Steps between two looks: a few microseconds of ordinary ones, and a tenth of a second of those
/// that call functions on large values.
pub(super) const STEPS: i32 = 250;

/// Between two looks at the memory, which take a system call.
const LOOK: Duration = Duration::from_millis(1);

/// Bytes that sorting and collecting may take while a statement runs. What SQLite keeps for a
/// statement lies in memory, because files would fill the disk, and has no bound of its own.
const MEMORY: u64 = 256 << 20;

/// Bytes that all statements of all tenants may take together before the large ones among them are
/// stopped. Well below what SQLite may take in all (`ALL_MEMORY`), beyond which the small ones
/// would fail too, and the host's own.
const TOGETHER: u64 = 1 << 30;

/// A statement that has taken no more than this is not large.
const SMALL: u64 = 16 << 20;

/// What the statements that run now have taken, as far as anybody has looked.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Whether somebody still waits for a piece of work. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct Ticket(Arc<AtomicU8>);

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Ticket {
    /// Begins the work, unless nobody waits for it any more.
    pub(super) fn begin(&self) -> bool {
        self.0.compare_exchange(WAITING, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives up work that has not begun. Tells whether that was so.
    pub(super) fn withdraw(&self) -> bool {
        self.0.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives up the work, begun or not.
    pub(super) fn give_up(&self) {
        self.0.store(GIVEN_UP, Ordering::Release);
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Acquire) == GIVEN_UP
    }
}

/// What a connection's present statement may take. A clone is the same.
#[derive(Clone)]
pub(super) struct Watch {
    present: Arc<Mutex<Present>>,
    meter: Meter,
}

#[derive(Default)]
struct Present {
    ticket: Ticket,
    /// When the statement must have ended, and how long that is.
    until: Option<(Instant, Duration)>,
    /// When the transaction must have.
    open_until: Option<Instant>,
    memory: Option<Memory>,
    stopped: Option<SqlError>,
}

/// How much memory the present thread has taken from the system since a statement began.
struct Memory {
    thread: ThreadId,
    stat: Option<File>,
    before: u64,
    /// What of it is part of [`TAKEN`].
    noted: u64,
    next_look: Instant,
}

impl Watch {
    /// Watches nothing yet.
    pub(super) fn new(meter: Meter) -> Self {
        Watch { present: Arc::default(), meter }
    }

    /// Begins to watch a statement, once it may begin. Fails if that does not come true in time.
    pub(super) fn begin(
        &self,
        ticket: &Ticket,
        allowed: Duration,
        open_until: Option<Instant>,
    ) -> Result<(), SqlError> {
        let now = Instant::now();
        let mut present = self.lock();
        present.ticket = ticket.clone();
        (present.until, present.open_until) = (Some((now + allowed, allowed)), open_until);
        present.stopped = None;
        // The connection may have come from another thread.
        present.memory.take_if(|memory| memory.thread != thread::current().id());
        let memory = present.memory.get_or_insert_with(Memory::of_this_thread);
        memory.next_look = now + LOOK;
        memory.before = u64::MAX;
        self.meter.begin(|| present.why_stop(Instant::now()))
    }

    /// Watches nothing any more. Tells why the statement was stopped, if it was.
    pub(super) fn end(&self) -> Option<SqlError> {
        self.meter.end();
        let mut present = self.lock();
        (present.until, present.open_until, present.ticket) = (None, None, Ticket::default());
        if let Some(memory) = &mut present.memory {
            memory.note(0);
        }
        present.stopped.take()
    }

    /// Whether the statement is to be stopped. Has it give way to others if it is their turn.
    pub(super) fn stops(&self) -> bool {
        let mut present = self.lock();
        if present.until.is_none() {
            // The host's own, which is short.
            return false;
        }
        let why = present.why_stop(Instant::now());
        let why = why.or_else(|| self.meter.give_way(|| present.why_stop(Instant::now())).err());
        let stops = why.is_some();
        present.stopped = why.or(present.stopped.take());
        stops
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    fn why_stop(&mut self, now: Instant) -> Option<SqlError> {
        if self.ticket.is_given_up() {
            return Some(SqlError::Unavailable("the call has ended".into()));
        }
        match self.until {
            Some((until, allowed)) if now >= until => return Some(too_long(allowed)),
            _ => {}
        }
        if self.open_until.is_some_and(|until| now >= until) {
            return Some(open_too_long());
        }
        let memory = self.memory.as_mut()?;
        if now < memory.next_look {
            return None;
        }
        let taken = memory.look(now);
        memory.note(taken);
        let crowded = taken > SMALL && TAKEN.load(Ordering::Relaxed) > TOGETHER;
        let limit = if crowded { SMALL } else { MEMORY };
        let why = if crowded { " while others need it too" } else { "" };
        let text = || format!("the statement took more than {} MiB of memory{why}", limit >> 20);
        (taken > limit).then(|| SqlError::Limit(text()))
    }
}

impl Memory {
    fn of_this_thread() -> Memory {
        // Where it cannot be read, only the time is bounded.
        let stat = File::open("/proc/thread-self/stat").ok();
        Memory {
            thread: thread::current().id(),
            stat,
            before: u64::MAX,
            noted: 0,
            next_look: Instant::now(),
        }
    }

    /// Makes that its part of what all have taken.
    fn note(&mut self, taken: u64) {
        TAKEN.fetch_add(taken, Ordering::Relaxed);
        TAKEN.fetch_sub(std::mem::replace(&mut self.noted, taken), Ordering::Relaxed);
    }

    /// Bytes taken since the first look, or a little more: memory that was given back and taken
    /// again counts twice.
    fn look(&mut self, now: Instant) -> u64 {
        self.next_look = now + LOOK;
        let faults = self.stat.as_ref().and_then(minor_faults).unwrap_or(0);
        self.before = self.before.min(faults);
        (faults - self.before).saturating_mul(rustix::param::page_size() as u64)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.note(0);
    }
}

/// Pages that a thread has touched for the first time.
fn minor_faults(stat: &File) -> Option<u64> {
    let mut text = [0; 512];
    let length = stat.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(text.get(..length)?).ok()?;
    // The thread's name is in parentheses, and may hold anything.
    let (_, after) = text.rsplit_once(") ")?;
    after.split(' ').nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than an arena of the C library holds together, so that it comes from the system and not
    /// from what another test has given back, which was touched before and would not show.
    const FRESH: usize = 256 << 20;

    #[test]
    fn memory_that_a_thread_takes_shows() {
        let mut memory = Memory::of_this_thread();
        let now = Instant::now();
        assert_eq!(memory.look(now), 0);
        let taken = std::hint::black_box(vec![1_u8; FRESH]);
        let seen = memory.look(now);
        assert!(
            (FRESH as u64..2 * FRESH as u64).contains(&seen),
            "{seen} bytes for {}",
            taken.len()
        );
    }

    #[test]
    fn work_is_given_up_once_it_has_begun_or_before() {
        let (waiting, running) = (Ticket::default(), Ticket::default());
        assert!(waiting.withdraw() && !waiting.begin());
        assert!(running.begin() && !running.withdraw() && !running.is_given_up());
        running.give_up();
        assert!(running.is_given_up());
    }
}
