//! A request's session and deferred tasks: loaded before the call, committed together after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::line::Owner;
use super::{Afterwards, ModelSequences};
use crate::capability::{Deferrals, Room, Scope, Session};
use crate::engine::Budget;
use crate::model::{InferError, ModelSettings, RequestId, Sequence, Version};
use crate::servable::{Servable, ServableHandle};
use crate::store::{StoreError, sessions, since_1970, tasks};
use crate::tenant::Resource;

/// A request's session and deferred tasks. Dropping it without a commit changes nothing.
pub(in crate::servable) struct Undertaking {
    request_id: RequestId,
    scope: Scope,
    session: Option<OwnedSession>,
    tasks: Option<Arc<Deferrals>>,
    /// Time spent waiting for the session's lock and loading its state.
    pub(in crate::servable) waited: Duration,
}

struct OwnedSession {
    owner: Owner,
    session: Arc<Session>,
    /// The request starts the session: an earlier state with the same id is discarded.
    begins: bool,
    /// The request ends the session.
    ends: bool,
}

impl Servable {
    /// Locks and loads the request's session and prepares its task list. Returns at once if the
    /// model uses neither sessions nor tasks. Fails with `InvalidInput` for an unknown session,
    /// with a queue error, or at the deadline.
    pub(in crate::servable) async fn undertake(
        self: &ServableHandle,
        sequence: Option<&Sequence>,
        budget: &Budget,
        scope: Scope,
    ) -> Result<Undertaking, InferError> {
        let template = self.template();
        let sequence = sequence.filter(|_| template.uses_sessions());
        if sequence.is_none() && !template.uses_tasks() {
            return Ok(Undertaking {
                request_id: scope.request_id.clone(),
                scope,
                session: None,
                tasks: None,
                waited: Duration::ZERO,
            });
        }

        let arrived = Instant::now();
        let owner =
            tokio::time::timeout_at(budget.deadline().into(), self.wait_for(sequence)).await;
        let owner = owner.map_err(|_elapsed| budget.deadline_exceeded())??;
        let session = match sequence.zip(owner) {
            Some((sequence, owner)) => Some(self.find(sequence, owner).await?),
            None => None,
        };

        let waited = arrived.elapsed();
        let tasks = if template.uses_tasks() { Some(self.deferrals(None)?) } else { None };

        let of_call = session.as_ref().map(|owned| owned.session.clone());
        let scope = Scope { session: of_call, tasks: tasks.clone(), ..scope };
        Ok(Undertaking { request_id: scope.request_id.clone(), scope, session, tasks, waited })
    }

    /// Returns an empty task list, limited by the model's settings and by `at_most`.
    pub(in crate::servable) fn deferrals(
        &self,
        at_most: Option<u32>,
    ) -> Result<Arc<Deferrals>, InferError> {
        let settings = &self.settings().deferred;
        let tasks = settings.per_call.min(at_most.unwrap_or(u32::MAX));

        let room =
            self.template().has_deferred().then_some(Room { tasks, payload: settings.payload });
        Ok(Arc::new(Deferrals::new(self.maker().tenant(), room)?))
    }

    /// Waits for the session's lock. The pending chains of an earlier run lock their sessions
    /// first.
    async fn wait_for(&self, sequence: Option<&Sequence>) -> Result<Option<Owner>, InferError> {
        let (sequences, tenant) = (&self.sequences, self.maker().tenant());
        let Some(Sequence { id, .. }) = sequence else { return Ok(None) };
        sequences.resume().await.map_err(|error| error.for_request(tenant))?;
        if let Some(owner) = sequences.line.try_own(id) {
            return Ok(Some(owner));
        }
        let _in_queue = self.pool.place_in_queue()?;
        let _in_tenant_s = tenant.take(Resource::Queue, 1)?;
        Ok(Some(sequences.line.own(id).await))
    }

    /// Loads the state of a session that this request has locked.
    async fn find(&self, sequence: &Sequence, owner: Owner) -> Result<OwnedSession, InferError> {
        let sequences = &self.sequences;
        let (model, id) = (sequences.model.clone(), sequence.id.clone());
        let load = move |connection: &_| sessions::load(connection, &model, &id, since_1970());
        let kept = sequences
            .store
            .read(load)
            .await
            .map_err(|error| error.for_request(&sequences.tenant))?;

        if kept.is_none() && !sequence.start {
            return Err(InferError::InvalidInput(format!(
                "there is no session '{}', or its time is over; set sequence_start to begin one",
                sequence.id
            )));
        }
        let session = self
            .session(sequence.id.clone(), kept.filter(|_| !sequence.start).unwrap_or_default())?;
        Ok(OwnedSession { owner, session, begins: sequence.start, ends: sequence.end })
    }

    /// Returns the capability's view of a stored session, for a call of this version.
    pub(in crate::servable) fn session(
        &self,
        id: String,
        kept: sessions::Kept,
    ) -> Result<Arc<Session>, InferError> {
        let other =
            kept.version != self.id().version.number() && self.template().has_session_migration();
        let (tenant, limit) = (self.maker().tenant(), self.settings().sessions.max_size);
        Ok(Arc::new(Session::new(tenant, id, kept.state, other.then_some(kept.version), limit)?))
    }
}

impl Undertaking {
    /// Takes the context for the call. To be called once.
    pub(in crate::servable) fn scope(&mut self) -> Scope {
        std::mem::take(&mut self.scope)
    }

    /// Commits the session's state and the deferred tasks in one transaction. To be called after
    /// the call has succeeded and its response is valid.
    pub(in crate::servable) async fn keep(
        self,
        servable: &ServableHandle,
    ) -> Result<Option<Afterwards>, InferError> {
        let tasks = self.tasks.as_ref().map(|deferrals| deferrals.take()).unwrap_or_default();
        if self.session.is_none() && tasks.is_empty() {
            return Ok(None);
        }
        if self.session.is_none() {
            // Otherwise `resume` could find the new tasks on disk and run them before the response
            // is sent.
            let resumed = servable.sequences.resume().await;
            resumed.map_err(|error| error.for_request(servable.maker().tenant()))?;
        }

        let (version, settings) = (servable.id().version, servable.settings());
        let save = self.session.as_ref().map(|owned| owned.save(servable, settings, version));

        let origin = tasks::Origin {
            model: servable.id().name.clone(),
            version,
            session: save.as_ref().map(|save| save.id.clone()),
            request: self.request_id.to_string(),
        };

        let kept = Kept {
            sequences: servable.sequences.clone(),
            owner: self.session.map(|owned| owned.owner),
        };
        // Held until the write is done: the request, and the memory it is charged for, may be gone
        // by then.
        let place = servable.sequences.store.place().await;
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

impl OwnedSession {
    fn save(
        &self,
        servable: &Servable,
        settings: &ModelSettings,
        version: Version,
    ) -> sessions::Save {
        let changed = self.session.take_changed();
        sessions::Save {
            model: servable.id().name.clone(),
            id: self.session.id().to_owned(),
            version,
            // A started session has a state of its own, even an empty one.
            state: changed.or(self.begins.then_some(None)),
            begins: self.begins,
            ending: self.ends,
            idle_timeout_ms: settings.sessions.idle_timeout.as_millis() as i64,
        }
    }
}

/// A commit in progress, with the session's lock.
struct Kept {
    sequences: Arc<ModelSequences>,
    owner: Option<Owner>,
}

impl Kept {
    async fn write(
        self,
        save: Option<sessions::Save>,
        origin: tasks::Origin,
        left: Vec<tasks::NewTask>,
    ) -> Result<Option<Afterwards>, InferError> {
        let (tenant, session) = (self.sequences.tenant.clone(), origin.session.clone());
        let write =
            self.sequences.store.write(move |connection| -> Result<Option<i64>, StoreError> {
                match &save {
                    // No task follows that needs the session.
                    Some(save) if save.ending && left.is_empty() => {
                        sessions::remove(connection, &save.model, &save.id)?;
                        crate::store::totals::note(connection, &tenant)?;
                    }
                    Some(save) => sessions::save(connection, &tenant, save)?,
                    None => {}
                }
                tasks::add(connection, &tenant, &origin, None, &left)
            });

        let chain = write.await.map_err(|error| error.for_request(&self.sequences.tenant))?;
        Ok(chain.and_then(|chain| self.sequences.hand_over(chain, session.zip(self.owner))))
    }
}
