//! Connections that have been accepted and wait until another one has ended.
//!
//! They are accepted so that it is known whose they are: in the queue of the system, those of one
//! peer could stand before those of all others.

use std::collections::HashMap;

use super::eviction::Peer;

/// How many connections may wait beside so many that are served.
pub(super) fn queue_capacity(connections: u32) -> usize {
    (connections as usize / 16).clamp(8, 256)
}

/// Those that wait, in the order in which they came.
pub(super) struct AcceptQueue<T> {
    most: usize,
    waiting: Vec<(Peer, T)>,
}

impl<T> AcceptQueue<T> {
    /// At most so many.
    pub(super) fn new(most: usize) -> Self {
        AcceptQueue { most: most.max(1), waiting: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = Peer> {
        self.waiting.iter().map(|(peer, _)| *peer)
    }

    /// Lets another one wait. If too many wait, the newest one of the peer with most connections is
    /// turned away: `held` tells how many each of the waiting has open. Tells whether one was
    /// turned away.
    pub(super) fn push(
        &mut self,
        peer: Peer,
        arrival: T,
        held: impl FnOnce(&Self) -> Vec<usize>,
    ) -> bool {
        self.waiting.push((peer, arrival));
        if self.waiting.len() <= self.most {
            return false;
        }

        let mut waiting: HashMap<Peer, usize> = HashMap::new();
        self.peers().for_each(|peer| *waiting.entry(peer).or_default() += 1);
        let held = held(self);
        let holds =
            |(index, peer): (usize, Peer)| (held.get(index).unwrap_or(&0) + waiting[&peer], index);
        let largest = self.peers().enumerate().map(holds).max();
        if let Some((_, index)) = largest {
            self.waiting.remove(index);
        }
        true
    }

    /// Takes out the one whose peer has the fewest connections open, and of several the one that
    /// came first.
    pub(super) fn pop(&mut self, held: &[usize]) -> Option<(Peer, T)> {
        let index = (0..self.waiting.len())
            .min_by_key(|&index| held.get(index).copied().unwrap_or_default())?;
        Some(self.waiting.remove(index))
    }

    /// Puts one back that could not be let in.
    pub(super) fn push_front(&mut self, peer: Peer, arrival: T) {
        self.waiting.insert(0, (peer, arrival));
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
    fn who_holds_few_is_let_in_first_and_who_holds_most_is_turned_away() {
        let open = |peer_: Peer| if peer_ == peer(1) { 9 } else { 0 };
        let held = |lobby: &AcceptQueue<u8>| lobby.peers().map(open).collect::<Vec<_>>();
        let mut lobby = AcceptQueue::new(3);
        for number in 1..=3 {
            assert!(!lobby.push(peer(1), number, held));
        }
        assert!(lobby.push(peer(2), 4, held), "the newest one of peer 1 is turned away");
        assert!(lobby.push(peer(1), 5, held), "itself");
        let mut order = Vec::new();
        while let Some((_, number)) = lobby.pop(&held(&lobby)) {
            order.push(number);
        }
        assert_eq!(order, [4, 1, 2]);
    }
}
