use proptest::prelude::*;

use super::*;

const NAMES: [&str; 4] = ["a", "b", "c", "unknown"];

fn name(index: usize) -> TenantName {
    TenantName::new(NAMES[index]).unwrap()
}

fn divided(slots: u32, weights: &[u32]) -> SlotDivision {
    let mut division = SlotDivision::new(slots);
    division.divide(weights.iter().enumerate().map(|(index, weight)| (name(index), *weight)));
    division
}

#[test]
fn half_of_the_slots_are_guaranteed_by_weight() {
    let mut division = divided(100, &[1, 4]);
    let taken = (0..).take_while(|_| division.try_take(&name(0), 1)).count();
    assert_eq!(taken, 60, "what is not guaranteed to the other");
    assert_eq!((division.max_for_tenant(&name(0)), division.max_for_tenant(&name(1))), (60, 90));
    let taken = (0..).take_while(|_| division.try_take(&name(1), 1)).count();
    assert_eq!(taken, 40);
}

#[test]
fn a_few_slots_are_enough_for_one_each() {
    let mut division = divided(4, &[1, 1, 1]);
    let taken = (0..).take_while(|_| division.try_take(&name(0), 1)).count();
    assert_eq!(taken, 2);
    assert!(division.try_take(&name(1), 1) && division.try_take(&name(2), 1));
    assert!(
        !division.divide((0..4).map(|index| (name(index), 1))),
        "four tenants, and nothing would be left to share"
    );
}

#[test]
fn the_tenant_that_holds_least_goes_first_and_a_large_request_is_not_overtaken() {
    let mut division = divided(8, &[1, 1]);
    let (a, b) = (name(0), name(1));
    assert!(division.try_take(&a, 6) && division.try_take(&b, 2));

    let (large, small) = (division.enqueue(&b, 3), division.enqueue(&a, 1));
    division.give_back(&a, 1);
    assert_eq!(division.grant(), [], "the large one holds less and does not fit");

    division.give_back(&a, 2);
    assert_eq!(division.grant(), [large]);

    division.give_back(&a, 1);
    assert_eq!(division.grant(), [small]);
}

#[test]
fn a_request_that_leaves_unblocks_those_behind_it() {
    let mut division = divided(4, &[1]);
    let a = name(0);
    assert!(division.try_take(&a, 3));

    let (large, small) = (division.enqueue(&a, 4), division.enqueue(&a, 1));
    assert_eq!(division.grant(), []);
    assert!(!division.try_take(&a, 1), "others wait already");
    assert!(division.remove(&large));
    assert_eq!(division.grant(), std::slice::from_ref(&small));
    assert!(!division.remove(&small), "it has its slots");
}

#[test]
fn slots_beyond_a_guarantee_are_wanted_back() {
    let mut division = divided(8, &[1, 1]);
    let (a, b) = (name(0), name(1));
    assert!(division.try_take(&a, 6) && division.try_take(&b, 1));
    assert!(!division.has_waiters_for(&a));

    division.enqueue(&b, 2);
    assert_eq!((division.has_waiters_for(&a), division.has_waiters_for(&b)), (true, true));
    assert_eq!(division.most_beyond_guarantee(&[]), Some(a.clone()));
    assert_eq!(division.most_beyond_guarantee(&[a]), None);
}

/// An event of a division.
#[derive(Clone, Debug)]
enum Event {
    /// A tenant requests slots, and waits if they are not free.
    Want(usize, u64),
    /// The tenant's holder of this index returns its slots.
    GiveBack(usize, usize),
    /// The tenant's waiting request of this index leaves.
    Leave(usize, usize),
    /// Tenants and weights change.
    Divide(Vec<u32>),
}

fn event() -> impl Strategy<Value = Event> {
    let tenant = 0..NAMES.len();
    let index = 0..4usize;
    prop_oneof![
        4 => (tenant.clone(), 1..5u64).prop_map(|(tenant, count)| Event::Want(tenant, count)),
        4 => (tenant.clone(), index.clone()).prop_map(|(tenant, index)| Event::GiveBack(tenant, index)),
        1 => (tenant, index).prop_map(|(tenant, index)| Event::Leave(tenant, index)),
        1 => prop::collection::vec(1..5u32, 1..4).prop_map(Event::Divide),
    ]
}

/// The expected state of a division.
#[derive(Default)]
struct Expected {
    held: [Vec<u64>; NAMES.len()],
    waiting: [Vec<(Ticket, u64)>; NAMES.len()],
}

impl Expected {
    fn apply(&mut self, division: &mut SlotDivision, event: Event) {
        match event {
            Event::Want(tenant, count) if division.try_take(&name(tenant), count) => {
                self.held[tenant].push(count)
            }
            Event::Want(tenant, count) => {
                self.waiting[tenant].push((division.enqueue(&name(tenant), count), count))
            }
            Event::GiveBack(tenant, index) if index < self.held[tenant].len() => {
                division.give_back(&name(tenant), self.held[tenant].remove(index));
            }
            Event::Leave(tenant, index) if index < self.waiting[tenant].len() => {
                assert!(division.remove(&self.waiting[tenant].remove(index).0));
            }
            Event::Divide(weights) => {
                division.divide(
                    weights.into_iter().enumerate().map(|(index, weight)| (name(index), weight)),
                );
            }
            Event::GiveBack(..) | Event::Leave(..) => {}
        }

        for ticket in division.grant() {
            let tenant = NAMES.iter().position(|name| *name == ticket.tenant.as_str()).unwrap();
            let (first, count) = self.waiting[tenant].remove(0);
            assert_eq!(first, ticket, "first come, first served");
            self.held[tenant].push(count);
        }
    }

    fn check(&self, division: &SlotDivision) {
        let held: u64 = self.held.iter().flatten().sum();
        assert_eq!(
            held + division.free,
            division.slots,
            "nothing is lost, and no slot is given out twice"
        );
        assert_eq!(division.waiting, self.waiting.iter().map(Vec::len).sum::<usize>() as u64);

        let unused = division.tenants.values().map(TenantSlots::unused_guarantee).sum::<u64>();
        assert_eq!(division.reserved, unused);
        for (tenant, part) in &division.tenants {
            assert!(part.is_relevant(), "{tenant} is not remembered for nothing");
            let first = part.queue.front();
            let in_vain = first.is_some_and(|first| division.fits(tenant, first.count, false));
            assert!(!in_vain, "{tenant} waits for what is guaranteed to it");
        }
    }
}

proptest! {
    #[test]
    fn slots_are_conserved_and_no_tenant_waits_for_its_guarantee(
        slots in 1..20u32,
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut division = SlotDivision::new(slots);
        let mut known = Expected::default();
        for event in events {
            known.apply(&mut division, event);
            known.check(&division);
        }
    }

    #[test]
    fn a_guarantee_is_available_whatever_other_tenants_do(
        slots in 4..40u32,
        weights in prop::collection::vec(1..9u32, 3),
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut division = divided(slots, &weights);
        let mut known = Expected::default();
        let guaranteed = division.tenants[&name(0)].guaranteed;
        // The events of the other tenants are arbitrary.
        let of_others = |event: &Event| match event {
            Event::Want(tenant, _) | Event::GiveBack(tenant, _) | Event::Leave(tenant, _) => *tenant > 0,
            Event::Divide(_) => false,
        };

        for event in events.into_iter().filter(of_others) {
            known.apply(&mut division, event);
        }

        prop_assert!(guaranteed > 0 && division.try_take(&name(0), guaranteed));
    }
}
