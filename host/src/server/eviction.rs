//! Selects connections to evict in favour of others. Pure.
//!
//! A connection with a request under way is never evicted. Of the others, stalled ones go first,
//! the longest stalled first. Then go idle ones of the peer with the most connections, of these the
//! ones of the tenant with the most, and of these the least recently used.
//!
//! The first request of a young connection is likely to be on its way, and would fail. So young
//! ones are the last of their peer, and go only in favour of a peer that holds fewer, or where a
//! waiting connection of the same peer would be dropped in their place.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Instant;

use super::peer::Peer;
use crate::model::TenantName;

/// The properties of a connection that decide its eviction.
#[derive(Clone, Debug)]
pub(super) struct EvictionCandidate {
    pub(super) id: u64,
    pub(super) peer: Peer,
    /// The tenant of the last request. `None` before the first authenticated one.
    pub(super) tenant: Option<TenantName>,
    pub(super) activity: Activity,
}

/// The activity of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// A request is under way, or its response is being taken.
    Busy,
    /// It has waited since then, which is a moment, for its first request or the rest of a head.
    Young(Instant),
    /// It has waited since then for a request, or for the rest of one that is already refused.
    Idle(Instant),
    /// Its client has taken nothing of a response since then.
    Stalled(Instant),
}

/// The connections that wait for room.
pub(super) struct Demand {
    /// For each waiting connection the number that its peer holds before it, ascending.
    pub(super) held: Vec<usize>,
    /// The peer whose waiting connection is dropped when another one arrives. `None` while more can
    /// wait.
    pub(super) overflow: Option<Peer>,
}

impl Demand {
    /// The demand of one connection whose peer holds no other.
    pub(super) fn of_one() -> Self {
        Demand { held: vec![0], overflow: None }
    }

    /// Returns true if a young connection of a peer may be evicted, which holds `held` connections.
    /// `evicting` connections are already about to end.
    pub(super) fn permits_young(&self, peer: Peer, held: usize, evicting: usize) -> bool {
        let left = held.saturating_sub(evicting);
        let evens_out = |waiting: &usize| left > waiting + 1;

        self.held.get(evicting).is_some_and(evens_out)
            || (evicting == 0 && self.overflow == Some(peer))
    }
}

/// Returns at most `max` connections to evict, in order. `Demand` decides on each young one when it
/// is its turn.
pub(super) fn select_evictions(candidates: &[EvictionCandidate], max: usize) -> Vec<u64> {
    let stalled = stalled_ids(candidates);
    let idle = idle_ids(candidates, max.saturating_sub(stalled.len()));
    stalled.into_iter().chain(idle).take(max).collect()
}

/// The stalled connections, the longest stalled first.
fn stalled_ids(candidates: &[EvictionCandidate]) -> Vec<u64> {
    let since = |candidate: &EvictionCandidate| match candidate.activity {
        Activity::Stalled(since) => Some((since, candidate.id)),
        Activity::Busy | Activity::Young(_) | Activity::Idle(_) => None,
    };
    let mut stalled: Vec<_> = candidates.iter().filter_map(since).collect();
    stalled.sort_unstable();
    stalled.into_iter().map(|(_, id)| id).collect()
}

/// At most `max` idle or young connections. Each one that is chosen reduces the count of its peer.
fn idle_ids(candidates: &[EvictionCandidate], max: usize) -> Vec<u64> {
    let of_peer = count(candidates, |candidate| candidate.peer);
    let of_tenant = count(candidates, |candidate| candidate.tenant.clone());

    // The last entry of each peer goes first.
    let mut idle: HashMap<Peer, Vec<_>> = HashMap::new();
    for candidate in candidates {
        let (settled, since) = match candidate.activity {
            Activity::Idle(since) => (true, since),
            Activity::Young(since) => (false, since),
            Activity::Busy | Activity::Stalled(_) => continue,
        };
        let held = of_tenant.get(&candidate.tenant).copied().unwrap_or_default();
        let rank = (settled, held, Reverse(since), candidate.id);
        idle.entry(candidate.peer).or_default().push(rank);
    }
    idle.values_mut().for_each(|of_peer| of_peer.sort_unstable());

    let largest_first =
        idle.keys().map(|peer| (of_peer.get(peer).copied().unwrap_or_default(), *peer));
    let mut peers: BinaryHeap<_> = largest_first.collect();
    let mut chosen = Vec::new();

    while chosen.len() < max
        && let Some((held, peer)) = peers.pop()
    {
        if let Some((.., id)) = idle.get_mut(&peer).and_then(Vec::pop) {
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
    use std::net::IpAddr;
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
        let row = |(id, &(from, of, activity)): (usize, &(u8, u8, Activity))| EvictionCandidate {
            id: id as u64,
            peer: peer(from),
            tenant: tenant(of),
            activity,
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
    fn young_connections_are_the_last_of_their_peer() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let connections = table(&[
            (1, 0, Activity::Young(at(1))),
            (1, 0, Activity::Young(at(0))),
            (1, 1, Activity::Idle(at(9))),
            (2, 2, Activity::Idle(at(0))),
        ]);
        assert_eq!(select_evictions(&connections, 9), [2, 1, 3, 0]);
    }

    fn activities() -> impl Strategy<Value = (u8, u64)> {
        (0..4u8, 0..20u64)
    }

    proptest! {
        #[test]
        fn a_young_connection_yields_only_to_a_smaller_holder_or_to_a_full_queue(
            mut waiting in prop::collection::vec(0..20usize, 0..12),
            overflow in prop::option::of(0..3u8),
            of in 0..3u8,
            held in 1..20usize,
            evicting in 0..12usize,
        ) {
            waiting.sort_unstable();
            let demand = Demand { held: waiting.clone(), overflow: overflow.map(peer) };

            if demand.permits_young(peer(of), held, evicting) {
                let smaller = waiting.get(evicting).is_some_and(|waiting| waiting + 1 < held);
                prop_assert!(smaller || (evicting == 0 && overflow == Some(of)));
            } else {
                prop_assert!(evicting > 0 || overflow != Some(of), "the queue would drop one");
                let first = waiting.first().copied().unwrap_or(usize::MAX);
                prop_assert!(evicting > 0 || held <= first.saturating_add(1), "a small peer waits");
            }
        }
    }

    proptest! {
        #[test]
        fn no_work_is_lost_and_larger_holders_go_first(
            rows in prop::collection::vec((0..4u8, 0..4u8, activities()), 0..60), max in 0..70usize
        ) {
            let start = Instant::now();
            let activity = |(kind, seconds)| {
                let since = start + Duration::from_secs(seconds);
                [Activity::Busy, Activity::Idle(since), Activity::Stalled(since), Activity::Young(since)]
                    [usize::from(kind)]
            };
            let rows: Vec<_> = rows.into_iter().map(|(peer, tenant, kind)| (peer, tenant, activity(kind))).collect();
            let connections = table(&rows);
            let closed = select_evictions(&connections, max);

            let closable = connections.iter().filter(|one| one.activity != Activity::Busy).count();
            prop_assert_eq!(closed.len(), closable.min(max), "as many as there are");
            let mut unique = closed.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), closed.len(), "each once");

            let mut left = count(&connections, |one| one.peer);
            let mut gone = vec![false; connections.len()];
            for id in closed {
                let one = &connections[id as usize];
                let others = || connections.iter().filter(|other| !gone[other.id as usize] && other.id != id);
                match one.activity {
                    Activity::Busy => prop_assert!(false, "work was lost"),
                    Activity::Stalled(since) => prop_assert!(
                        others().all(|other| !matches!(other.activity, Activity::Stalled(earlier) if earlier < since))
                    ),
                    Activity::Idle(_) | Activity::Young(_) => {
                        let smaller = |other: &EvictionCandidate| match other.activity {
                            Activity::Idle(_) | Activity::Young(_) => {
                                left[&other.peer] <= left[&one.peer]
                            }
                            Activity::Stalled(_) => false,
                            Activity::Busy => true,
                        };
                        prop_assert!(others().all(smaller), "a larger holder, or a stalled one, was passed over");
                    }
                }
                if let Activity::Young(_) = one.activity {
                    let idle = |other: &EvictionCandidate| {
                        other.peer == one.peer && matches!(other.activity, Activity::Idle(_))
                    };
                    prop_assert!(!others().any(idle), "an idle one of the same peer was passed over");
                }
                if let Activity::Idle(_) | Activity::Young(_) = one.activity {
                    *left.get_mut(&one.peer).unwrap() -= 1;
                }
                gone[id as usize] = true;
            }
        }
    }
}
