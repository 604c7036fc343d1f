//! The operations on sessions and deferred tasks, each as one job.

use std::sync::Arc;

use async_trait::async_trait;

use super::job::JobKind;
use super::row_counts::{self, CountedRows};
use super::{SqliteStore, sessions, tasks};
use crate::model::ModelName;
use crate::store::sessions::{SessionInfo, StoredSession};
use crate::store::tasks::{NextTask, PendingChain, TaskInfo, TryRecord, TryStart};
use crate::store::{CallCommit, ModelUsage, Permit, SessionStore, StoreError, unix_millis};

#[async_trait]
impl SessionStore for SqliteStore {
    async fn permit(&self) -> Permit {
        self.acquire_permit().await
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
