//! One try of a deferred task.
//!
//! A try is counted on disk once an instance is available, and before its call begins. A task that
//! ends the process is therefore not tried for ever, and a wait for an instance does not count.
//! The results of a task are committed in one transaction with its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::guest_call::StartOn;
use super::pool::Checkout;
use super::{Servable, ServableHandle, TaskChain, TaskOutcome};
use crate::capability::{CallContext, sanitize_line};
use crate::engine::{Budget, Instance};
use crate::model::{InferError, RequestId};
use crate::store::sessions::SessionUpdate;
use crate::store::tasks::{DueTask, TaskOrigin, TryEnd, TryRecord, TryStart};
use crate::store::{StoreError, unix_millis};

/// Limit on the tasks that all calls of one chain may defer together, so that every chain ends.
const MAX_CHAIN_TASKS: u32 = 256;

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// Delay before a result that could not be written is written again.
const WRITE_RETRY: Duration = Duration::from_secs(1);

/// Limit on the stored error of a try, in bytes.
const MAX_ERROR: usize = 1000;

impl Servable {
    /// Tries a task of a chain. An error means that the task was not tried and nothing has changed.
    /// Dropping the future ends the try, which counts all the same.
    pub async fn try_task(
        self: &ServableHandle,
        chain: &TaskChain,
        task: i64,
    ) -> Result<TaskOutcome, InferError> {
        let settings = &self.settings().deferred;
        let budget = Budget::new(Instant::now(), settings.deadline, settings.cpu_time);
        let checkout = self.pool.check_out(&self.factory, &budget).await?;

        let started = chain.store().begin_try(task, settings.tries).await;
        let due = match started.map_err(|error| chain.store_error(error))? {
            TryStart::Started(due) => *due,
            TryStart::Cancelled => return Ok(TaskOutcome::Cancelled),
            TryStart::Failed => return self.fail_after_crash(chain).await,
        };

        let running = RunningTry {
            servable: self.clone(),
            task,
            tries: due.tries,
            chain_length: due.chain_length,
        };
        let (context, run) = self.run_task(chain, checkout, budget, due).await;
        Ok(running.conclude(chain, context, run).await)
    }

    /// Ends the chain of a task that has failed because its last try ended the process.
    async fn fail_after_crash(&self, chain: &TaskChain) -> Result<TaskOutcome, InferError> {
        let session = chain.session().map(str::to_owned);
        let ended = chain.store().end_chain(chain.id(), chain.model().clone(), session).await;
        ended.map_err(|error| chain.store_error(error))?;

        chain.record_outcome(TaskOutcome::Failed);
        Ok(TaskOutcome::Failed)
    }

    /// Makes the task's call. Returns its context, which holds the new state of the session and the
    /// tasks that it deferred.
    async fn run_task(
        &self,
        chain: &TaskChain,
        checkout: Checkout,
        budget: Budget,
        mut due: DueTask,
    ) -> (Arc<CallContext>, TaskRun) {
        let context = match self.task_context(chain, &mut due) {
            Ok(context) => context,
            Err(error) => return (Arc::default(), TaskRun::from_call(Err(error))),
        };
        let call = self.factory.call(budget, context);
        let context = call.context.clone();

        let body = async move |mut instance: Instance, _| {
            let outcome = instance.run_deferred(&due.name, &due.payload).await;
            (instance, outcome)
        };
        let finish = async |outcome: Result<(), InferError>| Ok(outcome);
        let called = self.run_on_instance(checkout, call, StartOn::GuestThread, body, finish).await;
        (context, TaskRun::from_call(called.map(|called| called.outcome)))
    }

    fn task_context(
        &self,
        chain: &TaskChain,
        due: &mut DueTask,
    ) -> Result<CallContext, InferError> {
        let session = match (chain.session(), due.session.take()) {
            (Some(id), Some(stored)) => Some(self.new_session(id.to_owned(), stored)?),
            _ => None,
        };
        let left = MAX_CHAIN_TASKS.saturating_sub(due.chain_length);
        let request_id = RequestId::new(due.request.clone().into()).unwrap_or_default();

        Ok(CallContext {
            request_id,
            session,
            tasks: Some(self.new_deferred_tasks(Some(left))?),
            ..CallContext::default()
        })
    }
}

/// The result of a task's call.
enum TaskRun {
    /// The call began, and may have had effects before it failed.
    Ended(Result<(), InferError>),
    /// The host or the tenant had no room for the call.
    NoRoom,
}

impl TaskRun {
    /// Converts the result of a call. The outer error is of the host, the inner one of the guest.
    fn from_call(outcome: Result<Result<(), InferError>, InferError>) -> Self {
        match outcome {
            Ok(outcome) => TaskRun::Ended(outcome),
            Err(InferError::Overloaded | InferError::QuotaExceeded(_)) => TaskRun::NoRoom,
            Err(error) => TaskRun::Ended(Err(error)),
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

impl RunningTry {
    /// Writes the end of the try and counts the outcome. A cancelled task was counted by its
    /// cancellation.
    async fn conclude(
        &self,
        chain: &TaskChain,
        context: Arc<CallContext>,
        run: TaskRun,
    ) -> TaskOutcome {
        let end = match run {
            TaskRun::Ended(Ok(())) => self.done(&context),
            TaskRun::Ended(Err(error)) => self.failed(chain, &error),
            TaskRun::NoRoom => TryEnd::NotTried { due: self.next_due() },
        };

        let outcome = self.write(chain, &context, end).await;
        if outcome != TaskOutcome::Cancelled {
            chain.record_outcome(outcome);
        }
        outcome
    }

    fn done(&self, context: &CallContext) -> TryEnd {
        let session = context.session.as_ref();
        let update =
            session.map(|session| self.session_update(session.id(), session.take_changed()));
        let deferred = context.tasks.as_ref().map(|tasks| tasks.take()).unwrap_or_default();

        TryEnd::Done { update, deferred }
    }

    /// Logs a failure, and returns the end of the try: a retry, or the failure of the task.
    fn failed(&self, chain: &TaskChain, error: &InferError) -> TryEnd {
        let task = self.task;
        let tries = self.tries;
        let limit = self.servable.settings().deferred.tries;
        let tenant = chain.tenant().name();
        let model = chain.model();
        let detail = error.private_detail();
        tracing::warn!(%tenant, %model, task, tries, limit, %error, detail, "a deferred task failed");

        let error = sanitize_line(detail.unwrap_or(&error.to_string()), MAX_ERROR);
        if tries < limit {
            return TryEnd::Retry { due: self.next_due(), error };
        }
        // Without a new state the update only extends the session, which has waited for the task.
        let update = chain.session().map(|id| self.session_update(id, None));
        TryEnd::Failed { update, error }
    }

    fn session_update(&self, id: &str, state: Option<Option<Vec<u8>>>) -> SessionUpdate {
        let servable = &self.servable;
        SessionUpdate {
            model: servable.id().name.clone(),
            id: id.to_owned(),
            version: servable.id().version,
            state,
            starts: false,
            ending: false,
            idle_timeout_ms: servable.settings().sessions.idle_timeout.as_millis() as i64,
        }
    }

    /// The time of the next try. The pause before it doubles with each try.
    fn next_due(&self) -> i64 {
        let doubled = 2_u32.saturating_pow(self.tries.saturating_sub(1));
        let pause = self.servable.settings().deferred.pause.saturating_mul(doubled).min(MAX_PAUSE);
        unix_millis().saturating_add(pause.as_millis() as i64)
    }

    /// Writes the end of the try, however long that takes: otherwise the task would run again.
    async fn write(
        &self,
        chain: &TaskChain,
        context: &CallContext,
        mut end: TryEnd,
    ) -> TaskOutcome {
        loop {
            let record = Arc::new(self.record(chain, context, end));
            let error = match write_record(chain, &record).await {
                Ok(outcome) => return outcome,
                Err(error) => error,
            };

            let tenant = chain.tenant().name();
            let model = chain.model();
            let task = self.task;
            tracing::warn!(%tenant, %model, task, %error, "cannot write the end of a try");

            // The store has dropped its reference, unless it lost the job and may still run it.
            let Some(record) = Arc::into_inner(record) else { return TaskOutcome::Retried };
            end = self.smaller_end(chain, record.end, error).await;
        }
    }

    /// Returns the end to write after `error`: a smaller one at once if there is no room, or the
    /// same one after a delay.
    async fn smaller_end(&self, chain: &TaskChain, end: TryEnd, error: StoreError) -> TryEnd {
        let over_quota = matches!(error, StoreError::Full | StoreError::QuotaExceeded(_));
        let no_room = over_quota || error == StoreError::DiskFull;
        match end {
            TryEnd::Done { .. } if over_quota => self.failed(chain, &chain.store_error(error)),
            TryEnd::Retry { ref error, .. } | TryEnd::Failed { ref error, .. }
                if no_room && !error.is_empty() =>
            {
                end.without_error_text()
            }
            end => {
                tokio::time::sleep(WRITE_RETRY).await;
                end
            }
        }
    }

    fn record(&self, chain: &TaskChain, context: &CallContext, end: TryEnd) -> TryRecord {
        let id = self.servable.id();
        let origin = TaskOrigin {
            model: id.name.clone(),
            version: id.version,
            session: chain.session().map(str::to_owned),
            request: context.request_id.to_string(),
        };

        TryRecord {
            task: self.task,
            chain: chain.id(),
            chain_length: self.chain_length,
            origin,
            end,
        }
    }
}

async fn write_record(
    chain: &TaskChain,
    record: &Arc<TryRecord>,
) -> Result<TaskOutcome, StoreError> {
    if !chain.store().record_try(record.clone()).await? {
        return Ok(TaskOutcome::Cancelled);
    }

    Ok(match record.end {
        TryEnd::Done { .. } => TaskOutcome::Done,
        TryEnd::Retry { .. } | TryEnd::NotTried { .. } => TaskOutcome::Retried,
        TryEnd::Failed { .. } => TaskOutcome::Failed,
    })
}
