//! What one request has to do with beyond its call: the session it owns, and what it leaves for
//! later.

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

/// What one request has to do with beyond its call. Dropping it leaves everything as it was.
pub(in crate::servable) struct Undertaking {
    request_id: RequestId,
    scope: Scope,
    session: Option<OwnedSession>,
    tasks: Option<Arc<Deferrals>>,
    /// How long it has waited for its session.
    pub(in crate::servable) waited: Duration,
}

struct OwnedSession {
    owner: Owner,
    session: Arc<Session>,
    /// Whatever there was of that name is forgotten.
    begins: bool,
    /// It is the last request.
    ends: bool,
}

impl Servable {
    /// Gets ready what a request needs beyond its call: waits for its session and finds its state.
    /// Costs nothing where the model keeps no sessions and leaves no tasks.
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

    /// Room for what a call leaves behind: as much as the model may, and no more than `at_most`.
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

    /// Where a request has a session, waits until everything that was left behind before the server
    /// was started has its own, and then for this request's turn.
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

    /// Finds what was kept of a session that is this request's now.
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

    /// What was kept of a session, for a call of this version.
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
    /// What the call has to do with; asked once.
    pub(in crate::servable) fn scope(&mut self) -> Scope {
        std::mem::take(&mut self.scope)
    }

    /// Keeps what the call has left: the state of its session, and its tasks, both or neither.
    /// Called once the call has succeeded and its answer is known to be valid.
    pub(in crate::servable) async fn keep(
        self,
        servable: &ServableHandle,
    ) -> Result<Option<Afterwards>, InferError> {
        let tasks = self.tasks.as_ref().map(|deferrals| deferrals.take()).unwrap_or_default();
        if self.session.is_none() && tasks.is_empty() {
            return Ok(None);
        }
        if self.session.is_none() {
            // Or its tasks might be found among those that were left behind, before its response is
            // on its way.
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
        // Held until it is written: by then the request may be gone, with the memory it counted as.
        let place = servable.sequences.store.place().await;
        // A task of its own: once it has begun it is carried through, also if the caller goes away.
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
            // What begins has a state of its own, be it none.
            state: changed.or(self.begins.then_some(None)),
            begins: self.begins,
            ending: self.ends,
            idle_timeout_ms: settings.sessions.idle_timeout.as_millis() as i64,
        }
    }
}

/// Writes what a call has left, and gives the session on.
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
                    // Nothing comes after it.
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
