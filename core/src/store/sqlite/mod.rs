//! Stores in SQLite files.
//!
//! Each tenant has one file, `<state>/tenants/<tenant>/store.sqlite`. SQLite keeps the file
//! consistent if the process is killed. The jobs of a store run in order, one at a time, on a
//! thread that may block ([`job_queue`]). Waiting jobs share one transaction, so many small writes
//! share the cost of one disk flush. A write is acknowledged only after its commit.
//!
//! Each table belongs to one file of this module, which defines it in its `SCHEMA`. Only the
//! functions of that file access the table.

mod file;
mod job_queue;
mod key_value;
mod row_counts;
mod sessions;
mod tasks;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::key_value::{BucketName, IncrementError, Key};
use super::sessions::{SessionInfo, StoredSession};
use super::tasks::{NextTask, PendingChain, TaskInfo, TryRecord, TryStart};
use super::{
    CallCommit, Durability, KeyValueStore, ModelUsage, Permit, SessionStore, StoreError,
    unix_millis,
};
use crate::journal;
use crate::model::ModelName;
use crate::tenant::{CpuShare, Tenant, thread_time};
use file::StoreFile;
use job_queue::{JobKind, JobQueue};
use key_value::Bucket;
use row_counts::CountedRows;

/// Name of a tenant's file.
const FILE_NAME: &str = "store.sqlite";

/// Limit of a tenant's concurrent jobs that hold data. Each holds it in memory, even after its
/// caller has gone; each also shares the cost of a commit.
const MAX_PERMITS: usize = 64;

/// The store of one tenant. A clone is shallow.
#[derive(Clone)]
pub(super) struct SqliteStore {
    jobs: Arc<JobQueue>,
    permits: Arc<Semaphore>,
    /// Account charged for the CPU time of key-value operations.
    payer: Option<Arc<CpuShare>>,
}

/// Checkpoints the journals left by a killed server below `root`. Blocks until `until` at the
/// latest.
pub(super) fn checkpoint_abandoned(root: &Path, until: Instant) {
    journal::checkpoint_abandoned(root, FILE_NAME, until);
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            _ => StoreError::Unavailable(error.to_string()),
        }
    }
}

/// Reads an unsigned number. SQLite stores only signed 64-bit integers; a negative value reads as
/// 0.
fn column_u64(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0) as u64)
}

// === impl SqliteStore ===

impl SqliteStore {
    pub(super) fn new(
        root: &Path,
        durability: Durability,
        tenant: Arc<Tenant>,
        runtime: Option<Handle>,
    ) -> Self {
        let path = root.join(tenant.name().as_str()).join(FILE_NAME);
        let file = StoreFile::new(path, durability, tenant);

        SqliteStore {
            jobs: Arc::new(JobQueue::new(file, runtime)),
            permits: Arc::new(Semaphore::new(MAX_PERMITS)),
            payer: None,
        }
    }

    /// Returns a handle of the same store that charges key-value operations to `payer`.
    pub(super) fn charged_to(self, payer: Arc<CpuShare>) -> Self {
        SqliteStore { payer: Some(payer), ..self }
    }

    /// True if the store belongs to this tenant object.
    pub(super) fn is_of(&self, tenant: &Arc<Tenant>) -> bool {
        Arc::ptr_eq(self.jobs.tenant(), tenant)
    }

    /// Closes the file. Blocks until `until` at the latest.
    pub(super) fn close(&self, until: Instant) {
        self.jobs.close(until);
    }

    /// Runs a read. It sees the writes of all jobs submitted before.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.jobs.submit(JobKind::Read, job).await
    }

    /// Runs a write, atomically. When it returns, the data survives the end of the process. A
    /// submitted job runs even if the caller stops waiting.
    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, &Tenant) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(JobKind::Write, job).await
    }

    /// Runs a write that frees space or barely uses any. It is allowed even if the quota or the
    /// disk is full.
    async fn write_always<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, &Tenant) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(JobKind::WriteAlways, job).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        kind: JobKind,
        job: impl FnOnce(&Connection, &Tenant) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let tenant = self.jobs.tenant().clone();

        self.jobs.submit(kind, move |connection| job(connection, &tenant)).await
    }

    /// Runs a key-value operation and charges its CPU time. Holds a permit until the job has run,
    /// even if the caller stops waiting.
    async fn run<T: Send + 'static>(
        &self,
        kind: JobKind,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.permit().await;
        let payer = self.payer.clone();

        let job = move |connection: &Connection| {
            let _permit = permit;
            let before = payer.is_some().then(thread_time);
            let outcome = job(connection);
            if let (Some(payer), Some(before)) = (payer, before) {
                payer.charge(thread_time().saturating_sub(before).as_nanos() as u64);
            }

            outcome
        };

        self.jobs.submit(kind, job).await
    }
}

#[async_trait]
impl KeyValueStore for SqliteStore {
    async fn list_buckets(&self, after: String, most: usize) -> Result<Vec<String>, StoreError> {
        self.run(JobKind::Read, move |connection| key_value::list_buckets(connection, &after, most))
            .await
    }

    async fn list_keys(
        &self,
        bucket: BucketName,
        after: String,
        most: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.run(JobKind::Read, move |connection| {
            Bucket::new(connection, &bucket).list_keys(&after, most)
        })
        .await
    }

    async fn get(&self, bucket: BucketName, key: Key) -> Result<Option<Vec<u8>>, StoreError> {
        self.run(JobKind::Read, move |connection| Bucket::new(connection, &bucket).get(&key)).await
    }

    async fn exists(&self, bucket: BucketName, key: Key) -> Result<bool, StoreError> {
        self.run(JobKind::Read, move |connection| Bucket::new(connection, &bucket).exists(&key))
            .await
    }

    async fn get_many(
        &self,
        bucket: BucketName,
        keys: Vec<Key>,
        max_bytes: usize,
    ) -> Result<Option<Vec<Option<Vec<u8>>>>, StoreError> {
        self.run(JobKind::Read, move |connection| {
            Bucket::new(connection, &bucket).get_many(&keys, max_bytes)
        })
        .await
    }

    async fn set(&self, bucket: BucketName, key: Key, value: Vec<u8>) -> Result<(), StoreError> {
        self.run(JobKind::Write, move |connection| {
            Bucket::new(connection, &bucket).set(&key, &value)
        })
        .await
    }

    async fn set_many(
        &self,
        bucket: BucketName,
        pairs: Vec<(Key, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        self.run(JobKind::Write, move |connection| {
            let bucket = Bucket::new(connection, &bucket);
            pairs.iter().try_for_each(|(key, value)| bucket.set(key, value))
        })
        .await
    }

    async fn delete(&self, bucket: BucketName, key: Key) -> Result<bool, StoreError> {
        self.run(JobKind::WriteAlways, move |connection| {
            Bucket::new(connection, &bucket).delete(&key)
        })
        .await
    }

    async fn delete_many(&self, bucket: BucketName, keys: Vec<Key>) -> Result<(), StoreError> {
        self.run(JobKind::WriteAlways, move |connection| {
            let bucket = Bucket::new(connection, &bucket);
            keys.iter().try_for_each(|key| bucket.delete(key).map(drop))
        })
        .await
    }

    async fn increment(
        &self,
        bucket: BucketName,
        key: Key,
        delta: i64,
    ) -> Result<Result<i64, IncrementError>, StoreError> {
        self.run(JobKind::Write, move |connection| {
            Bucket::new(connection, &bucket).increment(&key, delta)
        })
        .await
    }

    async fn compare_and_swap(
        &self,
        bucket: BucketName,
        key: Key,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<Result<(), Option<Vec<u8>>>, StoreError> {
        self.run(JobKind::Write, move |connection| {
            Bucket::new(connection, &bucket).compare_and_swap(&key, expected.as_deref(), &value)
        })
        .await
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn permit(&self) -> Permit {
        // The semaphore is never closed.
        Permit { _permit: self.permits.clone().acquire_owned().await.ok() }
    }

    async fn commit_call(
        &self,
        permit: Permit,
        commit: CallCommit,
    ) -> Result<Option<i64>, StoreError> {
        let CallCommit { session, origin, tasks } = commit;
        if let Some(session) = session.as_ref().filter(|session| session.ending && tasks.is_empty())
        {
            // No task follows that needs the session.
            self.delete_session(session.model.clone(), session.id.clone()).await?;
            return Ok(None);
        }

        self.write(move |connection, tenant| {
            let _permit = permit;
            if let Some(session) = &session {
                sessions::save(connection, tenant, session)?;
            }

            tasks::append(connection, tenant, &origin, None, &tasks)
        })
        .await
    }

    async fn load_session(
        &self,
        model: ModelName,
        id: String,
    ) -> Result<Option<StoredSession>, StoreError> {
        self.read(move |connection| sessions::load(connection, &model, &id, unix_millis())).await
    }

    async fn list_sessions(
        &self,
        model: ModelName,
        after: String,
        limit: u32,
    ) -> Result<Vec<SessionInfo>, StoreError> {
        self.read(move |connection| sessions::list(connection, model.as_str(), &after, limit)).await
    }

    async fn delete_session(&self, model: ModelName, id: String) -> Result<bool, StoreError> {
        self.write_always(move |connection, tenant| {
            let deleted = sessions::delete(connection, &model, &id)?;
            row_counts::record(connection, tenant)?;

            Ok(deleted)
        })
        .await
    }

    async fn model_usage(&self, model: ModelName, now: i64) -> Result<ModelUsage, StoreError> {
        self.read(move |connection| {
            Ok(ModelUsage {
                sessions: row_counts::for_model(connection, CountedRows::Sessions, &model)?,
                tasks: row_counts::for_model(connection, CountedRows::Tasks, &model)?,
                expired: sessions::list_expired(connection, &model, now)?,
            })
        })
        .await
    }

    async fn delete_expired(
        &self,
        model: ModelName,
        ids: Vec<String>,
        now: i64,
    ) -> Result<(), StoreError> {
        self.write_always(move |connection, tenant| {
            sessions::delete_expired(connection, &model, &ids, now)?;
            row_counts::record(connection, tenant)
        })
        .await
    }

    async fn pending_chains(&self, model: ModelName) -> Result<Vec<PendingChain>, StoreError> {
        let tenant = self.jobs.tenant().clone();
        self.read(move |connection| {
            row_counts::record(connection, &tenant)?;
            tasks::pending_chains(connection, &model)
        })
        .await
    }

    async fn next_task(&self, chain: i64) -> Result<Option<NextTask>, StoreError> {
        self.read(move |connection| tasks::next_task(connection, chain)).await
    }

    async fn get_task(&self, id: i64) -> Result<Option<TaskInfo>, StoreError> {
        self.read(move |connection| tasks::get(connection, id)).await
    }

    async fn list_tasks(&self, after: i64, limit: u32) -> Result<Vec<TaskInfo>, StoreError> {
        self.read(move |connection| tasks::list(connection, after, limit)).await
    }

    async fn delete_task(&self, id: i64) -> Result<Option<TaskInfo>, StoreError> {
        self.write_always(move |connection, tenant| {
            let deleted = tasks::delete(connection, id)?;
            // The chain of a failed task went on without it and has ended.
            if let Some(task) = deleted.as_ref().filter(|task| task.failed.is_none())
                && let Some(session) = &task.session
            {
                tasks::delete_ended_session(connection, task.chain, &task.model, session)?;
            }
            row_counts::record(connection, tenant)?;

            Ok(deleted)
        })
        .await
    }

    async fn begin_try(&self, id: i64, limit: u32) -> Result<TryStart, StoreError> {
        self.write(move |connection, _| tasks::begin_try(connection, id, limit)).await
    }

    async fn record_try(&self, record: Arc<TryRecord>) -> Result<bool, StoreError> {
        let kind = if record.end.needs_no_room() { JobKind::WriteAlways } else { JobKind::Write };

        self.submit(kind, move |connection, tenant| tasks::record_try(connection, tenant, &record))
            .await
    }

    async fn end_chain(
        &self,
        chain: i64,
        model: ModelName,
        session: Option<String>,
    ) -> Result<(), StoreError> {
        self.write_always(move |connection, tenant| {
            if let Some(session) = &session {
                tasks::delete_ended_session(connection, chain, model.as_str(), session)?;
            }

            row_counts::record(connection, tenant)
        })
        .await
    }
}
