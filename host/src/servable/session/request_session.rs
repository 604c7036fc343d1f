//! A request's session and deferred tasks: loaded before the call, committed together after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lock::SessionGuard;
use super::{AfterResponse, ModelSessions};
use crate::capability::{CallContext, DeferredTasks, Session, TaskLimits};
use crate::engine::Budget;
use crate::model::{InferError, ModelSettings, RequestId, SessionControl, Version};
use crate::servable::{Servable, ServableHandle};
use crate::store::{StoreError, sessions, tasks, unix_millis};
use crate::tenant::Resource;

/// A request's session and deferred tasks. Dropping it without a commit changes nothing.
pub(in crate::servable) struct RequestSession {
    request_id: RequestId,
    scope: CallContext,
    session: Option<LockedSession>,
    tasks: Option<Arc<DeferredTasks>>,
    /// Time spent waiting for the session's lock and loading its state.
    pub(in crate::servable) lock_wait: Duration,
}

struct LockedSession {
    owner: SessionGuard,
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
        sequence: Option<&SessionControl>,
        budget: &Budget,
        scope: CallContext,
    ) -> Result<RequestSession, InferError> {
        let template = self.template();
        let sequence = sequence.filter(|_| template.uses_sessions());
        if sequence.is_none() && !template.uses_tasks() {
            return Ok(RequestSession {
                request_id: scope.request_id.clone(),
                scope,
                session: None,
                tasks: None,
                lock_wait: Duration::ZERO,
            });
        }

        let arrived = Instant::now();
        let owner =
            tokio::time::timeout_at(budget.deadline().into(), self.lock_session(sequence)).await;
        let owner = owner.map_err(|_elapsed| budget.deadline_exceeded())??;
        let session = match sequence.zip(owner) {
            Some((sequence, owner)) => Some(self.load_session(sequence, owner).await?),
            None => None,
        };

        let waited = arrived.elapsed();
        let tasks = if template.uses_tasks() { Some(self.new_deferrals(None)?) } else { None };

        let of_call = session.as_ref().map(|owned| owned.session.clone());
        let scope = CallContext { session: of_call, tasks: tasks.clone(), ..scope };
        Ok(RequestSession {
            request_id: scope.request_id.clone(),
            scope,
            session,
            tasks,
            lock_wait: waited,
        })
    }

    /// Returns an empty task list, limited by the model's settings and by `at_most`.
    pub(in crate::servable) fn new_deferrals(
        &self,
        at_most: Option<u32>,
    ) -> Result<Arc<DeferredTasks>, InferError> {
        let settings = &self.settings().deferred;
        let tasks = settings.per_call.min(at_most.unwrap_or(u32::MAX));

        let room = self
            .template()
            .has_deferred()
            .then_some(TaskLimits { tasks, payload: settings.payload });
        Ok(Arc::new(DeferredTasks::new(self.factory().tenant(), room)?))
    }

    /// Waits for the session's lock. The pending chains of an earlier run lock their sessions
    /// first.
    async fn lock_session(
        &self,
        sequence: Option<&SessionControl>,
    ) -> Result<Option<SessionGuard>, InferError> {
        let (sequences, tenant) = (&self.sequences, self.factory().tenant());
        let Some(SessionControl { id, .. }) = sequence else { return Ok(None) };
        sequences.resume().await.map_err(|error| error.into_infer_error(tenant))?;
        if let Some(owner) = sequences.line.try_lock(id) {
            return Ok(Some(owner));
        }
        let _in_queue = self.pool.enter_queue()?;
        let _in_tenant_s = tenant.take(Resource::Queue, 1)?;
        Ok(Some(sequences.line.lock(id).await))
    }

    /// Loads the state of a session that this request has locked.
    async fn load_session(
        &self,
        sequence: &SessionControl,
        owner: SessionGuard,
    ) -> Result<LockedSession, InferError> {
        let sequences = &self.sequences;
        let (model, id) = (sequences.model.clone(), sequence.id.clone());
        let load = move |connection: &_| sessions::load(connection, &model, &id, unix_millis());
        let kept = sequences
            .store
            .read(load)
            .await
            .map_err(|error| error.into_infer_error(&sequences.tenant))?;

        if kept.is_none() && !sequence.start {
            return Err(InferError::InvalidInput(format!(
                "there is no session '{}', or its time is over; set sequence_start to begin one",
                sequence.id
            )));
        }
        let session = self
            .session(sequence.id.clone(), kept.filter(|_| !sequence.start).unwrap_or_default())?;
        Ok(LockedSession { owner, session, starts: sequence.start, ends: sequence.end })
    }

    /// Returns the capability's view of a stored session, for a call of this version.
    pub(in crate::servable) fn session(
        &self,
        id: String,
        kept: sessions::StoredSession,
    ) -> Result<Arc<Session>, InferError> {
        let other =
            kept.version != self.id().version.number() && self.template().has_session_migration();
        let (tenant, limit) = (self.factory().tenant(), self.settings().sessions.max_size);
        Ok(Arc::new(Session::new(tenant, id, kept.state, other.then_some(kept.version), limit)?))
    }
}

impl RequestSession {
    /// Takes the context for the call. To be called once.
    pub(in crate::servable) fn scope(&mut self) -> CallContext {
        std::mem::take(&mut self.scope)
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
            let resumed = servable.sequences.resume().await;
            resumed.map_err(|error| error.into_infer_error(servable.factory().tenant()))?;
        }

        let (version, settings) = (servable.id().version, servable.settings());
        let save = self.session.as_ref().map(|owned| owned.save(servable, settings, version));

        let origin = tasks::TaskOrigin {
            model: servable.id().name.clone(),
            version,
            session: save.as_ref().map(|save| save.id.clone()),
            request: self.request_id.to_string(),
        };

        let kept = PendingCommit {
            sequences: servable.sequences.clone(),
            owner: self.session.map(|owned| owned.owner),
        };
        // Held until the write is done: the request, and the memory it is charged for, may be gone
        // by then.
        let place = servable.sequences.store.acquire_guest_permit().await;
        // Spawned, so that a commit that has begun completes even if the caller disconnects.
        let kept = tokio::spawn(async move {
            let _place = place;
            kept.write(save, origin, tasks).await
        });

        kept.await.map_err(|error| {
            InferError::Internal(format!("keeping a session ended early: {error}"))
        })?
    }
}

impl LockedSession {
    fn save(
        &self,
        servable: &Servable,
        settings: &ModelSettings,
        version: Version,
    ) -> sessions::SessionUpdate {
        let changed = self.session.take_changed();
        sessions::SessionUpdate {
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

/// A commit in progress, with the session's lock.
struct PendingCommit {
    sequences: Arc<ModelSessions>,
    owner: Option<SessionGuard>,
}

impl PendingCommit {
    async fn write(
        self,
        save: Option<sessions::SessionUpdate>,
        origin: tasks::TaskOrigin,
        left: Vec<tasks::NewTask>,
    ) -> Result<Option<AfterResponse>, InferError> {
        let (tenant, session) = (self.sequences.tenant.clone(), origin.session.clone());
        let write =
            self.sequences.store.write(move |connection| -> Result<Option<i64>, StoreError> {
                match &save {
                    // No task follows that needs the session.
                    Some(save) if save.ending && left.is_empty() => {
                        sessions::delete(connection, &save.model, &save.id)?;
                        crate::store::usage::record(connection, &tenant)?;
                    }
                    Some(save) => sessions::save(connection, &tenant, save)?,
                    None => {}
                }
                tasks::append(connection, &tenant, &origin, None, &left)
            });

        let chain = write.await.map_err(|error| error.into_infer_error(&self.sequences.tenant))?;
        Ok(chain.and_then(|chain| self.sequences.hand_over_chain(chain, session.zip(self.owner))))
    }
}
