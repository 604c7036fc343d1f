//! The queue of accepted connections that wait for another one to end.
//!
//! They are accepted so that their peers are known. In the system's queue, the connections of one
//! peer could stand before those of all others.

use std::collections::HashMap;

use super::eviction::Demand;
use super::peer::Peer;

/// The length of the queue for a number of served connections.
pub(super) fn queue_capacity(connections: u32) -> usize {
    (connections as usize / 16).clamp(8, 256)
}

/// Waiting connections, in the order in which they arrived.
pub(super) struct AcceptQueue<T> {
    max: usize,
    waiting: Vec<(Peer, T)>,
}

impl<T> AcceptQueue<T> {
    /// Creates a queue of at most `max` connections.
    pub(super) fn new(max: usize) -> Self {
        AcceptQueue { max: max.max(1), waiting: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = Peer> {
        self.waiting.iter().map(|(peer, _)| *peer)
    }

    /// Adds a connection. If the queue is full, the newest connection of the peer with the most
    /// connections is dropped; `held` returns the number of open connections for each waiting one.
    /// Returns true if one was dropped.
    pub(super) fn push(
        &mut self,
        peer: Peer,
        connection: T,
        held: impl FnOnce(&Self) -> Vec<usize>,
    ) -> bool {
        self.waiting.push((peer, connection));
        if self.waiting.len() <= self.max {
            return false;
        }

        if let Some(index) = self.newest_of_largest(&held(self)) {
            self.waiting.remove(index);
        }
        true
    }

    /// Returns the demand of the waiting connections. `held` has the number of open connections for
    /// each waiting one.
    pub(super) fn demand(&self, held: &[usize]) -> Demand {
        let mut before: HashMap<Peer, usize> = HashMap::new();
        let mut of_each: Vec<_> = self
            .peers()
            .zip(held)
            .map(|(peer, held)| {
                let before = before.entry(peer).or_default();
                *before += 1;
                held + *before - 1
            })
            .collect();
        of_each.sort_unstable();

        let is_full = self.waiting.len() >= self.max;
        let last = is_full.then(|| self.newest_of_largest(held)).flatten();
        let overflow = last.and_then(|index| self.waiting.get(index)).map(|(peer, _)| *peer);
        Demand { held: of_each, overflow }
    }

    /// The newest waiting connection of the peer that has the most, open and waiting ones together.
    fn newest_of_largest(&self, held: &[usize]) -> Option<usize> {
        let mut waiting: HashMap<Peer, usize> = HashMap::new();
        self.peers().for_each(|peer| *waiting.entry(peer).or_default() += 1);

        let holds =
            |(index, peer): (usize, Peer)| (held.get(index).unwrap_or(&0) + waiting[&peer], index);
        self.peers().enumerate().map(holds).max().map(|(_, index)| index)
    }

    /// Removes the connection whose peer has the fewest open ones, and of several the first.
    pub(super) fn pop(&mut self, held: &[usize]) -> Option<(Peer, T)> {
        let index = (0..self.waiting.len())
            .min_by_key(|&index| held.get(index).copied().unwrap_or_default())?;
        Some(self.waiting.remove(index))
    }

    /// Returns a connection to the front of the queue.
    pub(super) fn push_front(&mut self, peer: Peer, connection: T) {
        self.waiting.insert(0, (peer, connection));
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn peer(number: u8) -> Peer {
        IpAddr::from([10, 0, 0, number]).into()
    }

    #[test]
    fn peers_with_few_connections_go_first_and_those_with_most_are_dropped() {
        let open = |peer_: Peer| if peer_ == peer(1) { 9 } else { 0 };
        let held = |queue: &AcceptQueue<u8>| queue.peers().map(open).collect::<Vec<_>>();
        let mut queue = AcceptQueue::new(3);
        for number in 1..=3 {
            assert!(!queue.push(peer(1), number, held));
        }
        assert!(queue.push(peer(2), 4, held), "the newest one of peer 1 is turned away");
        assert!(queue.push(peer(1), 5, held), "itself");
        let mut order = Vec::new();
        while let Some((_, number)) = queue.pop(&held(&queue)) {
            order.push(number);
        }
        assert_eq!(order, [4, 1, 2]);
    }

    #[test]
    fn the_demand_counts_those_that_wait_before() {
        let held = |queue: &AcceptQueue<u8>| queue.peers().map(|_| 2).collect::<Vec<_>>();
        let mut queue = AcceptQueue::new(4);
        for (number, from) in [1, 1, 2].into_iter().enumerate() {
            queue.push(peer(from), number as u8, held);
        }
        let demand = queue.demand(&held(&queue));
        assert_eq!((demand.held, demand.overflow), (vec![2, 2, 3], None));

        queue.push(peer(2), 3, |_| Vec::new());
        let held = [2, 2, 9, 9];
        let demand = queue.demand(&held);
        assert_eq!((demand.held, demand.overflow), (vec![2, 3, 9, 10], Some(peer(2))));
    }
}
