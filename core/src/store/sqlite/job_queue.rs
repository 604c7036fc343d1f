//! Queue of a store's jobs. They run in order, one at a time, on a thread that may block.
//!
//! The thread exists only while there are jobs, and for a short idle time after. All waiting jobs
//! run in one transaction.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::super::StoreError;
use super::file::{OpenFile, StoreFile};
use super::job::{FinishedJob, Job, JobKind};
use super::transaction::run_transaction;
use crate::blocking;
use crate::mutex::lock;
use crate::tenant::Tenant;

/// Limit of waiting jobs. Each belongs to a call or request that waits for it.
const MAX_WAITING: usize = 4096;

/// Limit of jobs in one transaction: enough to share the cost of a commit, few enough to keep the
/// first job's wait short.
const MAX_BATCH: usize = 256;

/// Time that an idle worker waits for further jobs, so that a series of single jobs does not need a
/// new thread each.
const IDLE_WAIT: Duration = Duration::from_millis(2);

pub(super) struct JobQueue {
    file: StoreFile,
    /// Runtime of the workers; `None` runs them on the runtime of the caller.
    runtime: Option<Handle>,
    queue: Mutex<Queue>,
    /// Signalled when a job arrives while the worker is idle.
    job_added: Condvar,
    /// Locked only by the worker.
    connection: Mutex<Option<OpenFile>>,
    /// Error of the last attempt to open the file, so that it is logged once.
    last_open_error: Mutex<Option<StoreError>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// A worker exists.
    running: bool,
    /// The worker waits for further jobs.
    idle: bool,
    /// The file is closed for good.
    closed: bool,
}

impl JobQueue {
    pub(super) fn new(file: StoreFile, runtime: Option<Handle>) -> Self {
        JobQueue {
            file,
            runtime,
            queue: Mutex::default(),
            job_added: Condvar::new(),
            connection: Mutex::default(),
            last_open_error: Mutex::default(),
        }
    }

    pub(super) fn tenant(&self) -> &Arc<Tenant> {
        self.file.tenant()
    }

    /// Submits a job and waits for its result.
    pub(super) async fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        kind: JobKind,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let jobs = self.clone();
        let work = Box::new(move |connection: Result<&Connection, StoreError>| {
            let outcome = connection.and_then(work);
            let failed = outcome.is_err();
            let notify = Box::new(move |end: Result<(), StoreError>| {
                let outcome = end.and(outcome).map_err(|error| jobs.file.distinguish_full(error));
                // The caller may have stopped waiting.
                drop(sender.send(outcome));
            });

            FinishedJob { failed, notify }
        });
        self.enqueue(Job { kind, work })?;

        receiver.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a job was lost".into())))
    }

    fn enqueue(self: &Arc<Self>, job: Job) -> Result<(), StoreError> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(StoreError::Unavailable("the server is stopping".into()));
        }

        if queue.jobs.len() >= MAX_WAITING {
            return Err(StoreError::Busy);
        }

        queue.jobs.push_back(job);

        if !std::mem::replace(&mut queue.running, true) {
            self.spawn_worker();
        } else if std::mem::take(&mut queue.idle) {
            self.job_added.notify_one();
        }

        Ok(())
    }

    fn spawn_worker(self: &Arc<Self>) {
        let jobs = self.clone();
        let work = move || jobs.run_worker();
        match &self.runtime {
            // Spawned from within the runtime: a thread inherits its parent's scheduling class, and
            // guest threads have idle priority.
            Some(runtime) => drop(runtime.spawn(async { drop(blocking::run(work)) })),
            None => drop(blocking::run(work)),
        }
    }

    fn run_worker(self: &Arc<Self>) {
        let _guard = WorkerGuard(self);

        let mut idle = lock(&self.connection);
        // Taken out of the lock, so that a panicking job drops the connection together with its
        // open transaction.
        let mut connection = idle.take();
        while let Some(jobs) = self.next_batch() {
            self.run_batch(&mut connection, jobs);
        }

        *idle = connection;
    }

    /// Returns the waiting jobs; `None` if there are none after the idle time, which ends the
    /// worker.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let mut queue = self.lock();
        if queue.jobs.is_empty() {
            queue.idle = true;
            let waited =
                self.job_added.wait_timeout_while(queue, IDLE_WAIT, |queue| queue.jobs.is_empty());
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            queue.idle = false;
        }

        let count = queue.jobs.len().min(MAX_BATCH);
        let jobs: Vec<_> = queue.jobs.drain(..count).collect();
        queue.running = !jobs.is_empty();

        queue.running.then_some(jobs)
    }

    fn run_batch(&self, connection: &mut Option<OpenFile>, jobs: Vec<Job>) {
        let opened = match connection.take() {
            Some(open) => Ok(open),
            None => self.open(),
        };
        let open = match opened {
            Ok(open) => connection.insert(open),
            Err(error) => return jobs.into_iter().for_each(|job| job.fail_unrun(error.clone())),
        };

        if let Err(error) = run_transaction(&self.file, open, jobs) {
            tracing::warn!(tenant = %self.tenant().name(), %error, "a transaction of a tenant's store failed");
            *connection = None;
        }
    }

    fn open(&self) -> Result<OpenFile, StoreError> {
        let opened = self.file.open();
        let error = opened.as_ref().err().cloned();

        let mut last_error = lock(&self.last_open_error);
        if let (Some(error), true) = (&error, *last_error != error) {
            let (tenant, file) = (self.tenant().name(), self.file.path().display());
            tracing::error!(%tenant, %file, %error, "cannot open a tenant's store");
        }

        *last_error = error;

        opened
    }

    /// Accepts no more jobs and closes the file. Blocks until `until` at the latest.
    pub(super) fn close(&self, until: Instant) {
        self.lock().closed = true;

        loop {
            if let Ok(mut connection) = self.connection.try_lock() {
                if let Some(opened) = connection.take() {
                    opened.close(self.tenant());
                }
                return;
            }

            if Instant::now() >= until {
                return tracing::warn!(tenant = %self.tenant().name(), "a tenant's store was not closed in time");
            }

            std::thread::sleep(IDLE_WAIT);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

/// Starts another worker if this one panics.
struct WorkerGuard<'a>(&'a Arc<JobQueue>);

impl Drop for WorkerGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.lock();
            // Jobs that were submitted in the meantime depend on this worker.
            queue.running = !queue.jobs.is_empty();

            if queue.running {
                self.0.spawn_worker();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use thread_priority::unix::{
        NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy,
    };

    use super::super::SqliteStore;
    use super::*;
    use crate::model::TenantName;
    use crate::store::Durability;
    use crate::tenant::{Quota, TenantSettings, set_idle_priority};

    fn store(folder: &tempfile::TempDir) -> SqliteStore {
        store_of(folder, Tenant::unlimited(TenantName::default_tenant()))
    }

    fn store_of(folder: &tempfile::TempDir, tenant: Arc<Tenant>) -> SqliteStore {
        let runtime = Handle::try_current().ok();
        SqliteStore::new(folder.path(), Durability::Full, tenant, runtime)
    }

    async fn write<T: Send + 'static>(
        store: &SqliteStore,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        store.write(|connection, _| job(connection)).await
    }

    fn add(connection: &Connection) -> Result<i64, StoreError> {
        connection
            .execute_batch("CREATE TABLE IF NOT EXISTS t (n INTEGER); INSERT INTO t VALUES (1)")?;
        count(connection)
    }

    fn count(connection: &Connection) -> Result<i64, StoreError> {
        Ok(connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn writes_are_visible_to_later_reads_and_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let first = store(&folder);
        let written = (0..100).map(|_| write(&first, add));
        let mut counts = futures_util::future::try_join_all(written).await.unwrap();

        counts.sort_unstable();
        assert_eq!(counts, (1..=100).collect::<Vec<_>>());
        drop(first);
        assert_eq!(store(&folder).read(count).await, Ok(100));
    }

    #[tokio::test]
    async fn failed_job_rolls_back_only_its_own_changes() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let fail = |connection: &Connection| add(connection).and(Err::<(), _>(StoreError::Busy));
        let (one, failed, two) =
            tokio::join!(write(&store, add), write(&store, fail), write(&store, add));
        assert_eq!((one.is_ok(), failed, two.is_ok()), (true, Err(StoreError::Busy), true));
        assert_eq!(store.read(count).await, Ok(2));
    }

    #[tokio::test]
    async fn job_runs_even_if_the_caller_stops_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let impatient = tokio::time::timeout(Duration::ZERO, write(&store, add)).await;

        assert!(impatient.is_err());
        assert_eq!(store.read(count).await, Ok(1));
    }

    #[tokio::test]
    async fn panicking_job_fails_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let panicked = write(&store, |_| -> Result<(), StoreError> { panic!("a fault") }).await;

        assert!(matches!(panicked, Err(StoreError::Unavailable(_))));
        assert_eq!(write(&store, add).await, Ok(1));
    }

    #[tokio::test]
    async fn job_beyond_the_quota_fails_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = limited(&folder, 64 << 10);

        write(&store, add).await.unwrap();

        let large = |connection: &Connection| {
            Ok(connection.execute("INSERT INTO t VALUES (zeroblob(1000000))", [])?)
        };

        for round in 0..20 {
            // Submitted together, so they share a transaction.
            let (one, full, two) =
                tokio::join!(write(&store, add), write(&store, large), write(&store, add));
            assert_eq!((one.is_ok(), full, two.is_ok()), (true, Err(StoreError::Full), true));
            assert_eq!(store.read(count).await, Ok(2 * round + 3));
        }
    }

    #[tokio::test]
    async fn write_regardless_of_the_quota_succeeds_when_it_is_used_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = limited(&folder, 64 << 10);

        write(&store, add).await.unwrap();

        let page = |connection: &Connection| {
            Ok(connection.execute("INSERT INTO t VALUES (zeroblob(5000))", [])?)
        };
        while write(&store, page).await.is_ok() {}
        assert_eq!(write(&store, page).await, Err(StoreError::Full));
        assert_eq!(store.write_always(move |connection, _| page(connection)).await, Ok(1));
    }

    #[tokio::test]
    async fn error_that_rolls_back_the_transaction_fails_all_its_jobs() {
        let folder = tempfile::tempdir().unwrap();
        let store = limited(&folder, 64 << 10);

        write(&store, add).await.unwrap();

        // Beyond the slack, SQLite's own limit ends the transaction.
        let huge = |connection: &Connection| {
            Ok(connection.execute("INSERT INTO t VALUES (zeroblob(90000000))", [])?)
        };
        // The first job holds the worker until the others wait, so that they are one batch.
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (go, wait) = std::sync::mpsc::channel();
        let first = write(&store, move |_| {
            let _ = started.send(());
            Ok(wait.recv())
        });
        let others = async {
            has_started.await.unwrap();
            tokio::join!(
                biased;
                write(&store, add),
                write(&store, huge),
                write(&store, add),
                async { go.send(()) }
            )
        };

        let (_, (one, full, two, _)) = tokio::join!(first, others);
        assert_eq!((one.is_err(), full, two.is_err()), (true, Err(StoreError::Full), true));
        assert_eq!(write(&store, add).await, Ok(2));
    }

    #[test]
    fn jobs_from_guest_threads_run_on_ordinary_threads() {
        let folder = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let store = runtime.block_on(async { store(&folder) });
        let policy = |_: &Connection| Ok(thread_schedule_policy().unwrap());
        let guest = std::thread::spawn(move || {
            set_idle_priority();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(write(&store, policy))
        });
        let ordinary = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);

        assert_eq!(guest.join().unwrap(), Ok(ordinary));
    }

    fn limited(folder: &tempfile::TempDir, data: u64) -> SqliteStore {
        let quota = Quota { data, ..Quota::unlimited() };
        let settings = TenantSettings { quota, ..TenantSettings::default() };
        store_of(folder, Tenant::new(TenantName::default_tenant(), settings))
    }

    #[tokio::test]
    async fn file_of_another_format_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("default")).unwrap();
        std::fs::write(
            folder.path().join("default/store.sqlite"),
            "not a database, but long enough for a header",
        )
        .unwrap();
        assert!(matches!(store(&folder).read(count).await, Err(StoreError::Unavailable(_))));
    }
}
