//! A request's session and deferred tasks: loaded before the call, committed together after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lock::SessionGuard;
use super::{AfterResponse, ModelSessions};
use crate::capability::{CallContext, DeferredTasks, Session, TaskLimits};
use crate::engine::{Budget, Interface};
use crate::model::{InferError, ModelSettings, RequestId, SessionControl, Version};
use crate::servable::{Servable, ServableHandle};
use crate::store::CallCommit;
use crate::store::Permit;
use crate::store::sessions::{SessionUpdate, StoredSession};
use crate::store::tasks::TaskOrigin;
use crate::tenant::Resource;

/// A request's session and deferred tasks. Dropping it without a commit changes nothing.
pub(in crate::servable) struct RequestSession {
    request_id: RequestId,
    context: CallContext,
    session: Option<LockedSession>,
    tasks: Option<Arc<DeferredTasks>>,
    /// Time spent waiting for the session's lock and loading its state.
    pub(in crate::servable) session_wait: Duration,
}

struct LockedSession {
    guard: SessionGuard,
    session: Arc<Session>,
    /// The request starts the session: an earlier state with the same id is discarded.
    starts: bool,
    /// The request ends the session.
    ends: bool,
}

impl Servable {
    /// Locks and loads the request's session and prepares its task list. Returns at once if the
    /// model uses neither sessions nor tasks. Fails with `InvalidInput` for an unknown session,
    /// with a queue error, or at the deadline.
    pub(in crate::servable) async fn open_request_session(
        self: &ServableHandle,
        control: Option<&SessionControl>,
        budget: &Budget,
        context: CallContext,
    ) -> Result<RequestSession, InferError> {
        let template = self.template();
        let control = control.filter(|_| template.has(Interface::Session));
        if control.is_none() && !template.has(Interface::Tasks) {
            return Ok(RequestSession {
                request_id: context.request_id.clone(),
                context,
                session: None,
                tasks: None,
                session_wait: Duration::ZERO,
            });
        }

        let arrived = Instant::now();
        let guard =
            tokio::time::timeout_at(budget.deadline().into(), self.lock_session(control)).await;
        let guard = guard.map_err(|_elapsed| budget.deadline_exceeded())??;
        let session = match control.zip(guard) {
            Some((control, guard)) => Some(self.load_session(control, guard).await?),
            None => None,
        };

        let lock_wait = arrived.elapsed();
        let tasks = if template.has(Interface::Tasks) {
            Some(self.new_deferred_tasks(None)?)
        } else {
            None
        };

        let call_session = session.as_ref().map(|locked| locked.session.clone());
        let context = CallContext { session: call_session, tasks: tasks.clone(), ..context };
        Ok(RequestSession {
            request_id: context.request_id.clone(),
            context,
            session,
            tasks,
            session_wait: lock_wait,
        })
    }

    /// Returns an empty task list, limited by the model's settings and by `at_most`.
    pub(in crate::servable) fn new_deferred_tasks(
        &self,
        at_most: Option<u32>,
    ) -> Result<Arc<DeferredTasks>, InferError> {
        let settings = &self.settings().deferred;
        let tasks = settings.per_call.min(at_most.unwrap_or(u32::MAX));

        let limits = self
            .template()
            .has(Interface::Deferred)
            .then_some(TaskLimits { tasks, payload: settings.payload });
        Ok(Arc::new(DeferredTasks::new(self.factory().tenant(), limits)?))
    }

    /// Waits for the session's lock. The pending chains of an earlier run lock their sessions
    /// first.
    async fn lock_session(
        &self,
        control: Option<&SessionControl>,
    ) -> Result<Option<SessionGuard>, InferError> {
        let sessions = &self.sessions;
        let tenant = self.factory().tenant();
        let Some(SessionControl { id, .. }) = control else { return Ok(None) };
        sessions.resume().await.map_err(|error| error.into_infer_error(tenant))?;
        if let Some(guard) = sessions.locks.try_lock(id) {
            return Ok(Some(guard));
        }

        let _in_queue = self.pool.enter_queue()?;
        let _in_tenant_queue = tenant.take(Resource::Queue, 1)?;
        Ok(Some(sessions.locks.lock(id).await))
    }

    /// Loads the state of a session that this request has locked.
    async fn load_session(
        &self,
        control: &SessionControl,
        guard: SessionGuard,
    ) -> Result<LockedSession, InferError> {
        let sessions = &self.sessions;
        let stored = sessions
            .store
            .load_session(sessions.model.clone(), control.id.clone())
            .await
            .map_err(|error| error.into_infer_error(&sessions.tenant))?;

        if stored.is_none() && !control.start {
            return Err(InferError::InvalidInput(format!(
                "there is no session '{}', or it has expired; set sequence_start to start one",
                control.id
            )));
        }

        let stored = stored.filter(|_| !control.start).unwrap_or_default();
        let session = self.new_session(control.id.clone(), stored)?;
        Ok(LockedSession { guard, session, starts: control.start, ends: control.end })
    }

    /// Returns the capability's view of a stored session, for a call of this version.
    pub(in crate::servable) fn new_session(
        &self,
        id: String,
        stored: StoredSession,
    ) -> Result<Arc<Session>, InferError> {
        let migrates = stored.version != self.id().version.number()
            && self.template().has(Interface::SessionMigration);
        let from = migrates.then_some(stored.version);
        let tenant = self.factory().tenant();
        let limit = self.settings().sessions.max_size;

        Ok(Arc::new(Session::new(tenant, id, stored.state, from, limit)?))
    }
}

impl RequestSession {
    /// Takes the context for the call. To be called once.
    pub(in crate::servable) fn take_context(&mut self) -> CallContext {
        std::mem::take(&mut self.context)
    }

    /// Commits the session's state and the deferred tasks in one transaction. To be called after
    /// the call has succeeded and its response is valid.
    pub(in crate::servable) async fn commit(
        self,
        servable: &ServableHandle,
    ) -> Result<Option<AfterResponse>, InferError> {
        let tasks = self.tasks.as_ref().map(|deferrals| deferrals.take()).unwrap_or_default();
        if self.session.is_none() && tasks.is_empty() {
            return Ok(None);
        }
        if self.session.is_none() {
            // Otherwise `resume` could find the new tasks on disk and run them before the response
            // is sent.
            let resumed = servable.sessions.resume().await;
            resumed.map_err(|error| error.into_infer_error(servable.factory().tenant()))?;
        }

        let version = servable.id().version;
        let settings = servable.settings();
        let update = self.session.as_ref().map(|locked| locked.update(servable, settings, version));

        let origin = TaskOrigin {
            model: servable.id().name.clone(),
            version,
            session: update.as_ref().map(|update| update.id.clone()),
            request: self.request_id.to_string(),
        };

        let pending = PendingCommit {
            sessions: servable.sessions.clone(),
            session: self.session,
            _tasks: self.tasks,
        };

        // Held until the write is done, which may be after the request has ended.
        let permit = servable.sessions.store.permit().await;
        let commit = CallCommit { session: update, origin, tasks };
        // Spawned, so that a commit that has begun completes even if the caller disconnects.
        let committed = tokio::spawn(pending.write(permit, commit));

        committed.await.map_err(|error| {
            InferError::Internal(format!("the commit of a session ended early: {error}"))
        })?
    }
}

impl LockedSession {
    fn update(
        &self,
        servable: &Servable,
        settings: &ModelSettings,
        version: Version,
    ) -> SessionUpdate {
        let changed = self.session.take_changed();
        SessionUpdate {
            model: servable.id().name.clone(),
            id: self.session.id().to_owned(),
            version,
            // A started session has a state of its own, even an empty one.
            state: changed.or(self.starts.then_some(None)),
            starts: self.starts,
            ending: self.ends,
            idle_timeout_ms: settings.sessions.idle_timeout.as_millis() as i64,
        }
    }
}

/// A commit in progress. It holds the session's lock, and charges the state and the payloads to the
/// tenant's memory until they are written.
struct PendingCommit {
    sessions: Arc<ModelSessions>,
    session: Option<LockedSession>,
    _tasks: Option<Arc<DeferredTasks>>,
}

impl PendingCommit {
    async fn write(
        self,
        permit: Permit,
        commit: CallCommit,
    ) -> Result<Option<AfterResponse>, InferError> {
        let session = commit.origin.session.clone();
        let chain = self.sessions.store.commit_call(permit, commit).await;
        let chain = chain.map_err(|error| error.into_infer_error(&self.sessions.tenant))?;

        let guard = self.session.map(|locked| locked.guard);
        Ok(chain.and_then(|chain| self.sessions.hand_over_chain(chain, session.zip(guard))))
    }
}
