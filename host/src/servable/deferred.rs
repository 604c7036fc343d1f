//! One try of a task that was left for later.
//!
//! It is counted on disk once everything is there that it needs, and before it begins: so a task
//! that ends the whole process is not tried for ever, and one that only waits for an instance is
//! not tried at all. What it leaves behind is kept in one transaction with its being done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::direct::begin;
use super::pool::Checkout;
use super::{Outcome, ServableHandle, TaskChain};
use crate::capability::{Scope, clean};
use crate::engine::{Budget, Call, Template};
use crate::model::{InferError, RequestId};
use crate::store::{StoreError, sessions, since_1970, tasks, totals};
use crate::tenant::Tenant;

/// What has come of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
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
const MAX_CHAIN: u32 = 256;

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// How long to wait before something is written again that could not be.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// The longest text kept of why a try failed, in bytes.
const MAX_ERROR: usize = 1000;

impl super::Servable {
    /// Tries a task of that chain. An error means that it was not tried and nothing has changed.
    /// Dropping the future ends the try; it counts all the same.
    pub async fn try_task(
        self: &ServableHandle,
        chain: &TaskChain,
        task: i64,
    ) -> Result<Tried, InferError> {
        let settings = &self.settings().deferred;
        let budget = Budget::new(Instant::now(), settings.deadline, settings.cpu_time);
        let checkout = self.pool.check_out(&self.maker, &budget).await?;
        let limit = settings.tries;
        let begin_try = move |connection: &_| tasks::begin_try(connection, task, limit);
        let due =
            match chain.store().write(begin_try).await.map_err(|error| chain.in_store(error))? {
                tasks::Begun::Try(due) => *due,
                tasks::Begun::Gone => return Ok(Tried::Cancelled),
                tasks::Begun::GivenUp => return self.after_crash(chain).await,
            };
        let running = Running {
            servable: self.clone(),
            task,
            tries: due.tries,
            chain_length: due.chain_length,
        };
        let (scope, ran) = self.run_task(chain, checkout, budget, due).await;
        Ok(running.conclude(chain, scope, ran).await)
    }

    /// The last try has ended the process; what comes after a task that was given up comes now.
    async fn after_crash(&self, chain: &TaskChain) -> Result<Tried, InferError> {
        let (id, session, tenant) =
            (chain.id(), chain.session().map(str::to_owned), chain.tenant().clone());
        let model = chain.model().clone();
        let end = move |connection: &_| {
            if let Some(session) = &session {
                tasks::end_chain(connection, id, model.as_str(), session)?;
            }
            totals::note(connection, &tenant)
        };
        chain.store().write(end).await.map_err(|error| chain.in_store(error))?;
        chain.count(Outcome::Failed);
        Ok(Tried::GivenUp)
    }

    async fn run_task(
        self: &ServableHandle,
        chain: &TaskChain,
        checkout: Checkout,
        budget: Budget,
        due: tasks::Due,
    ) -> (Arc<Scope>, Ran) {
        let scope = match self.task_scope(chain, &due) {
            Ok(scope) => scope,
            Err(error) => return (Arc::default(), Ran::of(Err(error))),
        };
        let call = self.maker.call(budget, scope);
        let work = work(self.template().clone(), checkout, call.clone(), due);
        // Nobody waits for it: it has no business on a thread that serves HTTP.
        let outcome = self.maker.threads.run_long(&call, work).await;
        (call.scope, Ran::of(outcome))
    }

    fn task_scope(&self, chain: &TaskChain, due: &tasks::Due) -> Result<Scope, InferError> {
        let session = match (chain.session(), &due.session) {
            (Some(id), Some(kept)) => Some(self.session(id.to_owned(), kept.clone())?),
            _ => None,
        };
        let left = MAX_CHAIN.saturating_sub(due.chain_length);
        let request_id = RequestId::new(due.request.clone().into()).unwrap_or_default();
        Ok(Scope {
            request_id,
            session,
            tasks: Some(self.deferrals(Some(left))?),
            ..Scope::default()
        })
    }
}

async fn work(
    template: Template,
    Checkout { source, place }: Checkout,
    call: Call,
    due: tasks::Due,
) -> Result<Result<(), InferError>, InferError> {
    let mut instance = begin(source, &template, call).await?;
    let outcome = match instance.bring_session_forward().await {
        Ok(()) => instance.run_deferred(&due.name, &due.payload).await,
        Err(error) => Err(error),
    };
    place.give_back(instance);
    Ok(outcome)
}

/// How a try ended.
enum Ran {
    /// It began, and may have done something before it failed.
    Ended(Result<(), InferError>),
    /// The host had no room for it.
    NoRoom,
}

impl Ran {
    fn of(outcome: Result<Result<(), InferError>, InferError>) -> Self {
        match outcome {
            Ok(outcome) => Ran::Ended(outcome),
            Err(InferError::Overloaded | InferError::QuotaExceeded(_)) => Ran::NoRoom,
            Err(error) => Ran::Ended(Err(error)),
        }
    }
}

/// A try that has begun.
struct Running {
    servable: ServableHandle,
    task: i64,
    tries: u32,
    chain_length: u32,
}

/// What is to be written at the end of a try.
struct End {
    task: i64,
    chain: (i64, u32),
    tenant: Arc<Tenant>,
    origin: tasks::Origin,
    outcome: Ended,
}

enum Ended {
    Done {
        save: Option<sessions::Save>,
        left: Vec<tasks::NewTask>,
    },
    Again {
        due: i64,
        error: String,
    },
    GivenUp {
        save: Option<sessions::Save>,
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
    fn is_bounded(&self) -> bool {
        match self {
            Ended::Done { .. } => false,
            Ended::Again { error, .. } | Ended::GivenUp { error, .. } => error.is_empty(),
            Ended::NotTried { .. } => true,
        }
    }

    fn without_text(mut self) -> Self {
        if let Ended::Again { error, .. } | Ended::GivenUp { error, .. } = &mut self {
            error.clear();
        }
        self
    }
}

impl Running {
    async fn conclude(&self, chain: &TaskChain, scope: Arc<Scope>, ran: Ran) -> Tried {
        let ended = match ran {
            Ran::Ended(Ok(())) => self.done(&scope),
            Ran::Ended(Err(error)) => self.failed(chain, &error),
            Ran::NoRoom => Ended::NotTried { due: self.due() },
        };
        let tried = self.write(chain, scope, ended).await;
        match tried {
            Tried::Done => chain.count(Outcome::Done),
            Tried::Again => chain.count(Outcome::Retried),
            Tried::GivenUp => chain.count(Outcome::Failed),
            // Counted by whoever has cancelled it.
            Tried::Cancelled => {}
        }
        tried
    }

    fn done(&self, scope: &Scope) -> Ended {
        let save =
            scope.session.as_ref().map(|session| self.save(session.id(), session.take_changed()));
        Ended::Done {
            save,
            left: scope.tasks.as_ref().map(|tasks| tasks.take()).unwrap_or_default(),
        }
    }

    fn save(&self, id: &str, state: Option<Option<Vec<u8>>>) -> sessions::Save {
        sessions::Save {
            model: self.servable.id().name.clone(),
            id: id.to_owned(),
            version: self.servable.id().version,
            state,
            begins: false,
            ending: false,
            idle_timeout_ms: self.servable.settings().sessions.idle_timeout.as_millis() as i64,
        }
    }

    fn failed(&self, chain: &TaskChain, error: &InferError) -> Ended {
        let (task, tries, limit) = (self.task, self.tries, self.servable.settings().deferred.tries);
        let (tenant, model, detail) = (chain.tenant().name(), chain.model(), error.private());
        tracing::warn!(%tenant, %model, task, tries, limit, %error, detail, "a deferred task failed");
        let error = clean(error.private().unwrap_or(&error.to_string()), MAX_ERROR);
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
        since_1970().saturating_add(pause.as_millis() as i64)
    }

    /// Writes what has come of it, however long that takes: otherwise it would be done again.
    async fn write(&self, chain: &TaskChain, scope: Arc<Scope>, mut outcome: Ended) -> Tried {
        loop {
            let end = Arc::new(self.end(chain, &scope, outcome));
            let write = end.clone();
            let write = move |connection: &_| write.write(connection);
            let written = match end.outcome.is_bounded() {
                true => chain.store().write_regardless(write).await,
                false => chain.store().write(write).await,
            };
            let error = match written {
                Ok(tried) => return tried,
                Err(error) => error,
            };
            let (tenant, model, task) = (chain.tenant().name(), chain.model(), self.task);
            tracing::warn!(%tenant, %model, task, %error, "cannot write what has come of a deferred task");
            let no_room = matches!(error, StoreError::Full | StoreError::Refused(_));
            // Nobody else has it by now, unless the store has lost a job and may still hold it.
            let Ok(End { outcome: same, .. }) = Arc::try_unwrap(end).map_err(drop) else {
                return Tried::Again;
            };
            outcome = match same {
                // Written at once as something smaller.
                Ended::Done { .. } if no_room => self.failed(chain, &chain.in_store(error)),
                same if no_room && !same.is_bounded() => same.without_text(),
                same => {
                    tokio::time::sleep(WRITE_AGAIN).await;
                    same
                }
            };
        }
    }

    fn end(&self, chain: &TaskChain, scope: &Scope, outcome: Ended) -> End {
        let id = self.servable.id();
        let origin = tasks::Origin {
            model: id.name.clone(),
            version: id.version,
            session: chain.session().map(str::to_owned),
            request: scope.request_id.to_string(),
        };
        let (task, tenant) = (self.task, chain.tenant().clone());
        End { task, chain: (chain.id(), self.chain_length), tenant, origin, outcome }
    }
}

impl End {
    fn write(&self, connection: &Connection) -> Result<Tried, StoreError> {
        if tasks::get(connection, self.task)?.is_none() {
            return Ok(Tried::Cancelled);
        }
        let tried = match &self.outcome {
            Ended::Done { save, left } => {
                save_session(connection, save.as_ref())?;
                // First, so that it makes room for what it leaves.
                tasks::remove(connection, self.task)?;
                tasks::add(connection, &self.tenant, &self.origin, Some(self.chain), left)?;
                Tried::Done
            }
            Ended::Again { due, error } => {
                tasks::try_again(connection, self.task, *due, error)?;
                Tried::Again
            }
            Ended::GivenUp { save, error } => {
                save_session(connection, save.as_ref())?;
                tasks::give_up(connection, self.task, error)?;
                Tried::GivenUp
            }
            Ended::NotTried { due } => {
                tasks::take_back_try(connection, self.task, *due)?;
                return Ok(Tried::Again);
            }
        };
        if let Some(session) = &self.origin.session {
            tasks::end_chain(connection, self.chain.0, self.origin.model.as_str(), session)?;
        }
        totals::note(connection, &self.tenant)?;
        Ok(tried)
    }
}

fn save_session(connection: &Connection, save: Option<&sessions::Save>) -> Result<(), StoreError> {
    save.map_or(Ok(()), |save| sessions::save_after_task(connection, save))
}
