//! One try of a task that was left for later.
//!
//! It is counted on disk once everything is there that it needs, and before it begins: so a task
//! that ends the whole process is not tried for ever, and one that only waits for an instance is
//! not tried at all. What it leaves behind is kept in one transaction with its being done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::infer::acquire_instance;
use super::pool::Checkout;
use super::{ServableHandle, TaskChain, TaskOutcome};
use crate::capability::{CallContext, sanitize_line};
use crate::engine::{Budget, Call, Template};
use crate::model::{InferError, RequestId};
use crate::store::{StoreError, sessions, tasks, unix_millis, usage};
use crate::tenant::Tenant;

/// What has come of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryOutcome {
    /// The task is done.
    Done,
    /// It failed, and is to be tried again.
    Again,
    /// It failed for the last time.
    GivenUp,
    /// It was cancelled.
    Cancelled,
}

/// Tasks that all calls of one chain may leave behind together, so that none goes on for ever.
const MAX_CHAIN_TASKS: u32 = 256;

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// How long to wait before something is written again that could not be.
const WRITE_RETRY: Duration = Duration::from_secs(1);

/// The longest text kept of why a try failed, in bytes.
const MAX_ERROR: usize = 1000;

impl super::Servable {
    /// Tries a task of that chain. An error means that it was not tried and nothing has changed.
    /// Dropping the future ends the try; it counts all the same.
    pub async fn try_task(
        self: &ServableHandle,
        chain: &TaskChain,
        task: i64,
    ) -> Result<TryOutcome, InferError> {
        let settings = &self.settings().deferred;
        let budget = Budget::new(Instant::now(), settings.deadline, settings.cpu_time);
        let checkout = self.pool.check_out(&self.maker, &budget).await?;
        let limit = settings.tries;
        let begin_try = move |connection: &_| tasks::begin_try(connection, task, limit);
        let due =
            match chain.store().write(begin_try).await.map_err(|error| chain.store_error(error))? {
                tasks::TryStart::Started(due) => *due,
                tasks::TryStart::Cancelled => return Ok(TryOutcome::Cancelled),
                tasks::TryStart::Failed => return self.give_up_after_crash(chain).await,
            };
        let running = RunningTry {
            servable: self.clone(),
            task,
            tries: due.tries,
            chain_length: due.chain_length,
        };
        let (scope, ran) = self.run_task(chain, checkout, budget, due).await;
        Ok(running.conclude(chain, scope, ran).await)
    }

    /// The last try has ended the process; what comes after a task that was given up comes now.
    async fn give_up_after_crash(&self, chain: &TaskChain) -> Result<TryOutcome, InferError> {
        let (id, session, tenant) =
            (chain.id(), chain.session().map(str::to_owned), chain.tenant().clone());
        let model = chain.model().clone();
        let end = move |connection: &_| {
            if let Some(session) = &session {
                tasks::delete_ended_session(connection, id, model.as_str(), session)?;
            }
            usage::record(connection, &tenant)
        };
        chain.store().write(end).await.map_err(|error| chain.store_error(error))?;
        chain.record_outcome(TaskOutcome::Failed);
        Ok(TryOutcome::GivenUp)
    }

    async fn run_task(
        self: &ServableHandle,
        chain: &TaskChain,
        checkout: Checkout,
        budget: Budget,
        due: tasks::DueTask,
    ) -> (Arc<CallContext>, RunOutcome) {
        let scope = match self.task_scope(chain, &due) {
            Ok(scope) => scope,
            Err(error) => return (Arc::default(), RunOutcome::of(Err(error))),
        };
        let call = self.maker.call(budget, scope);
        let work = work(self.template().clone(), checkout, call.clone(), due);
        // Nobody waits for it: it has no business on a thread that serves HTTP.
        let outcome = self.maker.threads.run_long(&call, work).await;
        (call.context, RunOutcome::of(outcome))
    }

    fn task_scope(
        &self,
        chain: &TaskChain,
        due: &tasks::DueTask,
    ) -> Result<CallContext, InferError> {
        let session = match (chain.session(), &due.session) {
            (Some(id), Some(kept)) => Some(self.session(id.to_owned(), kept.clone())?),
            _ => None,
        };
        let left = MAX_CHAIN_TASKS.saturating_sub(due.chain_length);
        let request_id = RequestId::new(due.request.clone().into()).unwrap_or_default();
        Ok(CallContext {
            request_id,
            session,
            tasks: Some(self.new_deferrals(Some(left))?),
            ..CallContext::default()
        })
    }
}

async fn work(
    template: Template,
    Checkout { source, place }: Checkout,
    call: Call,
    due: tasks::DueTask,
) -> Result<Result<(), InferError>, InferError> {
    let mut instance = acquire_instance(source, &template, call).await?;
    let outcome = match instance.migrate_session_state().await {
        Ok(()) => instance.run_deferred(&due.name, &due.payload).await,
        Err(error) => Err(error),
    };
    place.give_back(instance);
    Ok(outcome)
}

/// How a try ended.
enum RunOutcome {
    /// It began, and may have done something before it failed.
    Ended(Result<(), InferError>),
    /// The host had no room for it.
    NoRoom,
}

impl RunOutcome {
    fn of(outcome: Result<Result<(), InferError>, InferError>) -> Self {
        match outcome {
            Ok(outcome) => RunOutcome::Ended(outcome),
            Err(InferError::Overloaded | InferError::QuotaExceeded(_)) => RunOutcome::NoRoom,
            Err(error) => RunOutcome::Ended(Err(error)),
        }
    }
}

/// A try that has begun.
struct RunningTry {
    servable: ServableHandle,
    task: i64,
    tries: u32,
    chain_length: u32,
}

/// What is to be written at the end of a try.
struct TryRecord {
    task: i64,
    chain: (i64, u32),
    tenant: Arc<Tenant>,
    origin: tasks::TaskOrigin,
    outcome: Ended,
}

enum Ended {
    Done {
        save: Option<sessions::SessionUpdate>,
        left: Vec<tasks::NewTask>,
    },
    Again {
        due: i64,
        error: String,
    },
    GivenUp {
        save: Option<sessions::SessionUpdate>,
        error: String,
    },
    /// It was counted, but the host had no room to run it.
    NotTried {
        due: i64,
    },
}

impl Ended {
    /// Whether it takes no more room than what is there of the task. That much is written even if
    /// there is none, or the task would be held, with its session, until somebody makes some.
    fn needs_no_room(&self) -> bool {
        match self {
            Ended::Done { .. } => false,
            Ended::Again { error, .. } | Ended::GivenUp { error, .. } => error.is_empty(),
            Ended::NotTried { .. } => true,
        }
    }

    fn without_error_text(mut self) -> Self {
        if let Ended::Again { error, .. } | Ended::GivenUp { error, .. } = &mut self {
            error.clear();
        }
        self
    }
}

impl RunningTry {
    async fn conclude(
        &self,
        chain: &TaskChain,
        scope: Arc<CallContext>,
        ran: RunOutcome,
    ) -> TryOutcome {
        let ended = match ran {
            RunOutcome::Ended(Ok(())) => self.done(&scope),
            RunOutcome::Ended(Err(error)) => self.failed(chain, &error),
            RunOutcome::NoRoom => Ended::NotTried { due: self.due() },
        };
        let tried = self.write(chain, scope, ended).await;
        match tried {
            TryOutcome::Done => chain.record_outcome(TaskOutcome::Done),
            TryOutcome::Again => chain.record_outcome(TaskOutcome::Retried),
            TryOutcome::GivenUp => chain.record_outcome(TaskOutcome::Failed),
            // Counted by whoever has cancelled it.
            TryOutcome::Cancelled => {}
        }
        tried
    }

    fn done(&self, scope: &CallContext) -> Ended {
        let save =
            scope.session.as_ref().map(|session| self.save(session.id(), session.take_changed()));
        Ended::Done {
            save,
            left: scope.tasks.as_ref().map(|tasks| tasks.take()).unwrap_or_default(),
        }
    }

    fn save(&self, id: &str, state: Option<Option<Vec<u8>>>) -> sessions::SessionUpdate {
        sessions::SessionUpdate {
            model: self.servable.id().name.clone(),
            id: id.to_owned(),
            version: self.servable.id().version,
            state,
            starts: false,
            ending: false,
            idle_timeout_ms: self.servable.settings().sessions.idle_timeout.as_millis() as i64,
        }
    }

    fn failed(&self, chain: &TaskChain, error: &InferError) -> Ended {
        let (task, tries, limit) = (self.task, self.tries, self.servable.settings().deferred.tries);
        let (tenant, model, detail) =
            (chain.tenant().name(), chain.model(), error.private_detail());
        tracing::warn!(%tenant, %model, task, tries, limit, %error, detail, "a deferred task failed");
        let error = sanitize_line(error.private_detail().unwrap_or(&error.to_string()), MAX_ERROR);
        if tries < limit {
            return Ended::Again { due: self.due(), error };
        }
        // Whoever has waited for it finds the session as it was, and not at the end of its time.
        Ended::GivenUp { save: chain.session().map(|id| self.save(id, None)), error }
    }

    /// When it is to be tried again: after a pause that is doubled with each try.
    fn due(&self) -> i64 {
        let doubled = 2_u32.saturating_pow(self.tries.saturating_sub(1));
        let pause = self.servable.settings().deferred.pause.saturating_mul(doubled).min(MAX_PAUSE);
        unix_millis().saturating_add(pause.as_millis() as i64)
    }

    /// Writes what has come of it, however long that takes: otherwise it would be done again.
    async fn write(
        &self,
        chain: &TaskChain,
        scope: Arc<CallContext>,
        mut outcome: Ended,
    ) -> TryOutcome {
        loop {
            let end = Arc::new(self.end(chain, &scope, outcome));
            let write = end.clone();
            let write = move |connection: &_| write.write(connection);
            let written = match end.outcome.needs_no_room() {
                true => chain.store().write_over_quota(write).await,
                false => chain.store().write(write).await,
            };
            let error = match written {
                Ok(tried) => return tried,
                Err(error) => error,
            };
            let (tenant, model, task) = (chain.tenant().name(), chain.model(), self.task);
            tracing::warn!(%tenant, %model, task, %error, "cannot write what has come of a deferred task");
            let no_room = matches!(error, StoreError::Full | StoreError::QuotaExceeded(_));
            // Nobody else has it by now, unless the store has lost a job and may still hold it.
            let Ok(TryRecord { outcome: same, .. }) = Arc::try_unwrap(end).map_err(drop) else {
                return TryOutcome::Again;
            };
            outcome = match same {
                // Written at once as something smaller.
                Ended::Done { .. } if no_room => self.failed(chain, &chain.store_error(error)),
                same if no_room && !same.needs_no_room() => same.without_error_text(),
                same => {
                    tokio::time::sleep(WRITE_RETRY).await;
                    same
                }
            };
        }
    }

    fn end(&self, chain: &TaskChain, scope: &CallContext, outcome: Ended) -> TryRecord {
        let id = self.servable.id();
        let origin = tasks::TaskOrigin {
            model: id.name.clone(),
            version: id.version,
            session: chain.session().map(str::to_owned),
            request: scope.request_id.to_string(),
        };
        let (task, tenant) = (self.task, chain.tenant().clone());
        TryRecord { task, chain: (chain.id(), self.chain_length), tenant, origin, outcome }
    }
}

impl TryRecord {
    fn write(&self, connection: &Connection) -> Result<TryOutcome, StoreError> {
        if tasks::get(connection, self.task)?.is_none() {
            return Ok(TryOutcome::Cancelled);
        }
        let tried = match &self.outcome {
            Ended::Done { save, left } => {
                save_session(connection, save.as_ref())?;
                // First, so that it makes room for what it leaves.
                tasks::delete(connection, self.task)?;
                tasks::append(connection, &self.tenant, &self.origin, Some(self.chain), left)?;
                TryOutcome::Done
            }
            Ended::Again { due, error } => {
                tasks::schedule_retry(connection, self.task, *due, error)?;
                TryOutcome::Again
            }
            Ended::GivenUp { save, error } => {
                save_session(connection, save.as_ref())?;
                tasks::mark_failed(connection, self.task, error)?;
                TryOutcome::GivenUp
            }
            Ended::NotTried { due } => {
                tasks::undo_try(connection, self.task, *due)?;
                return Ok(TryOutcome::Again);
            }
        };
        if let Some(session) = &self.origin.session {
            tasks::delete_ended_session(
                connection,
                self.chain.0,
                self.origin.model.as_str(),
                session,
            )?;
        }
        usage::record(connection, &self.tenant)?;
        Ok(tried)
    }
}

fn save_session(
    connection: &Connection,
    save: Option<&sessions::SessionUpdate>,
) -> Result<(), StoreError> {
    save.map_or(Ok(()), |save| sessions::save_after_task(connection, save))
}
