//! The threads of one tenant's database, each with a connection of its own, and the work that waits
//! for them.
//!
//! They belong to the tenant: what one tenant's statements take, no other waits for. A thread is
//! started when there is work for it and ends when there has been none for a while.
//!
//! What is short is done at once, as short calls are. A thread whose statement turns out to be long
//! steps back behind whoever reads requests, as guests' threads do, and cannot come forward again:
//! it ends with that work, and another one takes over its connection.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::super::SqlError;
use super::File;
use super::connection::Role;
use super::worker::{Job, Worker};

/// How long a thread waits for work before it closes its connection.
const IDLE: Duration = Duration::from_secs(30);

/// Bytes of a thread's stack: SQLite's parser and the search for a second statement go deep.
const STACK: usize = 8 << 20;

/// The threads of one role. A clone shares them.
#[derive(Clone)]
pub(super) struct Crew(Arc<Shared>);

struct Shared {
    role: Role,
    most: usize,
    file: Arc<File>,
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

impl Crew {
    /// At most so many threads, none of which is started yet.
    pub(super) fn new(role: Role, most: usize, file: Arc<File>, runtime: Option<Handle>) -> Self {
        Crew(Arc::new(Shared {
            role,
            most,
            file,
            runtime,
            queue: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Has a thread do that, as soon as one is free.
    pub(super) fn give(&self, job: Job) -> Result<(), SqlError> {
        let mut queue = self.0.lock();
        if queue.closed {
            return Err(SqlError::Unavailable("it is being closed".into()));
        }
        // What nobody waits for any more would keep its statement's parameters in memory until its
        // turn.
        queue.jobs.retain(|job| !job.is_given_up());
        queue.jobs.push_back(job);
        if queue.jobs.len() > queue.idle && queue.threads < self.0.most {
            self.start(queue, self.worker());
        } else {
            drop(queue);
        }
        self.0.changed.notify_one();
        Ok(())
    }

    fn worker(&self) -> Worker {
        Worker::new(self.0.file.clone(), self.0.role)
    }

    /// Counts another thread and starts it. It is made in the image of the one that starts it, so
    /// that must not be one for guests, on which whoever gives work may be.
    fn start(&self, mut queue: MutexGuard<'_, Queue>, worker: Worker) {
        queue.threads += 1;
        // What follows may need it.
        drop(queue);
        let crew = self.clone();
        let spawn = move || {
            let (shared, builder) =
                (crew.0.clone(), thread::Builder::new().name("sql".into()).stack_size(STACK));
            if let Err(error) = builder.spawn(move || crew.work(worker)) {
                tracing::error!(%error, "cannot start a thread for a database");
                shared.thread_is_missing();
            }
        };
        match &self.0.runtime {
            Some(runtime) => drop(runtime.spawn(async move { spawn() })),
            None => spawn(),
        }
    }

    fn work(self, mut worker: Worker) {
        let _member = Member(self.0.clone());
        while let Some(job) = self.0.next() {
            worker.carry_out(job);
            if worker.has_stepped_back() {
                return self.start(self.0.lock(), worker);
            }
        }
        worker.close();
    }

    /// Takes no more work; what is there is still done.
    pub(super) fn close(&self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }

    /// Waits until every thread has ended, or until then. Blocks.
    pub(super) fn until_ended(&self, until: Instant) {
        let mut queue = self.0.lock();
        while queue.threads > 0 {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            queue =
                self.0.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    /// The next piece of work; `None` once there is none for long, or ever again.
    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        let until = Instant::now() + IDLE;
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

    /// One that was counted could not be started. Without any, nobody would ever do what waits.
    fn thread_is_missing(&self) {
        let mut queue = self.lock();
        queue.threads -= 1;
        let given_up =
            if queue.threads == 0 { std::mem::take(&mut queue.jobs) } else { VecDeque::new() };
        drop(queue);
        drop(given_up);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread of a crew, for as long as it lives.
struct Member(Arc<Shared>);

impl Drop for Member {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.threads -= 1;
        // While it was closing its connection, it counted as a thread that would take what was
        // given.
        if !queue.jobs.is_empty() && queue.threads < self.0.most {
            let crew = Crew(self.0.clone());
            crew.start(queue, crew.worker());
        } else {
            drop(queue);
        }
        self.0.changed.notify_all();
    }
}
