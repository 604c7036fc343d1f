//! The order in which components are compiled and loaded. Pure: no clock and no I/O.
//!
//! Each job becomes a compile process, the child. A child computes only while it holds one of a few
//! slots. A free slot goes to the tenant whose children have used the least CPU time by weight. A
//! sleeping child gives its slot back. A child that has computed for a quantum is paused if another
//! job has precedence. So the long loads of one tenant do not keep those of another from starting.
//!
//! A paused or sleeping child still takes memory. So the number of children is bounded, for each
//! tenant and in total, and once half of the total is taken, a tenant with a child may not start
//! another.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::TenantName;

/// CPU time of a child before another job may take its slot, in nanoseconds.
const QUANTUM: u64 = Duration::from_millis(250).as_nanos() as u64;

/// The most children of one tenant.
const CHILDREN_OF_ONE: usize = 4;

/// Identifies a job in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket {
    tenant: TenantName,
    number: u64,
}

/// All waiting and running jobs.
pub(super) struct Queue {
    slots: usize,
    children: usize,
    tenants: BTreeMap<TenantName, TenantJobs>,
    /// Virtual time of the least served competing tenant, in nanoseconds. Never decreases.
    floor: u64,
    next: u64,
}

/// The jobs of one tenant.
struct TenantJobs {
    weight: u64,
    /// Virtual time: CPU time of its children divided by its weight, in nanoseconds.
    virtual_time: u64,
    /// Ordered by the time at which they began to wait.
    jobs: Vec<Job>,
}

struct Job {
    number: u64,
    state: State,
    /// CPU time since the job received its slot, in nanoseconds.
    used: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No child has been started.
    Queued,
    /// The child is stopped and waits for a slot.
    Paused,
    /// The child holds a slot.
    Running,
    /// The child sleeps and holds no slot.
    Sleeping,
}

impl Queue {
    /// A queue for `slots` computing children, out of at most `children`.
    pub(super) fn new(slots: usize, children: usize) -> Self {
        Queue {
            slots: slots.max(1),
            children: children.max(1),
            tenants: BTreeMap::new(),
            floor: 0,
            next: 0,
        }
    }

    /// Changes the number of slots. [`Queue::must_pause`] returns true for jobs in excess.
    pub(super) fn set_slots(&mut self, slots: usize) {
        self.slots = slots.max(1);
    }

    /// Adds a job.
    pub(super) fn enqueue(&mut self, tenant: &TenantName, weight: u64) -> Ticket {
        let number = self.next;
        self.next += 1;

        let floor = self.floor;
        let line = self.tenants.entry(tenant.clone()).or_insert_with(|| TenantJobs::new(floor));
        line.weight = weight.max(1);
        line.catch_up(floor);
        line.jobs.push(Job { number, state: State::Queued, used: 0 });

        Ticket { tenant: tenant.clone(), number }
    }

    /// Removes a job and frees its slot.
    pub(super) fn remove(&mut self, ticket: &Ticket) {
        if let Some(line) = self.tenants.get_mut(&ticket.tenant) {
            line.jobs.retain(|job| job.number != ticket.number);
        }
        self.remove_idle_tenants();
    }

    /// Charges CPU time of a job's child.
    pub(super) fn charge(&mut self, ticket: &Ticket, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let Some(line) = self.tenants.get_mut(&ticket.tenant) else { return };
        line.virtual_time = line.virtual_time.saturating_add(nanoseconds / line.weight);

        if let Some(job) = line.jobs.iter_mut().find(|job| job.number == ticket.number) {
            job.used = job.used.saturating_add(nanoseconds);
        }
    }

    /// Frees the slot of a job whose child sleeps.
    pub(super) fn release_slot(&mut self, ticket: &Ticket) {
        if let Some(job) = self.job(ticket).filter(|job| job.state != State::Queued) {
            job.state = State::Sleeping;
        }
    }

    /// Makes a job with a child wait for a slot again, behind the other jobs of its tenant.
    pub(super) fn pause(&mut self, ticket: &Ticket) {
        let floor = self.floor;
        let Some(line) = self.tenants.get_mut(&ticket.tenant) else { return };
        let Some(index) = line.jobs.iter().position(|job| job.number == ticket.number) else {
            return;
        };

        // Time in which the child slept gives the tenant no credit.
        line.catch_up(floor);

        let mut job = line.jobs.remove(index);
        if job.state != State::Queued {
            job.state = State::Paused;
        }

        line.jobs.push(job);
    }

    /// True if the job holds a slot.
    pub(super) fn is_running(&self, ticket: &Ticket) -> bool {
        let jobs = self.tenants.get(&ticket.tenant).map(|line| &line.jobs);
        let job = jobs.and_then(|jobs| jobs.iter().find(|job| job.number == ticket.number));
        job.is_some_and(|job| job.state == State::Running)
    }

    /// True if the job must give its slot back: there are too few slots, or it has used its quantum
    /// and another job has precedence.
    pub(super) fn must_pause(&self, ticket: &Ticket) -> bool {
        let Some(line) = self.tenants.get(&ticket.tenant) else { return false };
        let job = line.jobs.iter().find(|job| job.number == ticket.number);
        let Some(job) = job.filter(|job| job.state == State::Running) else { return false };

        if self.running() > self.slots {
            return true;
        }

        if job.used < QUANTUM || self.free() > 0 {
            return false;
        }

        let without_it = line.projected_time_with(line.running().saturating_sub(1));
        self.next_job().is_some_and(|(tenant, _)| match self.tenants.get(&tenant) {
            Some(other) if tenant != ticket.tenant => other.projected_time() <= without_it,
            other => other.is_some(),
        })
    }

    /// Assigns the free slots. Returns the jobs that received one.
    pub(super) fn grant(&mut self) -> Vec<Ticket> {
        let mut granted = Vec::new();
        self.raise_floor();

        while self.free() > 0 {
            let Some((tenant, index)) = self.next_job() else { break };
            let Some(line) = self.tenants.get_mut(&tenant) else { break };
            let job = &mut line.jobs[index];
            (job.state, job.used) = (State::Running, 0);
            granted.push(Ticket { number: job.number, tenant });
        }

        granted
    }

    /// Returns the next waiting job, as tenant and index: the longest waiting job of the least
    /// served tenant.
    fn next_job(&self) -> Option<(TenantName, usize)> {
        let taken = self.tenants.values().map(TenantJobs::children).sum();
        let waiting = self.tenants.iter().filter_map(|(tenant, line)| {
            let index = line.next(line.may_start(taken, self.children))?;
            Some(((line.projected_time(), line.jobs[index].number), tenant, index))
        });

        waiting.min_by_key(|(order, ..)| *order).map(|(_, tenant, index)| (tenant.clone(), index))
    }

    fn free(&self) -> usize {
        self.slots.saturating_sub(self.running())
    }

    fn running(&self) -> usize {
        self.tenants.values().map(TenantJobs::running).sum()
    }

    fn raise_floor(&mut self) {
        let competing = self.tenants.values().filter(|line| line.is_competing());
        if let Some(least) = competing.map(|line| line.virtual_time).min() {
            self.floor = self.floor.max(least);
        }
        self.remove_idle_tenants();
    }

    /// Removes tenants without jobs. One that is ahead of the floor stays while others have jobs,
    /// so that it cannot reset its virtual time by leaving.
    fn remove_idle_tenants(&mut self) {
        let idle = self.tenants.values().all(|line| line.jobs.is_empty());
        let floor = self.floor;
        self.tenants
            .retain(|_, line| !line.jobs.is_empty() || (!idle && line.virtual_time > floor));
    }

    fn job(&mut self, ticket: &Ticket) -> Option<&mut Job> {
        self.tenants
            .get_mut(&ticket.tenant)?
            .jobs
            .iter_mut()
            .find(|job| job.number == ticket.number)
    }
}

impl TenantJobs {
    fn new(reached: u64) -> Self {
        TenantJobs { weight: 1, virtual_time: reached, jobs: Vec::new() }
    }

    /// Virtual time after the slots that it holds are used up. The tenant with the least is next.
    fn projected_time(&self) -> u64 {
        self.projected_time_with(self.running())
    }

    fn projected_time_with(&self, running: usize) -> u64 {
        self.virtual_time.saturating_add(QUANTUM.saturating_mul(running as u64) / self.weight)
    }

    /// Raises the virtual time of a tenant that did not compete to that of the least served one.
    fn catch_up(&mut self, floor: u64) {
        if !self.is_competing() {
            self.virtual_time = self.virtual_time.max(floor);
        }
    }

    fn is_competing(&self) -> bool {
        self.jobs.iter().any(|job| job.state != State::Sleeping)
    }

    fn running(&self) -> usize {
        self.jobs.iter().filter(|job| job.state == State::Running).count()
    }

    fn children(&self) -> usize {
        self.jobs.iter().filter(|job| job.state != State::Queued).count()
    }

    /// True if the tenant may start another child, when `taken` of `all` are started.
    fn may_start(&self, taken: usize, all: usize) -> bool {
        let own = self.children();
        taken < all && (own == 0 || (own < CHILDREN_OF_ONE && taken < all / 2))
    }

    /// The index of the job that receives the tenant's next slot.
    fn next(&self, may_start: bool) -> Option<usize> {
        self.jobs
            .iter()
            .position(|job| job.state == State::Paused || (job.state == State::Queued && may_start))
    }
}

#[cfg(test)]
mod tests;
