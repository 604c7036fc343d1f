//! The open connections: their limits, and the eviction of idle ones in favour of new ones.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::eviction::{Activity, Demand, EvictionCandidate, select_evictions};
use super::metrics::ConnectionMetrics;
use super::peer::Peer;
use super::timeouts::ConnectionTimeouts;
use crate::api::Connection;
use crate::mutex::lock;

/// The open connections. A clone shares them.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    max: usize,
    metrics: ConnectionMetrics,
    open: Mutex<OpenConnections>,
    /// Notified when a connection has ended.
    closed: Notify,
}

#[derive(Default)]
struct OpenConnections {
    next_id: u64,
    entries: HashMap<u64, OpenConnection>,
    count_by_peer: HashMap<Peer, usize>,
    /// Connections that are told to end and have not ended yet.
    evicting: usize,
    plan: EvictionPlan,
}

struct OpenConnection {
    peer: Peer,
    timeouts: ConnectionTimeouts,
    connection: Connection,
    evicting: bool,
    evict: Arc<Notify>,
}

/// Connections to evict next, so that a scan of all connections serves several evictions.
#[derive(Default)]
struct EvictionPlan {
    ids: VecDeque<u64>,
    /// The peer whose connections are evicted. `None` for all peers.
    peer: Option<Peer>,
    /// No other plan is made earlier, unless all connections of this one have been used.
    next: Option<Instant>,
}

/// The decision on a connection of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Evict,
    /// It is young, and no waiting connection has a better claim to its place.
    Spare,
    /// It has work by now, or ends anyway.
    Skip,
}

/// The limit that keeps a connection from being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitReached {
    /// The limit of all connections.
    Total,
    /// The share of this peer, beside others.
    Peer(Peer),
}

/// An open connection. Dropping it closes the entry.
pub(super) struct ConnectionGuard {
    connections: Connections,
    id: u64,
    evict: Arc<Notify>,
}

/// The shortest pause after a scan that found no connection to evict.
const PLANNING_PAUSE: Duration = Duration::from_millis(50);
/// A scan takes no more than this part of the time.
const PLANNING_TIME_DIVISOR: u32 = 20;
/// A plan is for this part of all connections: large enough to be made seldom, small enough to hold
/// until it is used.
const PLAN_SIZE_DIVISOR: usize = 32;

impl Connections {
    /// Creates the table for at most `max` connections.
    pub(super) fn new(max: usize, metrics: ConnectionMetrics) -> Self {
        Connections(Arc::new(Shared {
            max,
            metrics,
            open: Mutex::default(),
            closed: Notify::new(),
        }))
    }

    /// Opens a connection. Its peer may hold three quarters of all connections at most while other
    /// peers have open connections or, as `others` says, waiting ones.
    pub(super) fn open(
        &self,
        peer: Peer,
        others: bool,
        timeouts: &ConnectionTimeouts,
        connection: &Connection,
    ) -> Result<ConnectionGuard, LimitReached> {
        let mut open = self.lock();
        let held = open.count_by_peer.get(&peer).copied().unwrap_or_default();
        let others = others || open.entries.len() > held;
        if open.entries.len() >= self.0.max {
            return Err(LimitReached::Total);
        }
        if others && held >= self.peer_share() {
            return Err(LimitReached::Peer(peer));
        }

        let id = open.next_id;
        let evict = Arc::default();
        open.next_id += 1;
        *open.count_by_peer.entry(peer).or_default() += 1;
        let timeouts = timeouts.clone();
        let connection = connection.clone();
        open.entries.insert(
            id,
            OpenConnection {
                peer,
                timeouts,
                connection,
                evicting: false,
                evict: Arc::clone(&evict),
            },
        );
        self.0.metrics.open.inc();
        Ok(ConnectionGuard { connections: self.clone(), id, evict })
    }

    /// Returns the number of open connections of each peer.
    pub(super) fn count_per_peer(&self, peers: impl Iterator<Item = Peer>) -> Vec<usize> {
        let open = self.lock();
        peers.map(|peer| open.count_by_peer.get(&peer).copied().unwrap_or_default()).collect()
    }

    /// Evicts connections without work until one is about to end for each that waits. Returns true
    /// if any is.
    pub(super) fn evict(&self, limit: LimitReached, demand: &Demand) -> bool {
        let peer = match limit {
            LimitReached::Total => None,
            LimitReached::Peer(peer) => Some(peer),
        };
        let mut open = self.lock();

        while open.evicting < demand.held.len() {
            match open.next_eviction(peer, demand) {
                Some(id) => open.start_eviction(id),
                None if open.plan(peer, self.0.max) => {}
                None => break,
            }
        }
        open.evicting > 0
    }

    /// Resolves once a connection has ended since the last call.
    pub(super) async fn closed(&self) {
        self.0.closed.notified().await;
    }

    pub(super) fn metrics(&self) -> &ConnectionMetrics {
        &self.0.metrics
    }

    /// The connections that one peer may hold beside others.
    fn peer_share(&self) -> usize {
        self.0.max - self.0.max / 4
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        lock(&self.0.open)
    }
}

impl OpenConnections {
    /// Takes the next connection of the plan that is still without work. A young one that may not
    /// be evicted now stays in the plan.
    fn next_eviction(&mut self, peer: Option<Peer>, demand: &Demand) -> Option<u64> {
        if self.plan.peer != peer && !self.plan.ids.is_empty() {
            self.plan = EvictionPlan::default();
        }
        while let Some(&id) = self.plan.ids.front() {
            match self.verdict(id, demand) {
                Verdict::Evict => {
                    self.plan.pop();
                    return Some(id);
                }
                Verdict::Spare => return None,
                Verdict::Skip => self.plan.pop(),
            }
        }
        None
    }

    /// Decides on a connection of the plan.
    fn verdict(&self, id: u64, demand: &Demand) -> Verdict {
        let Some(entry) = self.entries.get(&id).filter(|entry| !entry.evicting) else {
            return Verdict::Skip;
        };
        let held = self.count_by_peer.get(&entry.peer).copied().unwrap_or_default();

        match entry.activity() {
            Activity::Busy => Verdict::Skip,
            Activity::Idle(_) | Activity::Stalled(_) => Verdict::Evict,
            Activity::Young(_) if demand.permits_young(entry.peer, held, self.evicting) => {
                Verdict::Evict
            }
            Activity::Young(_) => Verdict::Spare,
        }
    }

    /// Makes a plan. Returns false if it is too early for one, or if nothing can be evicted.
    fn plan(&mut self, peer: Option<Peer>, max: usize) -> bool {
        let now = Instant::now();
        if self.plan.next.is_some_and(|next| now < next) {
            return false;
        }

        let entries = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.evicting && peer.is_none_or(|peer| peer == entry.peer));
        let candidates: Vec<_> = entries.map(|(id, entry)| entry.candidate(*id)).collect();
        self.plan.ids = select_evictions(&candidates, (max / PLAN_SIZE_DIVISOR).max(1)).into();
        self.plan.peer = peer;

        let found = !self.plan.ids.is_empty();
        if !found {
            tracing::debug!("a connection waits: all others have a request under way");
        }
        let pause = PLANNING_PAUSE.max(now.elapsed() * PLANNING_TIME_DIVISOR);
        self.plan.next = Some(Instant::now() + pause);
        found
    }

    fn start_eviction(&mut self, id: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.evicting = true;
            entry.evict.notify_one();
            self.evicting += 1;
        }
    }
}

impl EvictionPlan {
    /// Removes the first connection. After the last one, another plan can be made at once.
    fn pop(&mut self) {
        self.ids.pop_front();
        if self.ids.is_empty() {
            self.next = None;
        }
    }
}

impl OpenConnection {
    fn activity(&self) -> Activity {
        self.timeouts.activity(self.connection.is_discarding_body(), self.connection.waiting())
    }

    fn candidate(&self, id: u64) -> EvictionCandidate {
        EvictionCandidate {
            id,
            peer: self.peer,
            tenant: self.connection.tenant(),
            activity: self.activity(),
        }
    }
}

impl ConnectionGuard {
    /// Resolves when the connection has to end. An eviction is cancelled if a request has arrived
    /// meanwhile.
    pub(super) async fn evicted(&self) {
        loop {
            self.evict.notified().await;
            if !self.cancel_if_busy() {
                return;
            }
        }
    }

    /// Cancels the eviction if the connection has work by now. Returns true if it does.
    fn cancel_if_busy(&self) -> bool {
        let mut open = self.connections.lock();

        let cancel = |entry: &mut OpenConnection| {
            let is_busy = entry.activity() == Activity::Busy;
            entry.evicting &= !is_busy;
            is_busy
        };
        let cancelled = open.entries.get_mut(&self.id).is_some_and(cancel);
        open.evicting -= usize::from(cancelled);
        cancelled
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        if let Some(entry) = open.entries.remove(&self.id) {
            open.evicting -= usize::from(entry.evicting);
            if let Some(count) = open.count_by_peer.get_mut(&entry.peer) {
                *count -= 1;
                if *count == 0 {
                    open.count_by_peer.remove(&entry.peer);
                }
            }
        }

        drop(open);
        self.connections.0.metrics.open.dec();
        self.connections.0.closed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::config::HttpConfig;

    fn connections(max: usize) -> Connections {
        Connections::new(max, ConnectionMetrics::register(&mut Default::default()))
    }

    fn peer(number: u8) -> Peer {
        IpAddr::from([10, 0, 0, number]).into()
    }

    fn timeouts() -> ConnectionTimeouts {
        ConnectionTimeouts::new(&HttpConfig::default())
    }

    /// Opens `count` connections.
    fn open(
        connections: &Connections,
        from: Peer,
        count: usize,
        others: bool,
    ) -> Result<Vec<ConnectionGuard>, LimitReached> {
        (0..count)
            .map(|_| connections.open(from, others, &timeouts(), &Connection::default()))
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
    async fn only_idle_connections_are_evicted() {
        let all = connections(3);
        let clocks = [timeouts(), timeouts(), timeouts()];
        let guards = clocks
            .each_ref()
            .map(|timeouts| all.open(peer(1), false, timeouts, &Connection::default()).unwrap());
        for timeouts in &clocks {
            timeouts.on_request();
        }
        assert!(!all.evict(LimitReached::Total, &Demand::of_one()), "all of them work");
        clocks[1].on_response();
        // The next scan is a moment later.
        while !all.evict(LimitReached::Total, &Demand::of_one()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        guards[1].evicted().await;
        let [one, two, three] = guards;
        drop(two);
        all.closed().await;
        assert!(open(&all, peer(1), 1, false).is_ok());
        drop((one, three));
    }

    /// The demand of one connection of a peer that holds 9, in a queue that is full.
    fn overflow(peer: Peer) -> Demand {
        Demand { held: vec![9], overflow: Some(peer) }
    }

    #[test]
    fn young_connections_are_spared_while_others_of_their_peer_can_wait() {
        let all = connections(4);
        let guards = open(&all, peer(1), 4, false).unwrap();
        let of_same = Demand { held: vec![4, 5], overflow: None };
        assert!(!all.evict(LimitReached::Total, &of_same), "they wait");
        assert!(all.evict(LimitReached::Total, &overflow(peer(1))), "no more can wait");
        drop(guards);

        let all = connections(4);
        let guards = open(&all, peer(1), 4, false).unwrap();
        assert!(!all.evict(LimitReached::Total, &overflow(peer(2))), "another one is dropped");
        assert!(all.evict(LimitReached::Total, &Demand::of_one()), "a smaller peer waits");
        drop(guards);
    }

    #[tokio::test]
    async fn a_new_request_cancels_the_eviction() {
        let all = connections(1);
        let timeouts = timeouts();
        let guard = all.open(peer(1), false, &timeouts, &Connection::default()).unwrap();
        assert!(all.evict(LimitReached::Total, &overflow(peer(1))));
        timeouts.on_request();
        assert!(tokio::time::timeout(Duration::from_millis(20), guard.evicted()).await.is_err());
    }
}
