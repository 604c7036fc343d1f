//! The connections that are open: how many there may be, and which of them make room for others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::eviction::{Activity, EvictionCandidate, Peer, select_evictions};
use super::metrics::ConnectionMetrics;
use super::timeouts::ConnectionTimeouts;
use crate::api::Connection;

/// The connections that are open. A clone is of the same.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    most: usize,
    metrics: ConnectionMetrics,
    open: Mutex<OpenConnections>,
    /// Told whenever a connection has ended.
    freed: Notify,
}

#[derive(Default)]
struct OpenConnections {
    next_id: u64,
    entries: HashMap<u64, OpenConnection>,
    count_by_peer: HashMap<Peer, usize>,
    /// How many have been asked to end and have not ended yet.
    asked: usize,
    plan: EvictionPlan,
}

struct OpenConnection {
    peer: Peer,
    clock: ConnectionTimeouts,
    connection: Connection,
    asked: bool,
    end: Arc<Notify>,
}

/// Connections that can be closed next, so that not all are looked at whenever there is room to be
/// made for one.
#[derive(Default)]
struct EvictionPlan {
    next: VecDeque<u64>,
    of: Option<Peer>,
    /// No plan is made before then.
    pause_until: Option<Instant>,
}

/// Why a connection cannot be opened now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitReached {
    /// There are as many as may be.
    Total,
    /// This peer has its share, and there are others.
    Peer(Peer),
}

/// One of the connections, until this is dropped.
pub(super) struct ConnectionGuard {
    connections: Connections,
    id: u64,
    end: Arc<Notify>,
}

/// The least time between two looks for connections that can be closed, if the first one found
/// none.
const PLANNING_PAUSE: Duration = Duration::from_millis(50);
/// A look must not take more than this part of the time.
const PLANNING_TIME_DIVISOR: u32 = 20;
/// A plan is for this part of all connections: large enough to be made seldom, and small enough to
/// hold until it is used.
const PLAN_SIZE_DIVISOR: usize = 32;

impl Connections {
    /// At most so many.
    pub(super) fn new(most: usize, metrics: ConnectionMetrics) -> Self {
        Connections(Arc::new(Shared {
            most,
            metrics,
            open: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    /// Opens a connection. Its peer may have no more than three quarters of all if there are
    /// others, which are either open or, as `others` says, waiting.
    pub(super) fn open(
        &self,
        peer: Peer,
        others: bool,
        clock: &ConnectionTimeouts,
        connection: &Connection,
    ) -> Result<ConnectionGuard, LimitReached> {
        let mut open = self.lock();
        let held = open.count_by_peer.get(&peer).copied().unwrap_or_default();
        let others = others || open.entries.len() > held;
        if open.entries.len() >= self.0.most {
            return Err(LimitReached::Total);
        }
        if others && held >= self.peer_share() {
            return Err(LimitReached::Peer(peer));
        }

        let (id, end) = (open.next_id, Arc::default());
        open.next_id += 1;
        *open.count_by_peer.entry(peer).or_default() += 1;
        let (clock, connection) = (clock.clone(), connection.clone());
        open.entries.insert(
            id,
            OpenConnection { peer, clock, connection, asked: false, end: Arc::clone(&end) },
        );
        self.0.metrics.open.inc();
        Ok(ConnectionGuard { connections: self.clone(), id, end })
    }

    /// How many connections a peer has.
    pub(super) fn count_per_peer(&self, peers: impl Iterator<Item = Peer>) -> Vec<usize> {
        let open = self.lock();
        peers.map(|peer| open.count_by_peer.get(&peer).copied().unwrap_or_default()).collect()
    }

    /// Asks connections to end so that so many others can be opened, as far as there are any that
    /// do no work. Tells whether there are.
    pub(super) fn evict(&self, why: LimitReached, wanted: usize) -> bool {
        let of = match why {
            LimitReached::Total => None,
            LimitReached::Peer(peer) => Some(peer),
        };
        let mut open = self.lock();
        while open.asked < wanted {
            match open.next_eviction(of) {
                Some(id) => open.start_eviction(id),
                None if open.plan(of, self.0.most) => {}
                None => break,
            }
        }
        open.asked > 0
    }

    /// Resolves once a connection has ended since this was last asked.
    pub(super) async fn freed(&self) {
        self.0.freed.notified().await;
    }

    pub(super) fn metrics(&self) -> &ConnectionMetrics {
        &self.0.metrics
    }

    /// How many connections one peer may have if there are others.
    fn peer_share(&self) -> usize {
        self.0.most - self.0.most / 4
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    /// The next one of the plan that can still be closed.
    fn next_eviction(&mut self, of: Option<Peer>) -> Option<u64> {
        if self.plan.of != of {
            self.plan.next.clear();
        }
        while let Some(id) = self.plan.next.pop_front() {
            if self
                .entries
                .get(&id)
                .is_some_and(|entry| !entry.asked && entry.standing() != Activity::Busy)
            {
                return Some(id);
            }
        }
        None
    }

    /// Makes a plan. Tells whether there is anything in it.
    fn plan(&mut self, of: Option<Peer>, most: usize) -> bool {
        let now = Instant::now();
        if self.plan.pause_until.is_some_and(|until| now < until) {
            return false;
        }
        let entries = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.asked && of.is_none_or(|of| of == entry.peer));
        let candidates: Vec<_> = entries.map(|(id, entry)| entry.candidate(*id)).collect();
        self.plan.next = select_evictions(&candidates, (most / PLAN_SIZE_DIVISOR).max(1)).into();
        self.plan.of = of;

        let found = !self.plan.next.is_empty();
        if !found {
            tracing::debug!("a connection waits: all others have a request under way");
        }
        let pause = if found {
            Duration::ZERO
        } else {
            PLANNING_PAUSE.max(now.elapsed() * PLANNING_TIME_DIVISOR)
        };
        self.plan.pause_until = Some(Instant::now() + pause);
        found
    }

    fn start_eviction(&mut self, id: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.asked = true;
            entry.end.notify_one();
            self.asked += 1;
        }
    }
}

impl OpenConnection {
    fn standing(&self) -> Activity {
        self.clock.activity(self.connection.is_discarding_body())
    }

    fn candidate(&self, id: u64) -> EvictionCandidate {
        EvictionCandidate {
            id,
            peer: self.peer,
            tenant: self.connection.tenant(),
            standing: self.standing(),
        }
    }
}

impl ConnectionGuard {
    /// Resolves when the connection is to make room, unless a request has come meanwhile.
    pub(super) async fn evicted(&self) {
        loop {
            self.end.notified().await;
            if !self.cancel_if_busy() {
                return;
            }
        }
    }

    /// Whether the connection has work to do after all.
    fn cancel_if_busy(&self) -> bool {
        let mut open = self.connections.lock();
        let works = |entry: &mut OpenConnection| {
            let works = entry.standing() == Activity::Busy;
            entry.asked &= !works;
            works
        };
        let declines = open.entries.get_mut(&self.id).is_some_and(works);
        open.asked -= usize::from(declines);
        declines
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        if let Some(entry) = open.entries.remove(&self.id) {
            open.asked -= usize::from(entry.asked);
            if let Some(held) = open.count_by_peer.get_mut(&entry.peer) {
                *held -= 1;
                if *held == 0 {
                    open.count_by_peer.remove(&entry.peer);
                }
            }
        }
        drop(open);
        self.connections.0.metrics.open.dec();
        self.connections.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::config::HttpConfig;

    fn connections(most: usize) -> Connections {
        Connections::new(most, ConnectionMetrics::register(&mut Default::default()))
    }

    fn peer(number: u8) -> Peer {
        IpAddr::from([10, 0, 0, number]).into()
    }

    fn clock() -> ConnectionTimeouts {
        ConnectionTimeouts::new(&HttpConfig::default())
    }

    /// Opens so many connections.
    fn open(
        connections: &Connections,
        from: Peer,
        count: usize,
        others: bool,
    ) -> Result<Vec<ConnectionGuard>, LimitReached> {
        (0..count)
            .map(|_| connections.open(from, others, &clock(), &Connection::default()))
            .collect()
    }

    #[test]
    fn one_peer_has_all_while_it_is_alone_and_three_quarters_beside_others() {
        let all = connections(8);
        let alone = open(&all, peer(1), 8, false).unwrap();
        assert_eq!(open(&all, peer(1), 1, false).err(), Some(LimitReached::Total));
        drop(alone);

        let beside = open(&all, peer(1), 6, false).unwrap();
        assert_eq!(
            open(&all, peer(1), 1, true).err(),
            Some(LimitReached::Peer(peer(1))),
            "another one waits"
        );
        let other = open(&all, peer(2), 1, false).unwrap();
        assert_eq!(
            open(&all, peer(1), 1, false).err(),
            Some(LimitReached::Peer(peer(1))),
            "another one is there"
        );
        assert_eq!(all.count_per_peer([peer(1), peer(2), peer(3)].into_iter()), [6, 1, 0]);
        drop((beside, other));
        assert_eq!(all.count_per_peer([peer(1)].into_iter()), [0]);
    }

    #[tokio::test]
    async fn only_what_does_no_work_is_asked_to_end() {
        let all = connections(3);
        let clocks = [clock(), clock(), clock()];
        let seats = clocks
            .each_ref()
            .map(|clock| all.open(peer(1), false, clock, &Connection::default()).unwrap());
        for clock in &clocks {
            clock.on_request();
        }
        assert!(!all.evict(LimitReached::Total, 1), "all of them work");
        clocks[1].on_response();
        // The next look is a moment later.
        while !all.evict(LimitReached::Total, 1) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        seats[1].evicted().await;
        let [one, two, three] = seats;
        drop(two);
        all.freed().await;
        assert!(open(&all, peer(1), 1, false).is_ok());
        drop((one, three));
    }

    #[tokio::test]
    async fn a_request_that_comes_meanwhile_is_served() {
        let all = connections(1);
        let clock = clock();
        let seat = all.open(peer(1), false, &clock, &Connection::default()).unwrap();
        assert!(all.evict(LimitReached::Total, 1));
        clock.on_request();
        assert!(tokio::time::timeout(Duration::from_millis(20), seat.evicted()).await.is_err());
    }
}
