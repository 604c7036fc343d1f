//! Threads of one tenant's database. Each has a connection of its own and takes jobs from a queue.
//!
//! The threads belong to one tenant, so one tenant's statements do not delay another's. A thread
//! starts when there is a job and ends after an idle time.
//!
//! Short statements run at normal priority. A thread whose statement runs long drops to idle
//! priority, as guest threads do, and cannot be raised again: it ends after that job, and a new
//! thread takes over its connection.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::super::SqlError;
use super::file::DatabaseFile;
use super::guest_connection::Access;
use super::job::Job;
use super::worker::Worker;
use crate::mutex::lock;

/// Idle time after which a thread closes its connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Stack size, in bytes. SQLite's parser and the check for a second statement recurse deeply.
const STACK_SIZE: usize = 8 << 20;

/// The threads of one access. A clone is shallow.
#[derive(Clone)]
pub(super) struct ConnectionThreads(Arc<Shared>);

struct Shared {
    access: Access,
    max_threads: usize,
    file: Arc<DatabaseFile>,
    runtime: Option<Handle>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
    closed: bool,
}

impl ConnectionThreads {
    /// Creates an empty set of at most `max_threads` threads.
    pub(super) fn new(
        access: Access,
        most: usize,
        file: Arc<DatabaseFile>,
        runtime: Option<Handle>,
    ) -> Self {
        ConnectionThreads(Arc::new(Shared {
            access,
            max_threads: most,
            file,
            runtime,
            queue: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Enqueues a job for the next free thread.
    pub(super) fn submit(&self, job: Job) -> Result<(), SqlError> {
        let mut queue = self.0.lock();
        if queue.closed {
            return Err(SqlError::Unavailable("it is being closed".into()));
        }

        // Cancelled jobs would keep the parameters of their statements in memory.
        queue.jobs.retain(|job| !job.is_cancelled());
        queue.jobs.push_back(job);

        if queue.jobs.len() > queue.idle && queue.threads < self.0.max_threads {
            self.spawn(queue, self.new_worker());
        } else {
            drop(queue);
        }

        self.0.changed.notify_one();

        Ok(())
    }

    fn new_worker(&self) -> Worker {
        Worker::new(self.0.file.clone(), self.0.access)
    }

    /// Spawns a thread. A thread inherits its parent's scheduling class, so it is spawned from the
    /// runtime: the caller may be a guest thread with idle priority.
    fn spawn(&self, mut queue: MutexGuard<'_, Queue>, worker: Worker) {
        queue.threads += 1;
        // The code below may lock the queue again.
        drop(queue);

        let threads = self.clone();
        let spawn = move || {
            let (shared, builder) = (
                threads.0.clone(),
                thread::Builder::new().name("sql".into()).stack_size(STACK_SIZE),
            );

            if let Err(error) = builder.spawn(move || threads.run(worker)) {
                tracing::error!(%error, "cannot start a thread for a database");
                shared.handle_spawn_failure();
            }
        };

        match &self.0.runtime {
            Some(runtime) => drop(runtime.spawn(async move { spawn() })),
            None => spawn(),
        }
    }

    fn run(self, mut worker: Worker) {
        let _guard = ThreadGuard(self.0.clone());

        while let Some(job) = self.0.next_job() {
            worker.run_job(job);
            if worker.has_idle_priority() {
                return self.spawn(self.0.lock(), worker);
            }
        }

        worker.close();
    }

    /// Accepts no more jobs. Queued jobs still run.
    pub(super) fn close(&self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }

    /// Blocks until every thread has ended, or until `until`.
    pub(super) fn wait_ended(&self, until: Instant) {
        let mut queue = self.0.lock();
        while queue.threads > 0 {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            queue =
                self.0.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    /// Returns the next job; `None` after the idle time, or if the queue is closed and empty.
    fn next_job(&self) -> Option<Job> {
        let mut queue = self.lock();
        let until = Instant::now() + IDLE_TIMEOUT;
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }

            let left = until.checked_duration_since(Instant::now()).filter(|_| !queue.closed)?;
            queue.idle += 1;
            queue =
                self.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
            queue.idle -= 1;
        }
    }

    /// Handles a thread that could not be spawned. If there is no other, the queued jobs are
    /// dropped, which reports an error to their callers.
    fn handle_spawn_failure(&self) {
        let mut queue = self.lock();
        queue.threads -= 1;

        let cancelled =
            if queue.threads == 0 { std::mem::take(&mut queue.jobs) } else { VecDeque::new() };

        drop(queue);
        drop(cancelled);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

/// Counts a thread as long as it lives.
struct ThreadGuard(Arc<Shared>);

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.threads -= 1;

        // Until now the thread counted as available, even while it closed its connection, so jobs
        // may have arrived for it.
        if !queue.jobs.is_empty() && queue.threads < self.0.max_threads {
            let threads = ConnectionThreads(self.0.clone());
            threads.spawn(queue, threads.new_worker());
        } else {
            drop(queue);
        }

        self.0.changed.notify_all();
    }
}
