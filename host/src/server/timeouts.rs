//! The timeouts of a connection that waits for its client.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::eviction::Activity;
use super::unsent_responses::{Unsent, UnsentId};
use super::write_timeout::WriteTimeout;
use crate::config::HttpConfig;
use crate::mutex::lock;

/// The timeouts of one connection, and its present state. A clone shares both.
#[derive(Clone)]
pub(super) struct ConnectionTimeouts(Arc<State>);

struct State {
    header_read_timeout: Duration,
    keep_alive: Duration,
    write_timeout: Duration,
    progress: Mutex<Progress>,
}

/// The state of a connection: it waits for bytes of its client, for room in the socket, or both.
struct Progress {
    phase: Phase,
    write_timeout_left: WriteTimeout,
    /// Bytes have arrived since the last request began.
    received_since_request: bool,
    /// The last request arrived together with the one before it.
    pipelined: bool,
    has_protocol: bool,
    /// True if the client speaks HTTP/2: requests are served at the same time, and bytes that
    /// arrive or are sent between them are no sign of another.
    is_http2: bool,
    /// The requests that are being served.
    active: usize,
    /// Responses of HTTP/2 that their client does not take.
    unsent: Unsent,
}

/// The phase of a connection, with the deadline of its wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No byte has arrived yet.
    New(Instant),
    /// A part of a request's head has arrived.
    ReadingHead(Instant),
    /// A request waits for its turn since then, see `pacing`.
    Paced(Instant),
    /// A request is being served since then. It has timeouts of its own.
    Serving(Instant),
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
        let progress = Mutex::new(Progress {
            phase,
            write_timeout_left: WriteTimeout::new(write_timeout),
            received_since_request: false,
            pipelined: false,
            has_protocol: false,
            is_http2: false,
            active: 0,
            unsent: Unsent::new(write_timeout),
        });
        ConnectionTimeouts(Arc::new(State {
            header_read_timeout,
            keep_alive,
            write_timeout,
            progress,
        }))
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

    /// Records the protocol that the client speaks. A client of HTTP/2 may pause before its first
    /// request.
    pub(super) fn on_protocol(&self, is_http2: bool) {
        let mut progress = self.progress();
        progress.has_protocol = true;
        if is_http2 {
            progress.is_http2 = true;
            progress.phase = self.idle_phase();
        }
    }

    /// True once the client has said which protocol it speaks.
    pub(super) fn has_protocol(&self) -> bool {
        self.progress().has_protocol
    }

    /// Records that bytes have arrived.
    pub(super) fn on_received(&self) {
        let mut progress = self.progress();
        progress.received_since_request = true;
        progress.phase = match progress.phase {
            phase if progress.is_http2 => phase,
            Phase::New(due) => Phase::ReadingHead(due),
            Phase::Idle(_) => Phase::ReadingHead(Instant::now() + self.0.header_read_timeout),
            phase @ (Phase::ReadingHead(_)
            | Phase::Paced(_)
            | Phase::Serving(_)
            | Phase::Closing(_)) => phase,
        };
    }

    /// Records that the client has taken some bytes.
    pub(super) fn on_sent(&self, bytes: usize) {
        let mut progress = self.progress();
        progress.write_timeout_left.on_written(bytes, Instant::now());
        if let (Phase::Idle(_), false) = (progress.phase, progress.is_http2) {
            progress.phase = self.idle_phase();
        }
    }

    /// Records that the socket is full.
    pub(super) fn on_blocked(&self) {
        self.progress().write_timeout_left.on_blocked(Instant::now());
    }

    /// Records that a request's head is complete. Returns true if it arrived together with the
    /// request before it.
    pub(super) fn on_request(&self) -> bool {
        let mut progress = self.progress();
        progress.active += 1;
        progress.phase = Phase::Serving(Instant::now());
        let is_together = !std::mem::take(&mut progress.received_since_request);
        progress.pipelined = is_together && !progress.is_http2;
        progress.pipelined
    }

    /// Records that a request with a complete head has to wait.
    pub(super) fn on_paced(&self) {
        self.progress().phase = Phase::Paced(Instant::now());
    }

    /// Records that a request that had to wait is served.
    pub(super) fn on_resumed(&self) {
        self.progress().phase = Phase::Serving(Instant::now());
    }

    /// Records that the connection has been upgraded, and is served as one request from now on.
    pub(super) fn on_upgraded(&self) {
        let mut progress = self.progress();
        progress.active += 1;
        progress.pipelined = false;
        progress.phase = Phase::Serving(Instant::now());
    }

    /// Records that the connection is closing.
    pub(super) fn on_closing(&self) {
        self.progress().phase = Phase::Closing(Instant::now());
    }

    /// Records that the whole response is in the connection's buffer, or that the request was
    /// cancelled.
    pub(super) fn on_response(&self) {
        let mut progress = self.progress();
        progress.active = progress.active.saturating_sub(1);
        if progress.active == 0 {
            progress.phase = self.idle_phase();
        }
    }

    /// Begins to wait until the client takes these bytes.
    pub(super) fn start_unsent(&self, bytes: usize) -> UnsentId {
        self.progress().unsent.start(bytes, Instant::now())
    }

    /// Ends a wait for the client.
    pub(super) fn end_unsent(&self, id: UnsentId) {
        self.progress().unsent.end(id);
    }

    /// True while a part of a request's head has arrived.
    pub(super) fn is_reading_head(&self) -> bool {
        matches!(self.progress().phase, Phase::ReadingHead(_))
    }

    /// The activity of the connection. A request that is already refused, with the rest of its body
    /// still to come, does not count as work, nor do the requests that wait for their client.
    pub(super) fn activity(&self, refusing: bool, waiting: usize) -> Activity {
        let progress = self.progress();
        let State { header_read_timeout, keep_alive, .. } = *self.0;
        let began = |due: Instant, limit| due.checked_sub(limit).unwrap_or(due);

        match (progress.write_timeout_left.blocked_since(), progress.phase) {
            (Some(since), _) if since.elapsed() >= progress.stall_after() => {
                Activity::Stalled(since)
            }
            (Some(_), _) => Activity::Busy,
            (None, Phase::New(due) | Phase::ReadingHead(due)) => {
                match began(due, header_read_timeout) {
                    since if since.elapsed() < EXPECTED_WITHIN => Activity::Young(since),
                    since => Activity::Idle(since),
                }
            }
            // The next request is likely to be on its way, and would fail.
            (None, Phase::Idle(due)) if began(due, keep_alive).elapsed() < EXPECTED_WITHIN => {
                Activity::Busy
            }
            (None, Phase::Idle(due)) => Activity::Idle(began(due, keep_alive)),
            (None, Phase::Closing(since) | Phase::Paced(since)) => Activity::Idle(since),
            (None, Phase::Serving(since)) if refusing || waiting >= progress.active => {
                Activity::Idle(since)
            }
            (None, Phase::Serving(_)) => Activity::Busy,
        }
    }

    fn idle_phase(&self) -> Phase {
        Phase::Idle(Instant::now() + self.0.keep_alive)
    }

    fn deadline(&self) -> Option<Instant> {
        let progress = self.progress();
        let full = progress.write_timeout_left.deadline();
        let sending = full.into_iter().chain(progress.unsent.deadline()).min();
        match progress.phase {
            // The pause begins once all bytes are sent.
            Phase::Idle(due) => sending.or(Some(due)),
            Phase::New(due) | Phase::ReadingHead(due) => {
                Some(sending.map_or(due, |sending| sending.min(due)))
            }
            Phase::Paced(_) | Phase::Serving(_) | Phase::Closing(_) => sending,
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.0.progress)
    }
}

impl Progress {
    /// The time after which a client that takes nothing is stalled.
    fn stall_after(&self) -> Duration {
        if self.pipelined { STALL_OF_PIPELINE_AFTER } else { STALL_AFTER }
    }
}

/// A client that takes nothing for this long is stalled. One that reads a large response takes some
/// of it all the time.
const STALL_AFTER: Duration = Duration::from_secs(1);

/// The same for a client that has sent further requests before it took the responses. The socket
/// holds megabytes of them by then.
const STALL_OF_PIPELINE_AFTER: Duration = Duration::from_millis(50);

/// A client that has connected, has begun a head or has got a response is likely to send a request
/// within this time. It covers a slow network and a busy machine.
const EXPECTED_WITHIN: Duration = Duration::from_secs(1);

/// The shortest interval between two checks of the deadline.
const PRECISION: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn timeouts() -> ConnectionTimeouts {
        ConnectionTimeouts::new(&HttpConfig {
            header_read_timeout: 10 * SECOND,
            keep_alive: 75 * SECOND,
            ..HttpConfig::default()
        })
    }

    /// The time until the deadline, in whole seconds.
    fn left(timeouts: &ConnectionTimeouts) -> Option<u64> {
        timeouts.deadline().map(|due| (due - Instant::now() + SECOND / 2).as_secs())
    }

    #[test]
    fn a_head_has_less_time_than_the_pause_before_it() {
        let timeouts = timeouts();
        assert_eq!(
            (left(&timeouts), timeouts.is_reading_head()),
            (Some(10), false),
            "before the first request"
        );
        timeouts.on_received();
        assert_eq!((left(&timeouts), timeouts.is_reading_head()), (Some(10), true));
        timeouts.on_request();
        timeouts.on_received();
        timeouts.on_sent(1);
        assert_eq!((left(&timeouts), timeouts.is_reading_head()), (None, false), "while it works");
        timeouts.on_response();
        timeouts.on_sent(1);
        assert_eq!(
            (left(&timeouts), timeouts.is_reading_head()),
            (Some(75), false),
            "between requests"
        );
        timeouts.on_received();
        let due = timeouts.deadline();
        timeouts.on_received();
        assert_eq!(
            (left(&timeouts), timeouts.deadline()),
            (Some(10), due),
            "a trickle gains no time"
        );
    }

    #[test]
    fn pipelined_requests_are_recognised() {
        let timeouts = timeouts();
        timeouts.on_received();
        assert!(!timeouts.on_request());
        timeouts.on_response();
        assert!(timeouts.on_request(), "nothing has come since");
        timeouts.on_received();
        timeouts.on_response();
        assert!(!timeouts.on_request());
    }

    #[test]
    fn an_unread_response_has_a_timeout_of_its_own() {
        let config =
            HttpConfig { keep_alive: SECOND, write_timeout: 30 * SECOND, ..HttpConfig::default() };
        let timeouts = ConnectionTimeouts::new(&config);
        timeouts.on_request();
        timeouts.on_blocked();
        assert_eq!(left(&timeouts), Some(30), "while it works on the next request");
        timeouts.on_sent(1);
        assert_eq!(left(&timeouts), None);
        timeouts.on_response();
        timeouts.on_blocked();
        assert_eq!(left(&timeouts), Some(30), "the pause has not begun");
        timeouts.on_sent(1);
        assert_eq!(left(&timeouts), Some(1));
    }

    #[test]
    fn a_client_that_pipelines_and_takes_nothing_stalls_earlier() {
        let timeouts = timeouts();
        let is_stalled = || matches!(timeouts.activity(false, 0), Activity::Stalled(_));
        let blocked_for = |time| {
            timeouts.on_sent(1);
            timeouts.progress().write_timeout_left.on_blocked(Instant::now() - time);
        };

        timeouts.on_received();
        timeouts.on_request();
        blocked_for(STALL_OF_PIPELINE_AFTER);
        assert!(!is_stalled(), "one request");
        blocked_for(STALL_AFTER);
        assert!(is_stalled(), "one request, for long");

        timeouts.on_request();
        blocked_for(STALL_OF_PIPELINE_AFTER);
        assert!(is_stalled(), "two requests at once");
        timeouts.on_sent(1);
        assert!(!is_stalled(), "it has taken some");
    }

    #[test]
    fn only_a_connection_with_a_request_works() {
        let timeouts = timeouts();
        let idle = |refusing| matches!(timeouts.activity(refusing, 0), Activity::Idle(since) if since.elapsed() < SECOND);
        let young = || matches!(timeouts.activity(false, 0), Activity::Young(_));
        assert!(young(), "before the first request");
        timeouts.on_received();
        assert!(young(), "in the middle of a head");
        timeouts.progress().phase =
            Phase::ReadingHead(Instant::now() + timeouts.0.header_read_timeout - EXPECTED_WITHIN);
        assert!(matches!(timeouts.activity(false, 0), Activity::Idle(_)), "a slow head");
        timeouts.on_request();
        assert_eq!((timeouts.activity(false, 0), idle(true)), (Activity::Busy, true));
        timeouts.on_response();
        assert_eq!(
            timeouts.activity(false, 0),
            Activity::Busy,
            "the next request may be on its way"
        );
        timeouts.progress().phase =
            Phase::Idle(Instant::now() + timeouts.0.keep_alive - EXPECTED_WITHIN);
        assert!(matches!(timeouts.activity(false, 0), Activity::Idle(_)), "between requests");
        timeouts.on_blocked();
        assert_eq!(
            timeouts.activity(false, 0),
            Activity::Busy,
            "its client may be about to take more"
        );
        timeouts.on_sent(1);
        timeouts.on_closing();
        assert!(idle(false));
    }

    #[tokio::test]
    async fn it_expires_when_the_time_is_up() {
        let short = Duration::from_millis(20);
        let timeouts = ConnectionTimeouts::new(&HttpConfig {
            header_read_timeout: short,
            keep_alive: short,
            ..HttpConfig::default()
        });
        let started = Instant::now();
        timeouts.expired().await;
        assert!(started.elapsed() >= short);
        timeouts.on_request();
        assert!(tokio::time::timeout(3 * short, timeouts.expired()).await.is_err());
    }
}
