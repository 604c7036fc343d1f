//! The order in which queued requests are taken, and their grouping into batches.
//!
//! The queue reads no clock and never waits; the batcher does both.

use std::collections::BTreeMap;
use std::time::Instant;

/// The number of priority levels. 1 is taken first; 0 and values beyond the last level share a
/// level after all others.
const PRIORITY_LEVELS: u32 = 8;

/// The most queued requests examined for a batch, for each item that it may hold. It bounds the
/// search when requests have many different shapes.
const SCAN_FACTOR: u64 = 4;

/// Queued entries in the order in which they are taken: by priority, then by arrival.
pub(super) struct Queue<T> {
    waiting: BTreeMap<Ticket, Entry<T>>,
    /// The number of entries pushed so far.
    arrivals: u64,
    /// Items of all entries.
    items: u64,
}

/// Identifies an entry. Tickets sort in the order in which entries are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    level: u32,
    number: u64,
}

/// The size of an entry or of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Rows or requests, as the batch limit counts them.
    pub(super) items: u64,
    /// Bytes of tensors.
    pub(super) bytes: u64,
}

struct Entry<T> {
    value: T,
    size: Size,
    arrived: Instant,
    deadline: Instant,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Queue { waiting: BTreeMap::new(), arrivals: 0, items: 0 }
    }

    /// Adds an entry that arrived at `now`.
    pub(super) fn push(
        &mut self,
        value: T,
        priority: u32,
        size: Size,
        now: Instant,
        deadline: Instant,
    ) -> Ticket {
        let ticket = Ticket { level: level(priority), number: self.arrivals };
        self.arrivals += 1;
        self.items = self.items.saturating_add(size.items);
        self.waiting.insert(ticket, Entry { value, size, arrived: now, deadline });
        ticket
    }

    /// Removes an entry; returns `None` if it is no longer queued.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<T> {
        let entry = self.waiting.remove(&ticket)?;
        self.items = self.items.saturating_sub(entry.size.items);
        Some(entry.value)
    }

    /// Takes the first entry and those that fit together with it, up to `limit`. Drops entries
    /// whose deadline has passed on the way.
    pub(super) fn take(
        &mut self,
        limit: Size,
        now: Instant,
        together: impl Fn(&T, &T) -> bool,
    ) -> Vec<T> {
        let mut batch: Vec<Ticket> = Vec::new();
        let mut late = Vec::new();
        let (mut first, mut size): (Option<&T>, Size) = (None, Size::default());

        let mut look_ahead = limit.items.saturating_mul(SCAN_FACTOR);
        for (ticket, entry) in &self.waiting {
            if entry.deadline <= now {
                late.push(*ticket);
                continue;
            }
            look_ahead -= 1;
            if first.is_none_or(|first| {
                size.has_room(entry.size, limit) && together(first, &entry.value)
            }) {
                first = first.or(Some(&entry.value));
                size = size.with(entry.size);
                batch.push(*ticket);
            }
            if size.items >= limit.items || look_ahead == 0 {
                break;
            }
        }

        late.into_iter().for_each(|ticket| drop(self.remove(ticket)));
        batch.into_iter().filter_map(|ticket| self.remove(ticket)).collect()
    }

    /// Removes the entries for which `reason` returns a value. Its first argument is the number of
    /// entries kept so far.
    pub(super) fn remove_where<R>(
        &mut self,
        mut reason: impl FnMut(usize, &mut T) -> Option<R>,
    ) -> Vec<(T, R)> {
        let mut kept = 0;
        let mut out = Vec::new();
        for (ticket, entry) in &mut self.waiting {
            match reason(kept, &mut entry.value) {
                Some(reason) => out.push((*ticket, reason)),
                None => kept += 1,
            }
        }

        out.into_iter()
            .filter_map(|(ticket, reason)| Some((self.remove(ticket)?, reason)))
            .collect()
    }

    /// The earliest arrival time of all entries.
    pub(super) fn oldest_arrival(&self) -> Option<Instant> {
        let first_of = |level| self.waiting.range(Ticket { level, number: 0 }..).next();
        // Several levels may find the same entry, which is harmless.
        (1..=PRIORITY_LEVELS + 1).filter_map(first_of).map(|(_, entry)| entry.arrived).min()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Items of all entries.
    pub(super) fn items(&self) -> u64 {
        self.items
    }
}

impl Size {
    fn with(self, other: Size) -> Size {
        Size {
            items: self.items.saturating_add(other.items),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn has_room(self, other: Size, limit: Size) -> bool {
        let all = self.with(other);
        all.items <= limit.items && all.bytes <= limit.bytes
    }
}

fn level(priority: u32) -> u32 {
    if (1..=PRIORITY_LEVELS).contains(&priority) { priority } else { PRIORITY_LEVELS + 1 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// A queued request, and the kind of requests that it fits together with.
    #[derive(Clone, Debug)]
    struct TestEntry {
        number: usize,
        kind: u8,
        priority: u32,
        size: Size,
        patience: u64,
    }

    #[derive(Clone, Debug)]
    enum Event {
        Comes { kind: u8, priority: u32, items: u64, bytes: u64, patience: u64 },
        Leaves(usize),
        Take,
        KeepOnly(usize),
        TimePasses(u64),
    }

    const LIMIT: Size = Size { items: 8, bytes: 100 };

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let comes = (0..3u8, 0..12u32, 1..10u64, 0..60u64, 1..50u64).prop_map(
            |(kind, priority, items, bytes, patience)| Event::Comes {
                kind,
                priority,
                items,
                bytes,
                patience,
            },
        );
        let event = prop_oneof![
            6 => comes,
            1 => (0..40usize).prop_map(Event::Leaves),
            2 => Just(Event::Take),
            1 => (0..20usize).prop_map(Event::KeepOnly),
            1 => (1..20u64).prop_map(Event::TimePasses),
        ];
        prop::collection::vec(event, 0..120)
    }

    /// The expected order of the queue.
    fn rank(someone: &TestEntry) -> (u32, usize) {
        (if (1..=8).contains(&someone.priority) { someone.priority } else { 99 }, someone.number)
    }

    proptest! {
        #[test]
        fn each_entry_leaves_once_and_batches_keep_their_limits(events in events()) {
            let start = Instant::now();
            let at = |time: u64| start + Duration::from_secs(time);
            let mut queue = Queue::new();
            let mut time = 0u64;
            let mut inside: Vec<(Ticket, TestEntry)> = Vec::new();
            let mut came = 0;
            for event in events {
                match event {
                    Event::Comes { kind, priority, items, bytes, patience } => {
                        let size = Size { items, bytes };
                        let someone = TestEntry { number: came, kind, priority, size, patience: time + patience };
                        came += 1;
                        let ticket = queue.push(someone.clone(), priority, size, at(time), at(someone.patience));
                        inside.push((ticket, someone));
                        inside.sort_by_key(|(_, someone)| rank(someone));
                    }
                    Event::Leaves(index) if index < inside.len() => {
                        let (ticket, someone) = inside.remove(index);
                        prop_assert_eq!(queue.remove(ticket).map(|left| left.number), Some(someone.number));
                        prop_assert!(queue.remove(ticket).is_none());
                    }
                    Event::Leaves(_) => {}
                    Event::Take => {
                        let batch = queue.take(LIMIT, at(time), |one, other| one.kind == other.kind);
                        let size = batch.iter().fold(Size::default(), |size, someone| size.with(someone.size));
                        prop_assert!(batch.len() == 1 || (size.items <= LIMIT.items && size.bytes <= LIMIT.bytes));
                        prop_assert!(batch.iter().all(|one| one.kind == batch[0].kind && one.patience > time));
                        prop_assert!(batch.is_sorted_by_key(rank));
                        let in_time = inside.iter().find(|(_, someone)| someone.patience > time);
                        prop_assert_eq!(batch.first().map(|one| one.number), in_time.map(|(_, one)| one.number));
                        let taken: BTreeSet<_> = batch.iter().map(|someone| someone.number).collect();
                        prop_assert_eq!(taken.len(), batch.len());
                        inside.retain(|(ticket, someone)| {
                            !taken.contains(&someone.number)
                                && (someone.patience > time || queue.waiting.contains_key(ticket))
                        });
                    }
                    Event::KeepOnly(count) => {
                        let out = queue.remove_where(|kept, _| (kept >= count).then_some(()));
                        let numbers: Vec<_> = out.iter().map(|(someone, ())| someone.number).collect();
                        let rest = inside.split_off(count.min(inside.len()));
                        prop_assert_eq!(numbers, rest.iter().map(|(_, someone)| someone.number).collect::<Vec<_>>());
                    }
                    Event::TimePasses(seconds) => time += seconds,
                }
                prop_assert_eq!(queue.len(), inside.len());
                prop_assert_eq!(queue.is_empty(), inside.is_empty());
                prop_assert_eq!(queue.items(), inside.iter().map(|(_, someone)| someone.size.items).sum::<u64>());
                let oldest = inside.iter().map(|(_, someone)| someone.number).min();
                prop_assert_eq!(queue.oldest_arrival().is_some(), oldest.is_some());
            }
        }
    }

    #[test]
    fn entries_leave_by_priority_then_by_arrival() {
        let mut queue = Queue::new();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        for (name, priority) in [("a", 0), ("b", 2), ("c", 1), ("d", 9), ("e", 1), ("f", u32::MAX)]
        {
            queue.push(name, priority, Size { items: 1, bytes: 0 }, now, later);
        }
        assert_eq!(queue.oldest_arrival(), Some(now));
        let mut order = Vec::new();
        while !queue.is_empty() {
            order.extend(queue.take(Size { items: 2, bytes: 0 }, now, |_, _| true));
        }
        assert_eq!(order, ["c", "e", "b", "a", "d", "f"]);
    }

    #[test]
    fn an_oversized_entry_is_taken_alone_and_others_wait_for_room() {
        let mut queue = Queue::new();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        for items in [20, 3, 6, 5] {
            queue.push(items, 0, Size { items, bytes: 0 }, now, later);
        }
        let mut take = || queue.take(LIMIT, now, |_, _| true);
        assert_eq!([take(), take(), take(), take()], [vec![20], vec![3, 5], vec![6], vec![]]);
    }
}
