//! Simulations of the queue: time passes in steps, and every child behaves as configured.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const STEP: Duration = Duration::from_millis(50);

/// The behaviour of a child, with its remaining steps.
#[derive(Clone, Copy, Debug)]
enum Work {
    Computes(u64),
    Sleeps(u64),
}

/// A job with its tenant and its remaining work.
struct Load {
    tenant: TenantName,
    ticket: Ticket,
    left: Work,
    started: bool,
}

/// A queue and its children.
struct Simulation {
    queue: Queue,
    loads: Vec<Load>,
    /// Steps of CPU time used by each tenant's children.
    had: BTreeMap<TenantName, u64>,
    step: u64,
}

impl Simulation {
    fn new(slots: usize, children: usize) -> Self {
        Simulation {
            queue: Queue::new(slots, children),
            loads: Vec::new(),
            had: BTreeMap::new(),
            step: 0,
        }
    }

    fn add(&mut self, name: &str, weight: u64, work: Work) -> Ticket {
        let tenant = tenant(name);
        let ticket = self.queue.enqueue(&tenant, weight);
        self.loads.push(Load { tenant, ticket: ticket.clone(), left: work, started: false });
        self.queue.grant();
        ticket
    }

    /// Advances time by a step. Returns the tenants of the jobs that ended.
    fn step(&mut self) -> Vec<TenantName> {
        self.step += 1;
        for load in &mut self.loads {
            let running = self.queue.is_running(&load.ticket);
            load.started |= running;

            match &mut load.left {
                Work::Computes(left) if running => {
                    *left -= 1;
                    *self.had.entry(load.tenant.clone()).or_default() += 1;
                    self.queue.charge(&load.ticket, STEP);
                    if self.queue.must_pause(&load.ticket) {
                        self.queue.pause(&load.ticket);
                    }
                }
                Work::Sleeps(left) if load.started => {
                    *left -= 1;
                    self.queue.release_slot(&load.ticket);
                }
                _ => {}
            }
        }

        let over = |load: &Load| matches!(load.left, Work::Computes(0) | Work::Sleeps(0));
        let (ended, left): (Vec<_>, Vec<_>) = self.loads.drain(..).partition(over);
        self.loads = left;
        ended.iter().for_each(|load| self.queue.remove(&load.ticket));
        self.queue.grant();
        self.check();

        ended.into_iter().map(|load| load.tenant).collect()
    }

    /// Checks the invariants.
    fn check(&self) {
        let running: usize = self.queue.tenants.values().map(TenantJobs::running).sum();
        let children: usize = self.queue.tenants.values().map(TenantJobs::children).sum();
        assert!(running <= self.queue.slots && children <= self.queue.children);

        let most = self.queue.tenants.values().map(TenantJobs::children).max().unwrap_or(0);
        assert!(most <= CHILDREN_OF_ONE);
        assert!(
            running == self.queue.slots || self.queue.next_job().is_none(),
            "a slot is free and a job waits"
        );
    }

    /// Steps until a job of that tenant ends. Returns the number of steps.
    fn until_ended(&mut self, name: &str, limit: u64) -> u64 {
        let begun = self.step;
        while !self.step().contains(&tenant(name)) {
            assert!(self.step - begun < limit, "{name} has not ended within {limit} steps");
        }
        self.step - begun
    }

    fn had(&self, name: &str) -> f64 {
        self.had.get(&tenant(name)).copied().unwrap_or(0) as f64
    }
}

fn tenant(name: &str) -> TenantName {
    TenantName::new(name).unwrap()
}

#[test]
fn spinning_loads_of_others_only_take_their_share() {
    for others in 1..=4 {
        let mut simulation = Simulation::new(2, 16);
        for other in 0..others {
            (0..4).for_each(|_| {
                drop(simulation.add(&format!("a{other}"), 1, Work::Computes(100_000)))
            });
        }

        (0..1000).for_each(|_| drop(simulation.step()));
        simulation.add("b", 1, Work::Computes(30));

        let took = simulation.until_ended("b", 1000);
        assert!(took <= 30 * (others + 1) / 2 + 30 + 10, "{took} steps beside {others}");
    }
}

#[test]
fn sleeping_loads_hold_no_slot_however_often_they_are_repeated() {
    let mut simulation = Simulation::new(2, 16);
    (0..6).for_each(|_| drop(simulation.add("a", 1, Work::Sleeps(1200))));

    for _ in 0..5 {
        (0..100).for_each(|_| {
            let ended = simulation.step().len();
            (0..ended).for_each(|_| drop(simulation.add("a", 1, Work::Sleeps(1200))));
        });
        simulation.add("b", 1, Work::Computes(30));
        let took = simulation.until_ended("b", 1000);
        assert!(took <= 35, "{took} steps");
    }
}

#[test]
fn a_tenant_that_sleeps_a_lot_leaves_children_for_others() {
    let mut simulation = Simulation::new(2, 16);
    for other in 0..8 {
        (0..4).for_each(|_| drop(simulation.add(&format!("a{other}"), 1, Work::Sleeps(1_000_000))));
    }

    (0..100).for_each(|_| drop(simulation.step()));
    simulation.add("b", 1, Work::Computes(30));

    let took = simulation.until_ended("b", 1000);
    assert!(took <= 35, "{took} steps");
}

#[test]
fn time_is_shared_by_weight() {
    for (slots, weight) in [(1, 1), (1, 3), (2, 2), (2, 5), (3, 2)] {
        let mut simulation = Simulation::new(slots, 32);
        (0..4).for_each(|_| drop(simulation.add("heavy", weight, Work::Computes(u64::MAX))));
        (0..4).for_each(|_| drop(simulation.add("light", 1, Work::Computes(u64::MAX))));
        (0..20_000).for_each(|_| drop(simulation.step()));
        let ratio = simulation.had("heavy") / simulation.had("light") / weight as f64;
        assert!((0.95..1.05).contains(&ratio), "{slots} slots, weight {weight}: off by {ratio}");
    }
}

#[test]
fn jobs_of_one_tenant_take_turns() {
    let mut simulation = Simulation::new(1, 16);
    (0..3).for_each(|_| drop(simulation.add("a", 1, Work::Computes(100_000))));
    (0..100).for_each(|_| drop(simulation.step()));
    simulation.add("a", 1, Work::Computes(10));
    assert!(simulation.until_ended("a", 1000) <= 60);
}

#[test]
fn with_fewer_slots_so_many_jobs_pause() {
    let mut simulation = Simulation::new(4, 16);
    (0..4).for_each(|one| drop(simulation.add(&format!("t{one}"), 1, Work::Computes(100))));
    simulation.queue.set_slots(1);
    simulation.step();
    assert_eq!(simulation.queue.running(), 1);
    simulation.queue.set_slots(3);
    simulation.step();
    assert_eq!(simulation.queue.running(), 3);
}

#[test]
fn what_was_not_used_is_not_owed() {
    let mut simulation = Simulation::new(1, 16);
    simulation.add("busy", 1, Work::Computes(100_000));
    (0..2000).for_each(|_| drop(simulation.step()));
    simulation.add("late", 1, Work::Computes(100_000));

    let before = simulation.had("busy");
    (0..1000).for_each(|_| drop(simulation.step()));

    let (busy, late) = (simulation.had("busy") - before, simulation.had("late"));
    assert!((busy - late).abs() <= 20.0, "{busy} and {late}");
}

#[test]
fn an_empty_queue_holds_no_tenants() {
    let mut simulation = Simulation::new(2, 16);
    (0..50).for_each(|one| drop(simulation.add(&format!("t{one}"), 1, Work::Computes(3))));
    while !simulation.loads.is_empty() {
        simulation.step();
    }
    assert!(simulation.queue.tenants.is_empty());
}

proptest! {
    /// No tenant starves: each tenant's first job ends within its share of the time, with any load
    /// of other tenants.
    #[test]
    fn every_job_ends_within_its_share(
        slots in 1_usize..4,
        jobs in proptest::collection::vec((0_usize..6, 1_u64..5, any::<bool>(), 1_u64..200), 1..40),
    ) {
        let mut simulation = Simulation::new(slots, 12);
        let mut all = 0;

        for (owner, weight, sleeps, length) in &jobs {
            let work = if *sleeps { Work::Sleeps(*length) } else { Work::Computes(*length) };
            all += length;
            simulation.add(&format!("t{owner}"), *weight, work);
        }

        let limit = all + 10 * jobs.len() as u64;
        while !simulation.loads.is_empty() {
            simulation.step();
            prop_assert!(simulation.step <= limit, "jobs are left after {limit} steps");
        }

        prop_assert!(simulation.queue.tenants.is_empty());
    }

    /// A short job of a new tenant ends soon, with any number of computing or sleeping jobs of
    /// others.
    #[test]
    fn a_newcomer_is_served_soon(
        others in proptest::collection::vec((0_usize..5, any::<bool>()), 1..30),
        before in 0_usize..300,
    ) {
        let mut simulation = Simulation::new(2, 16);
        for (owner, sleeps) in &others {
            let work = if *sleeps { Work::Sleeps(1_000_000) } else { Work::Computes(1_000_000) };
            simulation.add(&format!("t{owner}"), 1, work);
        }

        (0..before).for_each(|_| drop(simulation.step()));
        simulation.add("new", 1, Work::Computes(10));

        let took = simulation.until_ended("new", 10_000);
        prop_assert!(took <= 10 * 6 / 2 + 40, "{took} steps");
    }
}
