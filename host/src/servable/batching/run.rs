//! Runs a batch in one guest call, and its requests one by one if that fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batcher::{Batcher, Item, Reply};
use super::caller::{Answers, Called, Caller};
use super::{Form, join};
use crate::engine::{Budget, Call};
use crate::model::{InferError, InferRequest, InferResponse, RequestId};
use crate::servable::direct::as_promised;
use crate::servable::{Answer, Timings};

/// The least CPU time of a batch call, whatever calls usually take.
const LEAST_CPU_TIME: Duration = Duration::from_millis(100);

/// A batch call may take this many times the usual time. Beyond it, one of its requests is taken to
/// be at fault.
const TOO_MUCH: u32 = 8;

/// Limit on the request ids of a batch in log lines, in bytes: some seven of the usual length.
const NAMES: usize = 256;

/// Answers all requests of a batch. Stops once all receivers are gone.
pub(super) async fn answer<C: Caller>(
    batcher: &Arc<Batcher>,
    caller: &Arc<C>,
    mut batch: Vec<Item>,
    place: Result<C::Place, InferError>,
) {
    batch.iter_mut().for_each(|item| item.waiting = None);
    match place {
        Err(error) => batch.into_iter().for_each(|item| give(item.reply, Err(error.clone()))),
        Ok(place) if batch.len() > 1 => answer_together(batcher, caller, batch, place).await,
        Ok(place) => {
            if let Some(item) = batch.pop() {
                answer_alone(batcher, caller, item, place).await;
            }
        }
    }
}

async fn answer_alone<C: Caller>(batcher: &Batcher, caller: &Arc<C>, item: Item, place: C::Place) {
    let Item { request, call, arrived, mut reply, .. } = item;
    let queue = arrived.elapsed();
    let (budget, then) = (call.budget.clone(), as_promised(&batcher.metadata, &request));
    let rows = batcher.metadata.rows(&request);

    caller.note_call(1);
    let called = tokio::select! {
        biased;
        called = caller.one(place, request, call, then) => called,
        () = reply.closed() => return,
    };

    let answer = called.map(|Called { outcome: response, instance, compute }| {
        batcher.note_usual(1, compute, &budget);
        caller.note_execution(rows, instance, compute);
        let timings = Timings { queue, instance, compute, ..Timings::default() };
        Answer { response, timings, afterwards: None }
    });
    give(reply, answer);
}

async fn answer_together<C: Caller>(
    batcher: &Arc<Batcher>,
    caller: &Arc<C>,
    batch: Vec<Item>,
    place: C::Place,
) {
    let started = Instant::now();
    let mut batch = batch;
    caller.note_call(batch.len());
    let call = joint_call(batcher, &**caller, &batch, started);
    let budget = call.budget.clone();

    let (requests, replies) = parts(&mut batch);
    let called = tokio::select! {
        biased;
        called = call_together(batcher, caller, &requests, place, call) => called,
        () = all_gone(replies) => return,
    };

    match called {
        Ok(Called { outcome, instance, compute }) => {
            batcher.note_usual(batch.len(), compute, &budget);
            let rows = batch.iter().map(|item| batcher.metadata.rows(&item.request)).sum();
            caller.note_execution(rows, instance, compute);
            for (item, response) in batch.into_iter().zip(outcome) {
                let timings = Timings {
                    queue: started.saturating_duration_since(item.arrived),
                    instance,
                    compute,
                    ..Timings::default()
                };
                give(
                    item.reply,
                    response.map(|response| Answer { response, timings, afterwards: None }),
                );
            }
        }
        Err(error) if is_of_all(&error) => {
            batch.into_iter().for_each(|item| give(item.reply, Err(error.clone())))
        }
        Err(error) => {
            caller.note_failure(batch.len(), &error);
            answer_apart(batcher, caller, batch);
        }
    }
}

/// Answers each request by itself, in order, after the batch has failed: one of them is at fault,
/// and it is unknown which.
fn answer_apart<C: Caller>(batcher: &Arc<Batcher>, caller: &Arc<C>, batch: Vec<Item>) {
    let (batcher, caller) = (batcher.clone(), caller.clone());
    tokio::spawn(async move {
        for mut item in batch {
            let place = tokio::select! {
                biased;
                () = item.reply.closed() => continue,
                place = caller.place() => place,
            };
            match place {
                Ok(place) => {
                    let (batcher, caller) = (batcher.clone(), caller.clone());
                    tokio::spawn(async move { answer_alone(&batcher, &caller, item, place).await });
                }
                Err(error) => give(item.reply, Err(error)),
            }
        }
    });
}

/// Runs a request twice in one call, to validate that the model batches as it declares.
pub(in crate::servable) async fn twice<C: Caller>(
    batcher: &Batcher,
    caller: &Arc<C>,
    request: &InferRequest,
    place: C::Place,
    call: Call,
) -> Result<(), InferError> {
    if batcher.form == Form::Joined && !join::together(request, request) {
        return Ok(());
    }

    let answers = call_together(batcher, caller, &[request, request], place, call).await?.outcome;
    answers.into_iter().try_for_each(|answer| answer.map(drop))
}

async fn call_together<C: Caller>(
    batcher: &Batcher,
    caller: &Arc<C>,
    requests: &[&InferRequest],
    place: C::Place,
    call: Call,
) -> Result<Called<Answers>, InferError> {
    match batcher.form {
        Form::Joined => {
            caller.one(place, join::join(requests), call, splitting(batcher, requests)).await
        }
        Form::SideBySide => {
            let copies = requests.iter().copied().cloned().collect();
            caller.several(place, copies, call, checking(batcher, requests)).await
        }
    }
}

/// Returns the function that validates the response to joined requests and splits it.
fn splitting(
    batcher: &Batcher,
    requests: &[&InferRequest],
) -> impl FnOnce(InferResponse) -> Result<Answers, InferError> + Send + use<> {
    // Joined requests have the same outputs.
    let as_promised = requests.first().map(|request| as_promised(&batcher.metadata, request));

    let rows: Vec<_> = requests.iter().filter_map(|request| join::rows(request)).collect();
    move |response| {
        let response = as_promised
            .map_or(Ok(InferResponse::default()), |as_promised| as_promised(response))?;
        let answers = join::split(&response, &rows).map_err(InferError::BadOutput)?;
        Ok(answers.into_iter().map(Ok).collect())
    }
}

/// Returns the function that validates the responses to requests side by side.
fn checking(
    batcher: &Batcher,
    requests: &[&InferRequest],
) -> impl FnOnce(Answers) -> Result<Answers, InferError> + Send + use<> {
    let as_promised: Vec<_> =
        requests.iter().map(|request| as_promised(&batcher.metadata, request)).collect();
    move |answers| {
        let (given, asked) = (answers.len(), as_promised.len());
        if given != asked {
            return Err(InferError::BadOutput(format!(
                "infer-batch gave {given} answers to {asked} requests"
            )));
        }
        Ok(answers
            .into_iter()
            .zip(as_promised)
            .map(|(answer, as_promised)| as_promised(answer?))
            .collect())
    }
}

/// Returns the call of a batch. Its CPU time is the sum of its requests' and its deadline the
/// latest of theirs, but both are bounded by a multiple of the usual time: if one request never
/// ends, there must be time left to answer the others.
fn joint_call<C: Caller>(batcher: &Batcher, caller: &C, batch: &[Item], now: Instant) -> Call {
    let budgets = || batch.iter().map(|item| &item.call.budget);
    let deadline = budgets().map(Budget::deadline).max().unwrap_or(now);
    let (mut allowed, mut cpu_time) = (
        deadline.saturating_duration_since(now),
        budgets().map(Budget::cpu_time).sum::<Duration>(),
    );

    if let Some(usual) = batcher.usual.of(batch.len()) {
        allowed = allowed.min(usual.saturating_mul(TOO_MUCH).max(allowed / 2));
    }
    if let Some(usual) = batcher.usual_cpu_time.of(batch.len()) {
        cpu_time = cpu_time.min(usual.saturating_mul(TOO_MUCH).max(LEAST_CPU_TIME));
    }

    caller.call(Budget::new(now, allowed, cpu_time), names(batch))
}

/// The ids of a batch's requests, cut at the limit for log lines.
fn names(batch: &[Item]) -> RequestId {
    let mut names = String::new();

    for (index, item) in batch.iter().enumerate() {
        let name = item.call.scope.request_id.as_str();
        if index > 0 && names.len() + name.len() > NAMES {
            names.push_str(&format!(",+{}", batch.len() - index));
            break;
        }
        names.push_str(if index > 0 { "," } else { "" });
        names.push_str(name);
    }

    RequestId::new(names.into()).unwrap_or_default()
}

fn parts(batch: &mut [Item]) -> (Vec<&InferRequest>, Vec<&mut Reply>) {
    batch.iter_mut().map(|item| (&item.request, &mut item.reply)).unzip()
}

async fn all_gone(replies: Vec<&mut Reply>) {
    for reply in replies {
        reply.closed().await;
    }
}

/// True if the call failed for a reason independent of its requests. A quota error is not: retrying
/// each request alone shows whether the instance or one large request exceeded it.
fn is_of_all(error: &InferError) -> bool {
    matches!(error, InferError::Overloaded | InferError::Internal(_))
}

fn give(reply: Reply, answer: Result<Answer, InferError>) {
    // The receiver is gone if the client has disconnected.
    let _ = reply.send(answer);
}
