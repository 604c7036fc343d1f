//! Selects connections to evict in favour of others. Pure.
//!
//! A connection with a request under way is never evicted. Of the others, stalled ones go first,
//! the longest stalled first. Then go idle ones of the peer with the most connections, of these the
//! ones of the tenant with the most, and of these the least recently used.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use crate::model::TenantName;

/// The properties of a connection that decide its eviction.
#[derive(Clone, Debug)]
pub(super) struct EvictionCandidate {
    pub(super) id: u64,
    pub(super) peer: Peer,
    /// The tenant of the last request. `None` before the first authenticated one.
    pub(super) tenant: Option<TenantName>,
    pub(super) standing: Activity,
}

/// The activity of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// A request is under way, or its response is being taken.
    Busy,
    /// It has waited since then for a request, or for the rest of one that is already refused.
    Idle(Instant),
    /// Its client has taken nothing of a response since then.
    Stalled(Instant),
}

/// The client's address: an IPv4 address, or the network part of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Peer(match address.to_canonical() {
            // One host has any number of addresses of its network.
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        })
    }
}

/// Returns at most `most` connections to evict, in order.
pub(super) fn select_evictions(candidates: &[EvictionCandidate], most: usize) -> Vec<u64> {
    let stalled = stalled(candidates);
    let idle = idle(candidates, most.saturating_sub(stalled.len()));
    stalled.into_iter().chain(idle).take(most).collect()
}

/// The stalled connections, the longest stalled first.
fn stalled(candidates: &[EvictionCandidate]) -> Vec<u64> {
    let since = |candidate: &EvictionCandidate| match candidate.standing {
        Activity::Stalled(since) => Some((since, candidate.id)),
        Activity::Busy | Activity::Idle(_) => None,
    };
    let mut stalled: Vec<_> = candidates.iter().filter_map(since).collect();
    stalled.sort_unstable();
    stalled.into_iter().map(|(_, id)| id).collect()
}

/// At most `most` idle connections. Each one that is chosen reduces the count of its peer.
fn idle(candidates: &[EvictionCandidate], most: usize) -> Vec<u64> {
    let of_peer = count(candidates, |candidate| candidate.peer);
    let of_tenant = count(candidates, |candidate| candidate.tenant.clone());

    // The last entry of each peer goes first.
    let mut idle: HashMap<Peer, Vec<_>> = HashMap::new();
    for candidate in candidates {
        if let Activity::Idle(since) = candidate.standing {
            let held = of_tenant.get(&candidate.tenant).copied().unwrap_or_default();
            idle.entry(candidate.peer).or_default().push((held, Reverse(since), candidate.id));
        }
    }
    idle.values_mut().for_each(|of_peer| of_peer.sort_unstable());

    let largest_first =
        idle.keys().map(|peer| (of_peer.get(peer).copied().unwrap_or_default(), *peer));
    let mut peers: BinaryHeap<_> = largest_first.collect();
    let mut chosen = Vec::new();

    while chosen.len() < most
        && let Some((held, peer)) = peers.pop()
    {
        if let Some((_, _, id)) = idle.get_mut(&peer).and_then(Vec::pop) {
            chosen.push(id);
            peers.push((held - 1, peer));
        }
    }
    chosen
}

fn count<K: Eq + Hash>(
    candidates: &[EvictionCandidate],
    key: impl Fn(&EvictionCandidate) -> K,
) -> HashMap<K, usize> {
    let mut counts = HashMap::new();
    for candidate in candidates {
        *counts.entry(key(candidate)).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn peer(number: u8) -> Peer {
        IpAddr::from([10, 0, 0, number]).into()
    }

    fn tenant(number: u8) -> Option<TenantName> {
        (number > 0).then(|| TenantName::new(&format!("t{number}")).unwrap())
    }

    /// A table of peer, tenant and activity. The ids count from 0.
    fn table(rows: &[(u8, u8, Activity)]) -> Vec<EvictionCandidate> {
        let row = |(id, &(from, of, standing)): (usize, &(u8, u8, Activity))| EvictionCandidate {
            id: id as u64,
            peer: peer(from),
            tenant: tenant(of),
            standing,
        };
        rows.iter().enumerate().map(row).collect()
    }

    #[test]
    fn the_stalled_go_first_then_idle_ones_of_those_who_hold_most() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (idle, stalled) =
            (|seconds| Activity::Idle(at(seconds)), |seconds| Activity::Stalled(at(seconds)));
        let connections = table(&[
            (1, 1, idle(0)),
            (2, 1, idle(5)),
            (2, 2, idle(1)),
            (2, 1, Activity::Busy),
            (2, 1, idle(4)),
            (3, 3, stalled(9)),
            (3, 3, stalled(8)),
        ]);
        // Peer 2 holds most until it has as many as peer 1 and the working one left.
        assert_eq!(select_evictions(&connections, 9), [6, 5, 4, 1, 2, 0]);
        assert_eq!(select_evictions(&connections, 3), [6, 5, 4]);
        assert_eq!(select_evictions(&connections[3..4], 9), [0u64; 0]);
    }

    #[test]
    fn one_network_is_one_peer() {
        let peer = |text: &str| Peer::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:2"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
        assert_ne!(peer("10.0.0.2"), peer("10.0.0.1"));
    }

    fn standings() -> impl Strategy<Value = (u8, u64)> {
        (0..3u8, 0..20u64)
    }

    proptest! {
        #[test]
        fn whatever_there_is_nobody_loses_work_and_no_small_holder_goes_before_a_larger(
            rows in prop::collection::vec((0..4u8, 0..4u8, standings()), 0..60), most in 0..70usize
        ) {
            let start = Instant::now();
            let standing = |(kind, seconds)| {
                let since = start + Duration::from_secs(seconds);
                [Activity::Busy, Activity::Idle(since), Activity::Stalled(since)][usize::from(kind)]
            };
            let rows: Vec<_> = rows.into_iter().map(|(peer, tenant, kind)| (peer, tenant, standing(kind))).collect();
            let connections = table(&rows);
            let closed = select_evictions(&connections, most);

            let closable = connections.iter().filter(|one| one.standing != Activity::Busy).count();
            prop_assert_eq!(closed.len(), closable.min(most), "as many as there are");
            let mut unique = closed.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), closed.len(), "each once");

            let mut left = count(&connections, |one| one.peer);
            let mut gone = vec![false; connections.len()];
            for id in closed {
                let one = &connections[id as usize];
                let others = || connections.iter().filter(|other| !gone[other.id as usize] && other.id != id);
                match one.standing {
                    Activity::Busy => prop_assert!(false, "work was lost"),
                    Activity::Stalled(since) => prop_assert!(
                        others().all(|other| !matches!(other.standing, Activity::Stalled(earlier) if earlier < since))
                    ),
                    Activity::Idle(_) => {
                        let smaller = |other: &EvictionCandidate| match other.standing {
                            Activity::Idle(_) => left[&other.peer] <= left[&one.peer],
                            Activity::Stalled(_) => false,
                            Activity::Busy => true,
                        };
                        prop_assert!(others().all(smaller), "a larger holder, or a stalled one, was passed over");
                    }
                }
                if let Activity::Idle(_) = one.standing {
                    *left.get_mut(&one.peer).unwrap() -= 1;
                }
                gone[id as usize] = true;
            }
        }
    }
}
