//! The timeouts of a connection that waits for its client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::eviction::Activity;
use super::write_timeout::WriteTimeout;
use crate::config::HttpConfig;

/// The timeouts of one connection, and its present state. A clone shares both.
#[derive(Clone)]
pub(super) struct ConnectionTimeouts(Arc<State>);

struct State {
    header_read_timeout: Duration,
    keep_alive: Duration,
    write_timeout: Duration,
    now: Mutex<Progress>,
}

/// The state of a connection: it waits for bytes of its client, for room in the socket, or both.
struct Progress {
    phase: Phase,
    allowance: WriteTimeout,
    /// Bytes have arrived since the last request began.
    fresh: bool,
}

/// The phase of a connection, with the deadline of its wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No byte has arrived yet.
    New(Instant),
    /// A part of a request's head has arrived.
    Head(Instant),
    /// A request is being served since then. It has timeouts of its own.
    Work(Instant),
    /// The connection is closing since then. Closing has timeouts of its own.
    Closing(Instant),
    /// The client takes the last bytes of a response, or pauses before its next request.
    Idle(Instant),
}

impl ConnectionTimeouts {
    /// The timeouts of a new connection. Its first request has no more time than the head of any
    /// other.
    pub(super) fn new(config: &HttpConfig) -> Self {
        let &HttpConfig { header_read_timeout, keep_alive, write_timeout, .. } = config;
        let phase = Phase::New(Instant::now() + header_read_timeout);
        let now = Mutex::new(Progress {
            phase,
            allowance: WriteTimeout::new(write_timeout),
            fresh: false,
        });
        ConnectionTimeouts(Arc::new(State { header_read_timeout, keep_alive, write_timeout, now }))
    }

    /// Resolves when a timeout has passed.
    pub(super) async fn expired(&self) {
        let State { header_read_timeout, keep_alive, write_timeout, .. } = *self.0;
        let pause = header_read_timeout.min(keep_alive).min(write_timeout).max(PRECISION);
        loop {
            let now = Instant::now();

            // A deadline that is set later than now is not due before `next`. The remaining time to
            // take a response may be shorter, and is extended by at most this much.
            let next = now + pause;
            match self.deadline() {
                Some(due) if due <= now => return,
                Some(due) => tokio::time::sleep_until(due.min(next).into()).await,
                None => tokio::time::sleep_until(next.into()).await,
            }
        }
    }

    /// Records that bytes have arrived.
    pub(super) fn on_received(&self) {
        let mut now = self.now();
        now.fresh = true;
        now.phase = match now.phase {
            Phase::New(due) => Phase::Head(due),
            Phase::Idle(_) => Phase::Head(Instant::now() + self.0.header_read_timeout),
            phase @ (Phase::Head(_) | Phase::Work(_) | Phase::Closing(_)) => phase,
        };
    }

    /// Records that the client has taken some bytes.
    pub(super) fn on_sent(&self, bytes: usize) {
        let mut now = self.now();
        now.allowance.on_written(bytes, Instant::now());
        if let Phase::Idle(_) = now.phase {
            now.phase = self.idle_phase();
        }
    }

    /// Records that the socket is full.
    pub(super) fn on_blocked(&self) {
        self.now().allowance.on_blocked(Instant::now());
    }

    /// Records that a request's head is complete. Returns true if it arrived together with the
    /// request before it.
    pub(super) fn on_request(&self) -> bool {
        let mut now = self.now();
        now.phase = Phase::Work(Instant::now());
        !std::mem::take(&mut now.fresh)
    }

    /// Records that the connection is closing.
    pub(super) fn on_closing(&self) {
        self.now().phase = Phase::Closing(Instant::now());
    }

    /// Records that the whole response is in the connection's buffer.
    pub(super) fn on_response(&self) {
        self.now().phase = self.idle_phase();
    }

    /// True while a part of a request's head has arrived.
    pub(super) fn is_reading_head(&self) -> bool {
        matches!(self.now().phase, Phase::Head(_))
    }

    /// The activity of the connection. A request that is already refused, with the rest of its body
    /// still to come, does not count as work.
    pub(super) fn activity(&self, refusing: bool) -> Activity {
        let now = self.now();
        let State { header_read_timeout, keep_alive, .. } = *self.0;
        let began = |due: Instant, limit| due.checked_sub(limit).unwrap_or(due);

        match (now.allowance.full_since(), now.phase) {
            (Some(since), _) if since.elapsed() >= STALL_AFTER => Activity::Stalled(since),
            (Some(_), _) => Activity::Busy,
            (None, Phase::New(due) | Phase::Head(due)) => {
                Activity::Idle(began(due, header_read_timeout))
            }
            // The next request is likely to be on its way, and would fail.
            (None, Phase::Idle(due)) if began(due, keep_alive).elapsed() < STALL_AFTER => {
                Activity::Busy
            }
            (None, Phase::Idle(due)) => Activity::Idle(began(due, keep_alive)),
            (None, Phase::Closing(since)) => Activity::Idle(since),
            (None, Phase::Work(since)) if refusing => Activity::Idle(since),
            (None, Phase::Work(_)) => Activity::Busy,
        }
    }

    fn idle_phase(&self) -> Phase {
        Phase::Idle(Instant::now() + self.0.keep_alive)
    }

    fn deadline(&self) -> Option<Instant> {
        let now = self.now();
        let sending = now.allowance.deadline();
        match now.phase {
            // The pause begins once all bytes are sent.
            Phase::Idle(due) => sending.or(Some(due)),
            Phase::New(due) | Phase::Head(due) => {
                Some(sending.map_or(due, |sending| sending.min(due)))
            }
            Phase::Work(_) | Phase::Closing(_) => sending,
        }
    }

    fn now(&self) -> MutexGuard<'_, Progress> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that takes nothing for this long is stalled. One that reads a large response takes some
/// of it all the time.
const STALL_AFTER: Duration = Duration::from_secs(1);

/// The shortest interval between two checks of the deadline.
const PRECISION: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn clock() -> ConnectionTimeouts {
        ConnectionTimeouts::new(&HttpConfig {
            header_read_timeout: 10 * SECOND,
            keep_alive: 75 * SECOND,
            ..HttpConfig::default()
        })
    }

    /// The time until the deadline, in whole seconds.
    fn left(clock: &ConnectionTimeouts) -> Option<u64> {
        clock.deadline().map(|due| (due - Instant::now() + SECOND / 2).as_secs())
    }

    #[test]
    fn a_head_has_less_time_than_the_pause_before_it() {
        let clock = clock();
        assert_eq!(
            (left(&clock), clock.is_reading_head()),
            (Some(10), false),
            "before the first request"
        );
        clock.on_received();
        assert_eq!((left(&clock), clock.is_reading_head()), (Some(10), true));
        clock.on_request();
        clock.on_received();
        clock.on_sent(1);
        assert_eq!((left(&clock), clock.is_reading_head()), (None, false), "while it works");
        clock.on_response();
        clock.on_sent(1);
        assert_eq!((left(&clock), clock.is_reading_head()), (Some(75), false), "between requests");
        clock.on_received();
        let due = clock.deadline();
        clock.on_received();
        assert_eq!((left(&clock), clock.deadline()), (Some(10), due), "a trickle gains no time");
    }

    #[test]
    fn requests_that_came_together_are_told_from_others() {
        let clock = clock();
        clock.on_received();
        assert!(!clock.on_request());
        clock.on_response();
        assert!(clock.on_request(), "nothing has come since");
        clock.on_received();
        clock.on_response();
        assert!(!clock.on_request());
    }

    #[test]
    fn an_answer_that_is_not_taken_has_a_limit_of_its_own() {
        let config =
            HttpConfig { keep_alive: SECOND, write_timeout: 30 * SECOND, ..HttpConfig::default() };
        let clock = ConnectionTimeouts::new(&config);
        clock.on_request();
        clock.on_blocked();
        assert_eq!(left(&clock), Some(30), "while it works on the next request");
        clock.on_sent(1);
        assert_eq!(left(&clock), None);
        clock.on_response();
        clock.on_blocked();
        assert_eq!(left(&clock), Some(30), "the pause has not begun");
        clock.on_sent(1);
        assert_eq!(left(&clock), Some(1));
    }

    #[test]
    fn only_a_connection_with_a_request_works() {
        let clock = clock();
        let idle = |refusing| matches!(clock.activity(refusing), Activity::Idle(since) if since.elapsed() < SECOND);
        assert!(idle(false), "before the first request");
        clock.on_received();
        assert!(idle(false), "in the middle of a head");
        clock.on_request();
        assert_eq!((clock.activity(false), idle(true)), (Activity::Busy, true));
        clock.on_response();
        assert_eq!(clock.activity(false), Activity::Busy, "the next request may be on its way");
        clock.now().phase = Phase::Idle(Instant::now() + clock.0.keep_alive - STALL_AFTER);
        assert!(matches!(clock.activity(false), Activity::Idle(_)), "between requests");
        clock.on_blocked();
        assert_eq!(clock.activity(false), Activity::Busy, "its client may be about to take more");
        clock.on_sent(1);
        clock.on_closing();
        assert!(idle(false));
    }

    #[tokio::test]
    async fn it_expires_when_the_time_is_up() {
        let short = Duration::from_millis(20);
        let clock = ConnectionTimeouts::new(&HttpConfig {
            header_read_timeout: short,
            keep_alive: short,
            ..HttpConfig::default()
        });
        let started = Instant::now();
        clock.expired().await;
        assert!(started.elapsed() >= short);
        clock.on_request();
        assert!(tokio::time::timeout(3 * short, clock.expired()).await.is_err());
    }
}
