//! The slots for compile processes: tasks wait for one in the compile queue, which they share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use super::queue::{Queue, Ticket};
use crate::mutex::lock;
use crate::tenant::{CpuShare, FairScheduler, Tenant};

/// The slots for compile processes. A clone shares them.
#[derive(Clone)]
pub(super) struct CompileSlots {
    shared: Arc<Mutex<Shared>>,
    turns: Arc<FairScheduler>,
    /// The number of slots while no guest call takes a turn.
    slots_when_idle: usize,
    /// The number of slots while calls do. A call of more than a millisecond runs only on a core
    /// that no child uses, so calls keep half the cores.
    slots_when_serving: usize,
}

struct Shared {
    queue: Queue,
    /// Notifies each job when it receives a slot.
    notifiers: HashMap<Ticket, Arc<Notify>>,
}

/// A job in the queue, with its slot if it has one. Dropping it removes the job.
pub(super) struct QueuedJob {
    slots: CompileSlots,
    ticket: Ticket,
    notifier: Arc<Notify>,
    /// The share charged for the child's CPU time, which delays the tenant's own calls. It does not
    /// affect the order of the children: otherwise a tenant with endless calls could not get a new
    /// version compiled.
    share: Arc<CpuShare>,
}

impl CompileSlots {
    /// Creates `slots` slots for at most `children` children, beside calls that take `turns`.
    pub(super) fn new(slots: usize, children: usize, turns: Arc<FairScheduler>) -> Self {
        let shared = Shared { queue: Queue::new(slots, children), notifiers: HashMap::new() };
        let beside_calls = slots.min(turns.cores() / 2).max(1);
        CompileSlots {
            shared: Arc::new(Mutex::new(shared)),
            turns,
            slots_when_idle: slots,
            slots_when_serving: beside_calls,
        }
    }

    /// Adds a job of a tenant to the queue.
    pub(super) fn enqueue(&self, tenant: &Tenant) -> QueuedJob {
        let notifier = Arc::new(Notify::new());
        let ticket = self.change(|shared| {
            let ticket = shared.queue.enqueue(tenant.name(), tenant.account().weight());
            shared.notifiers.insert(ticket.clone(), notifier.clone());
            ticket
        });

        QueuedJob {
            slots: self.clone(),
            ticket,
            notifier,
            share: CpuShare::new(tenant.account().clone()),
        }
    }

    /// Adapts the number of slots to whether calls are running, changes the queue, and assigns the
    /// free slots.
    fn change<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        let slots =
            if self.turns.is_busy() { self.slots_when_serving } else { self.slots_when_idle };

        let mut shared = self.lock();
        shared.queue.set_slots(slots);

        let outcome = change(&mut shared);

        for ticket in shared.queue.grant() {
            if let Some(notifier) = shared.notifiers.get(&ticket) {
                notifier.notify_one();
            }
        }

        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl QueuedJob {
    /// Waits until the job holds a slot.
    pub(super) async fn wait_for_slot(&self) {
        while !self.is_running() {
            self.notifier.notified().await;
        }
    }

    /// True if the job holds a slot.
    pub(super) fn is_running(&self) -> bool {
        self.slots.lock().queue.is_running(&self.ticket)
    }

    /// Charges CPU time of the compile process, to the job and to its tenant. The slot stands for a
    /// turn of the fair scheduler.
    pub(super) fn charge(&self, time: Duration) {
        self.slots.turns.charge_in_turn(&self.share, time);
        self.slots.change(|shared| shared.queue.charge(&self.ticket, time));
    }

    /// Frees the slot of a sleeping compile process.
    pub(super) fn release_slot(&self) {
        self.slots.change(|shared| shared.queue.release_slot(&self.ticket));
    }

    /// Gives up the slot, if any, and queues for another, without waiting. Returns true if the job
    /// got one at once.
    pub(super) fn pause(&self) -> bool {
        self.slots.change(|shared| shared.queue.pause(&self.ticket));
        self.is_running()
    }

    /// True if the slot must be left to another job.
    pub(super) fn must_pause(&self) -> bool {
        self.slots.lock().queue.must_pause(&self.ticket)
    }
}

impl Drop for QueuedJob {
    fn drop(&mut self) {
        self.slots.change(|shared| {
            shared.queue.remove(&self.ticket);
            shared.notifiers.remove(&self.ticket);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantName;

    #[test]
    fn calls_keep_half_the_cores() {
        let turns = FairScheduler::new(4);
        let slots = CompileSlots::new(4, 8, turns.clone());
        let tenant = Tenant::unlimited(TenantName::default_tenant());
        let jobs: Vec<_> = (0..4).map(|_| slots.enqueue(&tenant)).collect();
        let running = || jobs.iter().filter(|job| job.is_running()).count();

        assert_eq!(running(), 4);

        let call = turns.enqueue(&CpuShare::new(tenant.account().clone()));
        for job in &jobs {
            job.charge(Duration::ZERO);
            if job.must_pause() {
                job.pause();
            }
        }

        assert_eq!(running(), 2);

        drop(call);
        jobs[0].charge(Duration::ZERO);
        assert_eq!(running(), 4);
    }

    #[test]
    fn the_cpu_time_of_a_child_is_charged_to_its_tenant() {
        let slots = CompileSlots::new(1, 8, FairScheduler::new(1));
        let tenant = Tenant::unlimited(TenantName::default_tenant());
        let job = slots.enqueue(&tenant);
        job.charge(Duration::from_millis(3));
        assert_eq!(tenant.account().used(), 3_000_000);
    }

    #[tokio::test]
    async fn a_freed_slot_goes_to_the_waiting_job() {
        let slots = CompileSlots::new(1, 8, FairScheduler::new(1));
        let tenant = |name| Tenant::unlimited(TenantName::new(name).unwrap());
        let first = slots.enqueue(&tenant("a"));
        let second = slots.enqueue(&tenant("b"));
        first.wait_for_slot().await;
        assert!(!second.is_running());

        let waiting = tokio::spawn(async move {
            second.wait_for_slot().await;
            second
        });

        first.release_slot();
        let second = waiting.await.unwrap();
        assert!(second.is_running() && !first.is_running());
        assert!(!first.pause(), "the slot is taken");

        drop(second);
        first.wait_for_slot().await;
    }
}
