//! Runs a batch in one guest call, and its requests one by one if that fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batcher::{Batcher, Item, Reply};
use super::runner::{BatchResponses, Runner};
use super::{BatchForm, join};
use crate::engine::{Budget, Call};
use crate::model::{InferError, InferRequest, InferResponse, RequestId};
use crate::servable::guest_call::CallOutcome;
use crate::servable::response_validator::response_validator;
use crate::servable::{Inference, Timings};

/// The least CPU time of a batch call, whatever calls usually take.
const MIN_CPU_TIME: Duration = Duration::from_millis(100);

/// A batch call may take this many times the usual time. Beyond it, one of its requests is taken to
/// be at fault.
const OVERRUN_FACTOR: u32 = 8;

/// Limit on the request ids of a batch in log lines, in bytes: some seven of the usual length.
const MAX_REQUEST_IDS: usize = 256;

/// Answers all requests of a batch. Stops once all receivers are gone.
pub(super) async fn execute<C: Runner>(
    batcher: &Arc<Batcher>,
    runner: &Arc<C>,
    mut batch: Vec<Item>,
    permit: Result<C::Permit, InferError>,
) {
    batch.iter_mut().for_each(|item| item.queue_guard = None);
    match permit {
        Err(error) => batch.into_iter().for_each(|item| send_reply(item.reply, Err(error.clone()))),
        Ok(permit) if batch.len() > 1 => execute_batch(batcher, runner, batch, permit).await,
        Ok(permit) => {
            if let Some(item) = batch.pop() {
                execute_single(batcher, runner, item, permit).await;
            }
        }
    }
}

async fn execute_single<C: Runner>(
    batcher: &Batcher,
    runner: &Arc<C>,
    item: Item,
    permit: C::Permit,
) {
    let Item { request, call, arrived, mut reply, .. } = item;

    let response = tokio::select! {
        biased;
        response = run_alone(batcher, runner, request, call, arrived, permit) => response,
        () = reply.closed() => return,
    };
    send_reply(reply, response);
}

/// Answers one request in a call of its own.
pub(super) async fn run_alone<C: Runner>(
    batcher: &Batcher,
    runner: &Arc<C>,
    request: InferRequest,
    call: Call,
    arrived: Instant,
    permit: C::Permit,
) -> Result<Inference, InferError> {
    let queue = arrived.elapsed();
    let budget = call.budget.clone();
    let then = response_validator(&batcher.metadata, &request);
    let rows = batcher.metadata.rows(&request);

    runner.record_call(1);
    let CallOutcome { outcome: response, instance, compute } =
        runner.run_single(permit, request, call, then).await?;

    batcher.record_call_time(1, compute, &budget);
    runner.record_execution(rows, instance, compute);
    let timings = Timings { queue, instance, compute, ..Timings::default() };
    Ok(Inference { response, timings, after_response: None })
}

async fn execute_batch<C: Runner>(
    batcher: &Arc<Batcher>,
    runner: &Arc<C>,
    mut batch: Vec<Item>,
    permit: C::Permit,
) {
    let started = Instant::now();
    runner.record_call(batch.len());
    let call = new_joint_call(batcher, &**runner, &batch, started);
    let budget = call.budget.clone();

    let (requests, replies) = requests_and_replies(&mut batch);
    let called = tokio::select! {
        biased;
        called = run_joint_call(batcher, runner, &requests, permit, call) => called,
        () = all_closed(replies) => return,
    };

    match called {
        Ok(CallOutcome { outcome, instance, compute }) => {
            batcher.record_call_time(batch.len(), compute, &budget);
            let rows = batch.iter().map(|item| batcher.metadata.rows(&item.request)).sum();
            runner.record_execution(rows, instance, compute);

            for (item, response) in batch.into_iter().zip(outcome) {
                let queue = started.saturating_duration_since(item.arrived);
                let timings = Timings { queue, instance, compute, ..Timings::default() };
                let inference = |response| Inference { response, timings, after_response: None };
                send_reply(item.reply, response.map(inference));
            }
        }
        Err(error) if is_host_error(&error) => {
            batch.into_iter().for_each(|item| send_reply(item.reply, Err(error.clone())))
        }
        Err(error) => {
            runner.record_batch_failure(batch.len(), &error);
            execute_separately(batcher, runner, batch);
        }
    }
}

/// Answers each request by itself, in order, after the batch has failed: one of them is at fault,
/// and it is unknown which.
fn execute_separately<C: Runner>(batcher: &Arc<Batcher>, runner: &Arc<C>, batch: Vec<Item>) {
    let batcher = batcher.clone();
    let runner = runner.clone();
    tokio::spawn(async move {
        for mut item in batch {
            let permit = tokio::select! {
                biased;
                () = item.reply.closed() => continue,
                permit = runner.acquire() => permit,
            };
            match permit {
                Ok(permit) => {
                    let batcher = batcher.clone();
                    let runner = runner.clone();
                    tokio::spawn(
                        async move { execute_single(&batcher, &runner, item, permit).await },
                    );
                }
                Err(error) => send_reply(item.reply, Err(error)),
            }
        }
    });
}

/// Runs a request twice in one call, to validate that the model batches as it declares.
pub(in crate::servable) async fn self_check_batch<C: Runner>(
    batcher: &Batcher,
    runner: &Arc<C>,
    request: &InferRequest,
    permit: C::Permit,
    call: Call,
) -> Result<(), InferError> {
    if batcher.form == BatchForm::Joined && !join::can_join(request, request) {
        return Ok(());
    }

    let responses =
        run_joint_call(batcher, runner, &[request, request], permit, call).await?.outcome;
    responses.into_iter().try_for_each(|response| response.map(drop))
}

async fn run_joint_call<C: Runner>(
    batcher: &Batcher,
    runner: &Arc<C>,
    requests: &[&InferRequest],
    permit: C::Permit,
    call: Call,
) -> Result<CallOutcome<BatchResponses>, InferError> {
    match batcher.form {
        BatchForm::Joined => {
            let split = joined_response_splitter(batcher, requests);
            runner.run_single(permit, join::join(requests), call, split).await
        }
        BatchForm::SideBySide => {
            let copies = requests.iter().copied().cloned().collect();
            let validate = response_list_validator(batcher, requests);
            runner.run_batch(permit, copies, call, validate).await
        }
    }
}

/// Returns the function that validates the response to joined requests and splits it.
fn joined_response_splitter(
    batcher: &Batcher,
    requests: &[&InferRequest],
) -> impl FnOnce(InferResponse) -> Result<BatchResponses, InferError> + Send + use<> {
    // Joined requests have the same outputs.
    let validate = requests.first().map(|request| response_validator(&batcher.metadata, request));

    let rows: Vec<_> = requests.iter().filter_map(|request| join::rows(request)).collect();
    move |response| {
        let response =
            validate.map_or(Ok(InferResponse::default()), |validate| validate(response))?;
        let responses = join::split(&response, &rows).map_err(InferError::BadOutput)?;
        Ok(responses.into_iter().map(Ok).collect())
    }
}

/// Returns the function that validates the responses to requests side by side.
fn response_list_validator(
    batcher: &Batcher,
    requests: &[&InferRequest],
) -> impl FnOnce(BatchResponses) -> Result<BatchResponses, InferError> + Send + use<> {
    let validators: Vec<_> =
        requests.iter().map(|request| response_validator(&batcher.metadata, request)).collect();
    move |responses| {
        let given = responses.len();
        let asked = validators.len();
        if given != asked {
            return Err(InferError::BadOutput(format!(
                "infer-batch gave {given} answers to {asked} requests"
            )));
        }

        let pairs = responses.into_iter().zip(validators);
        Ok(pairs.map(|(response, validate)| validate(response?)).collect())
    }
}

/// Returns the call of a batch. Its CPU time is the sum of its requests' and its deadline the
/// latest of theirs, but both are bounded by a multiple of the usual time: if one request never
/// ends, there must be time left to response the others.
fn new_joint_call<C: Runner>(batcher: &Batcher, runner: &C, batch: &[Item], now: Instant) -> Call {
    let budgets = || batch.iter().map(|item| &item.call.budget);
    let deadline = budgets().map(Budget::deadline).max().unwrap_or(now);
    let mut allowed = deadline.saturating_duration_since(now);
    let mut cpu_time: Duration = budgets().map(Budget::cpu_time).sum();

    if let Some(usual) = batcher.call_time.estimate(batch.len()) {
        allowed = allowed.min(usual.saturating_mul(OVERRUN_FACTOR).max(allowed / 2));
    }
    if let Some(usual) = batcher.cpu_time.estimate(batch.len()) {
        cpu_time = cpu_time.min(usual.saturating_mul(OVERRUN_FACTOR).max(MIN_CPU_TIME));
    }

    runner.new_call(Budget::new(now, allowed, cpu_time), joined_request_ids(batch))
}

/// The ids of a batch's requests, cut at the limit for log lines.
fn joined_request_ids(batch: &[Item]) -> RequestId {
    let mut ids = String::new();
    for (index, item) in batch.iter().enumerate() {
        let id = item.call.context.request_id.as_str();
        if index > 0 && ids.len() + id.len() > MAX_REQUEST_IDS {
            ids.push_str(&format!(",+{}", batch.len() - index));
            break;
        }
        ids.push_str(if index > 0 { "," } else { "" });
        ids.push_str(id);
    }

    RequestId::new(ids.into()).unwrap_or_default()
}

fn requests_and_replies(batch: &mut [Item]) -> (Vec<&InferRequest>, Vec<&mut Reply>) {
    batch.iter_mut().map(|item| (&item.request, &mut item.reply)).unzip()
}

async fn all_closed(replies: Vec<&mut Reply>) {
    for reply in replies {
        reply.closed().await;
    }
}

/// True if the call failed for a reason independent of its requests. A quota error is not: retrying
/// each request alone shows whether the instance or one large request exceeded it.
fn is_host_error(error: &InferError) -> bool {
    matches!(error, InferError::Overloaded | InferError::Internal(_))
}

fn send_reply(reply: Reply, response: Result<Inference, InferError>) {
    // The receiver is gone if the client has disconnected.
    let _ = reply.send(response);
}
