//! The order in which components are compiled and loaded, as a function of what has happened. No
//! clock, no I/O.
//!
//! Each job becomes a child process. A child computes only while it holds one of a few slots. Slots
//! go to the tenant that has been served least: the one whose children have used the least CPU time
//! by weight. A child that sleeps gives its slot back. A child that has computed for a quantum is
//! paused if another job has a better claim. So one tenant's long loads never keep another tenant's
//! from starting.
//!
//! A paused or sleeping child still takes memory. The number of children is bounded for each tenant
//! and in all, and while half of them are taken each tenant may start no second one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::TenantName;

/// How much CPU time a child may use before another job may take its slot.
const QUANTUM: u64 = Duration::from_millis(250).as_nanos() as u64;

/// Children of one tenant.
const CHILDREN_OF_ONE: usize = 4;

/// A job's place in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket {
    tenant: TenantName,
    number: u64,
}

/// All jobs that wait or run.
pub(super) struct Queue {
    slots: usize,
    children: usize,
    lines: BTreeMap<TenantName, Line>,
    /// How far the least served tenant that competes has come, in nanoseconds of virtual time.
    /// Never goes back.
    floor: u64,
    next: u64,
}

/// The jobs of one tenant.
struct Line {
    weight: u64,
    /// CPU time of its children divided by its weight, in nanoseconds.
    reached: u64,
    /// In the order in which they began to wait.
    jobs: Vec<Job>,
}

struct Job {
    number: u64,
    state: State,
    /// Nanoseconds of CPU time since it was given its slot.
    used: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has no child yet.
    Queued,
    /// Its child is stopped until there is a slot.
    Paused,
    /// Its child holds a slot.
    Running,
    /// Its child sleeps and holds no slot.
    Resting,
}

impl Queue {
    /// A queue for so many slots and so many children.
    pub(super) fn new(slots: usize, children: usize) -> Self {
        Queue {
            slots: slots.max(1),
            children: children.max(1),
            lines: BTreeMap::new(),
            floor: 0,
            next: 0,
        }
    }

    /// Has another number of slots from now on. Jobs that hold one too many are told by
    /// [`Queue::must_pause`].
    pub(super) fn set_slots(&mut self, slots: usize) {
        self.slots = slots.max(1);
    }

    /// Adds a job.
    pub(super) fn join(&mut self, tenant: &TenantName, weight: u64) -> Ticket {
        let number = self.next;
        self.next += 1;
        let floor = self.floor;
        let line = self.lines.entry(tenant.clone()).or_insert_with(|| Line::new(floor));
        line.weight = weight.max(1);
        line.catch_up(floor);
        line.jobs.push(Job { number, state: State::Queued, used: 0 });
        Ticket { tenant: tenant.clone(), number }
    }

    /// Removes a job, which gives back its slot.
    pub(super) fn leave(&mut self, ticket: &Ticket) {
        if let Some(line) = self.lines.get_mut(&ticket.tenant) {
            line.jobs.retain(|job| job.number != ticket.number);
        }
        self.forget_idle_lines();
    }

    /// Notes CPU time that a job's child has used.
    pub(super) fn charge(&mut self, ticket: &Ticket, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let Some(line) = self.lines.get_mut(&ticket.tenant) else { return };
        line.reached = line.reached.saturating_add(nanoseconds / line.weight);
        if let Some(job) = line.jobs.iter_mut().find(|job| job.number == ticket.number) {
            job.used = job.used.saturating_add(nanoseconds);
        }
    }

    /// Notes that a job's child sleeps: it gives back its slot.
    pub(super) fn rest(&mut self, ticket: &Ticket) {
        if let Some(job) = self.job(ticket).filter(|job| job.state != State::Queued) {
            job.state = State::Resting;
        }
    }

    /// Has a job that has a child wait for a slot, behind its tenant's other jobs.
    pub(super) fn pause(&mut self, ticket: &Ticket) {
        let floor = self.floor;
        let Some(line) = self.lines.get_mut(&ticket.tenant) else { return };
        let Some(index) = line.jobs.iter().position(|job| job.number == ticket.number) else {
            return;
        };
        // Time that it slept through is not owed to it.
        line.catch_up(floor);
        let mut job = line.jobs.remove(index);
        if job.state != State::Queued {
            job.state = State::Paused;
        }
        line.jobs.push(job);
    }

    /// True if a job holds a slot.
    pub(super) fn is_running(&self, ticket: &Ticket) -> bool {
        let jobs = self.lines.get(&ticket.tenant).map(|line| &line.jobs);
        let job = jobs.and_then(|jobs| jobs.iter().find(|job| job.number == ticket.number));
        job.is_some_and(|job| job.state == State::Running)
    }

    /// Whether a job must give its slot back: there are fewer slots now, or it has used its quantum
    /// and another job has a better claim.
    pub(super) fn must_pause(&self, ticket: &Ticket) -> bool {
        let Some(line) = self.lines.get(&ticket.tenant) else { return false };
        let job = line.jobs.iter().find(|job| job.number == ticket.number);
        let Some(job) = job.filter(|job| job.state == State::Running) else { return false };
        if self.running() > self.slots {
            return true;
        }
        if job.used < QUANTUM || self.free() > 0 {
            return false;
        }
        let without_it = line.claim_with(line.running().saturating_sub(1));
        self.best().is_some_and(|(tenant, _)| match self.lines.get(&tenant) {
            Some(other) if tenant != ticket.tenant => other.claim() <= without_it,
            other => other.is_some(),
        })
    }

    /// Gives out the free slots. Returns the jobs that have got one.
    pub(super) fn grant(&mut self) -> Vec<Ticket> {
        let mut granted = Vec::new();
        self.raise_floor();
        while self.free() > 0 {
            let Some((tenant, index)) = self.best() else { break };
            let Some(line) = self.lines.get_mut(&tenant) else { break };
            let job = &mut line.jobs[index];
            (job.state, job.used) = (State::Running, 0);
            granted.push(Ticket { number: job.number, tenant });
        }
        granted
    }

    /// The waiting job that is next, by its tenant and its index: of the least served tenant, the
    /// one that has waited longest.
    fn best(&self) -> Option<(TenantName, usize)> {
        let taken = self.lines.values().map(Line::children).sum();
        let waiting = self.lines.iter().filter_map(|(tenant, line)| {
            let index = line.next(line.may_start(taken, self.children))?;
            Some(((line.claim(), line.jobs[index].number), tenant, index))
        });
        waiting.min_by_key(|(order, ..)| *order).map(|(_, tenant, index)| (tenant.clone(), index))
    }

    fn free(&self) -> usize {
        self.slots.saturating_sub(self.running())
    }

    fn running(&self) -> usize {
        self.lines.values().map(Line::running).sum()
    }

    fn raise_floor(&mut self) {
        let competing = self.lines.values().filter(|line| line.competes());
        if let Some(least) = competing.map(|line| line.reached).min() {
            self.floor = self.floor.max(least);
        }
        self.forget_idle_lines();
    }

    /// What a tenant has had is remembered while others could be wronged by forgetting it.
    fn forget_idle_lines(&mut self) {
        let idle = self.lines.values().all(|line| line.jobs.is_empty());
        let floor = self.floor;
        self.lines.retain(|_, line| !line.jobs.is_empty() || (!idle && line.reached > floor));
    }

    fn job(&mut self, ticket: &Ticket) -> Option<&mut Job> {
        self.lines.get_mut(&ticket.tenant)?.jobs.iter_mut().find(|job| job.number == ticket.number)
    }
}

impl Line {
    fn new(reached: u64) -> Self {
        Line { weight: 1, reached, jobs: Vec::new() }
    }

    /// How far it will have come once the slots that it holds have been used. The least goes first.
    fn claim(&self) -> u64 {
        self.claim_with(self.running())
    }

    fn claim_with(&self, running: usize) -> u64 {
        self.reached.saturating_add(QUANTUM.saturating_mul(running as u64) / self.weight)
    }

    /// A tenant that did not compete comes back level with the least served one that did.
    fn catch_up(&mut self, floor: u64) {
        if !self.competes() {
            self.reached = self.reached.max(floor);
        }
    }

    fn competes(&self) -> bool {
        self.jobs.iter().any(|job| job.state != State::Resting)
    }

    fn running(&self) -> usize {
        self.jobs.iter().filter(|job| job.state == State::Running).count()
    }

    fn children(&self) -> usize {
        self.jobs.iter().filter(|job| job.state != State::Queued).count()
    }

    /// True if it may have another child, where so many are taken of so many.
    fn may_start(&self, taken: usize, all: usize) -> bool {
        let own = self.children();
        taken < all && (own == 0 || (own < CHILDREN_OF_ONE && taken < all / 2))
    }

    /// The index of its job that is to have the next slot.
    fn next(&self, may_start: bool) -> Option<usize> {
        self.jobs
            .iter()
            .position(|job| job.state == State::Paused || (job.state == State::Queued && may_start))
    }
}

#[cfg(test)]
mod tests;
