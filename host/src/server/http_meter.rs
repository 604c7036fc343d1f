//! The HTTP time of a connection, and the wait of one whose payer is in debt.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tokio::time::{Sleep, sleep};

use super::pacing::{CAPACITY, HttpPayer, TokenBuckets};
use super::peer::Peer;
use crate::api::Connection;
use crate::mutex::lock;
use crate::tenant::FairScheduler;

/// HTTP time is charged in portions of this size, so that a connection with short requests that
/// call guests never touches the shared buckets.
const PORTION: Duration = Duration::from_micros(200);

/// The time of a request of HTTP/2 that calls a guest: it covers a request with some data.
const CALL_CREDIT: Duration = Duration::from_micros(100);

/// The most credit: that of the requests of one connection at the same time.
const MAX_CREDIT: Duration = Duration::from_millis(10);

/// The longest pause between two checks of a waiting connection: the guests may be done earlier.
const MAX_PAUSE: Duration = Duration::from_millis(5);

/// The shared part of all meters.
#[derive(Clone)]
pub(super) struct HttpPacer(Arc<Shared>);

struct Shared {
    buckets: Mutex<TokenBuckets>,
    scheduler: Arc<FairScheduler>,
    /// Waits of connections.
    waits: Counter,
}

/// Measures the HTTP time of one connection. A clone measures the same connection.
#[derive(Clone)]
pub(super) struct HttpMeter(Arc<ConnectionTime>);

struct ConnectionTime {
    pacer: HttpPacer,
    peer: Peer,
    connection: Connection,
    request: Mutex<RequestTime>,
}

/// The HTTP time since the last response.
struct RequestTime {
    uncharged: Duration,
    /// The payer and the time that was charged.
    charged: Option<(HttpPayer, Duration)>,
    /// True for a new connection, and after a request without a guest call.
    is_paced: bool,
    /// The present poll has ended a request with a guest call, which is free.
    poll_is_free: bool,
    /// Time that is free because requests of HTTP/2 have called guests.
    credit: Duration,
}

impl HttpPacer {
    /// Creates a pacer that delays requests while the scheduler's calls need the cores.
    pub(super) fn new(scheduler: Arc<FairScheduler>, waits: Counter) -> Self {
        let buckets = Mutex::new(TokenBuckets::new(scheduler.cores(), Instant::now()));
        HttpPacer(Arc::new(Shared { buckets, scheduler, waits }))
    }

    /// Creates the meter of a connection.
    pub(super) fn meter(&self, peer: Peer, connection: Connection) -> HttpMeter {
        let request = RequestTime {
            uncharged: Duration::ZERO,
            charged: None,
            is_paced: true,
            poll_is_free: false,
            credit: Duration::ZERO,
        };
        HttpMeter(Arc::new(ConnectionTime {
            pacer: self.clone(),
            peer,
            connection,
            request: Mutex::new(request),
        }))
    }

    fn buckets(&self) -> MutexGuard<'_, TokenBuckets> {
        lock(&self.0.buckets)
    }
}

impl HttpMeter {
    /// Wraps the future that serves the connection, and measures the time of its polls.
    pub(super) fn measure<F>(&self, serving: F) -> Measured<F> {
        Measured { meter: self.clone(), serving: Box::pin(serving) }
    }

    /// Begins a wait. `None` if the connection may go on at once.
    pub(super) fn wait(&self) -> Option<Wait> {
        let pause = self.pause()?;
        self.0.pacer.0.waits.inc();
        Some(Wait { meter: self.clone(), timer: Box::pin(sleep(pause)) })
    }

    /// The pause before the next check. `None` if the connection may go on.
    fn pause(&self) -> Option<Duration> {
        if !self.request().is_paced {
            return None;
        }
        let pacer = &self.0.pacer;
        let wait = pacer.buckets().wait(&self.payer(), Instant::now());
        if wait.is_zero() || !pacer.0.scheduler.is_busy() {
            return None;
        }
        Some(wait.min(MAX_PAUSE))
    }

    /// Settles the time of a request whose response has been handed over. Time for a guest call is
    /// refunded.
    pub(super) fn settle(&self) {
        let called_guest = self.0.connection.take_guest_call();
        let mut request = self.request();
        request.is_paced = !called_guest;
        request.poll_is_free = called_guest;
        let uncharged = std::mem::take(&mut request.uncharged);
        let charged = request.charged.take();
        drop(request);

        match charged {
            Some((payer, time)) if called_guest => {
                self.0.pacer.buckets().refund(&payer, time, Instant::now());
            }
            None if called_guest => {}
            _ => self.charge(uncharged),
        }
    }

    /// Settles the time of one of several requests at the same time. Their times are not known
    /// apart, so one that has called a guest makes a constant time free.
    pub(super) fn settle_one_of_several(&self, called_guest: bool) {
        if called_guest {
            let mut request = self.request();
            request.credit = (request.credit + CALL_CREDIT).min(MAX_CREDIT);
        }
    }

    fn record(&self, time: Duration) {
        let mut request = self.request();
        let credited = time.min(request.credit);
        request.credit -= credited;
        let time = time - credited;

        let is_free = std::mem::take(&mut request.poll_is_free);
        if is_free || self.0.connection.has_guest_call() {
            // Time that was charged before is refunded in the end.
            request.uncharged = Duration::ZERO;
            return;
        }

        request.uncharged += time;
        if request.uncharged < PORTION {
            return;
        }
        let portion = std::mem::take(&mut request.uncharged);
        let payer = self.payer();
        let (payer, charged) = request.charged.take().unwrap_or((payer, Duration::ZERO));
        let charged = charged + portion;
        // A request that is this long waits as well, whatever comes of it.
        request.is_paced |= charged >= CAPACITY;
        request.charged = Some((payer.clone(), charged));
        drop(request);
        self.0.pacer.buckets().charge(&payer, portion, Instant::now());
    }

    fn charge(&self, time: Duration) {
        self.0.pacer.buckets().charge(&self.payer(), time, Instant::now());
    }

    fn payer(&self) -> HttpPayer {
        self.0.connection.tenant().map_or(HttpPayer::Peer(self.0.peer), HttpPayer::Tenant)
    }

    fn request(&self) -> MutexGuard<'_, RequestTime> {
        lock(&self.0.request)
    }
}

/// Resolves once the connection may go on.
pub(super) struct Wait {
    meter: HttpMeter,
    timer: Pin<Box<Sleep>>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            match self.meter.pause() {
                Some(pause) => self.timer.set(sleep(pause)),
                None => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }
}

/// A future whose polls are measured.
pub(super) struct Measured<F> {
    meter: HttpMeter,
    serving: Pin<Box<F>>,
}

impl<F: Future> Future for Measured<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let started = Instant::now();
        let outcome = self.serving.as_mut().poll(context);
        self.meter.record(started.elapsed());
        outcome
    }
}
