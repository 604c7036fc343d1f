//! Responses of HTTP/2 that their client does not take.
//!
//! A client of HTTP/2 says for each response how much of it may be sent, so a response can wait
//! although the socket has room. A wait begins when a response or a part of it is handed over, and
//! ends when the client takes it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::write_timeout::time_for;

/// The waits of one connection.
pub(super) struct Unsent {
    timeout: Duration,
    next: u64,
    waits: BTreeMap<u64, Wait>,
    /// The bytes of all waits.
    bytes: usize,
}

/// A wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnsentId(u64);

struct Wait {
    due: Instant,
    bytes: usize,
}

impl Unsent {
    /// A client has `timeout` for a part of a response, and time for all bytes that wait, at the
    /// lowest rate.
    pub(super) fn new(timeout: Duration) -> Self {
        Unsent { timeout, next: 0, waits: BTreeMap::new(), bytes: 0 }
    }

    /// Begins a wait for some bytes.
    pub(super) fn start(&mut self, bytes: usize, now: Instant) -> UnsentId {
        let id = self.next;
        self.next += 1;
        self.bytes = self.bytes.saturating_add(bytes);

        let due = now + self.timeout.saturating_add(time_for(self.bytes));
        self.waits.insert(id, Wait { due, bytes });
        UnsentId(id)
    }

    /// Ends a wait.
    pub(super) fn end(&mut self, UnsentId(id): UnsentId) {
        if let Some(wait) = self.waits.remove(&id) {
            self.bytes = self.bytes.saturating_sub(wait.bytes);
        }
    }

    /// The time at which the client is cut off. `None` while nothing waits.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waits.values().map(|wait| wait.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_wait_that_is_due_counts() {
        let now = Instant::now();
        let mut unsent = Unsent::new(30 * SECOND);
        assert_eq!(unsent.deadline(), None);

        let first = unsent.start(0, now);
        let second = unsent.start(16 << 10, now + 10 * SECOND);
        assert_eq!(unsent.deadline(), Some(now + 30 * SECOND));

        unsent.end(first);
        assert_eq!(unsent.deadline(), Some(now + 41 * SECOND), "a second for 16 KiB");

        let third = unsent.start(16 << 10, now);
        assert_eq!(unsent.deadline(), Some(now + 32 * SECOND), "it is sent after the second");
        unsent.end(second);
        unsent.end(third);
        assert_eq!((unsent.deadline(), unsent.bytes), (None, 0));
    }
}
