//! Answers requests with a stream of response parts.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::guest_call::StartOn;
use super::invocation::Invocation;
use super::metrics::OpenStream;
use super::{
    AfterResponse, Inference, InterceptedRequest, InterceptorChain, Servable, ServableHandle,
    Timings,
};
use crate::box_future::box_future;
use crate::capability::{Emitter, PartReceiver, StreamLimits};
use crate::engine::{Budget, Call, Instance, Interface};
use crate::model::{CallerInfo, InferError, InferRequest, InferResponse};

/// A response as a stream of parts. It owns the version, the permit to run an instance, and the
/// instance. The call ends when the stream is dropped, or at its deadline, whether the parts are
/// read or not.
pub struct ResponseStream {
    /// `None` once the call has ended.
    call: Option<RunningCall>,
    parts: PartReceiver,
    /// The result of the call, until it is returned.
    end: Option<Result<Option<InferResponse>, InferError>>,
    after_response: Option<AfterResponse>,
    timings: SharedTimings,
    deadline: Instant,
    open: OpenStream,
    servable: ServableHandle,
    /// Rows of the request.
    rows: u64,
}

type RunningCall = Pin<Box<dyn Future<Output = Result<StreamEnd, InferError>> + Send>>;

/// The result of a successful call.
struct StreamEnd {
    /// The whole response of a model that does not stream.
    part: Option<InferResponse>,
    after_response: Option<AfterResponse>,
}

type SharedTimings = Arc<StreamTimings>;

/// The time of a stream so far.
#[derive(Default)]
struct StreamTimings {
    /// The phases before the call, set when it begins.
    before_call: OnceLock<Timings>,
    /// Time in interceptors, in nanoseconds.
    interceptors: AtomicU64,
}

impl StreamTimings {
    fn set_before_call(&self, timings: Timings) {
        self.before_call.get_or_init(|| timings);
    }

    /// True once an instance is there for the call.
    fn has_begun(&self) -> bool {
        self.before_call.get().is_some()
    }

    fn set_interceptors(&self, time: Duration) {
        self.interceptors.store(time.as_nanos() as u64, Ordering::Relaxed);
    }

    fn get(&self) -> Timings {
        let timings = self.before_call.get().copied().unwrap_or_default();
        let interceptors = Duration::from_nanos(self.interceptors.load(Ordering::Relaxed));
        Timings { interceptors: timings.interceptors + interceptors, ..timings }
    }
}

impl ResponseStream {
    /// Waits for the next part; returns `None` after the last. An error is the last item. Dropping
    /// the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<InferResponse, InferError>> {
        let part = self.wait().await?;
        if let Ok(part) = &part {
            self.open.count(part.size());
        }
        Some(part)
    }

    /// Ends the call, if it runs, and drops the parts that are left. A call that has begun counts
    /// like one that has ended by itself.
    pub fn stop(&mut self) {
        if self.call.take().is_some() && self.timings.has_begun() {
            self.servable.record_single_call(self.rows, &self.timings.get());
        }

        self.end = None;
        while self.parts.try_next().is_some() {}
    }

    /// The time before the call, and in interceptors so far. `compute` is known only for a model
    /// that does not stream.
    pub fn timings(&self) -> Timings {
        self.timings.get()
    }

    /// Returns the guard that starts the request's deferred tasks when dropped. The stream drops it
    /// if it is not taken.
    pub fn take_after_response(&mut self) -> Option<AfterResponse> {
        self.after_response.take()
    }

    /// The time at which the call ends at the latest.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    async fn wait(&mut self) -> Option<Result<InferResponse, InferError>> {
        while let Some(call) = &mut self.call {
            tokio::select! {
                biased;
                end = call => {
                    self.call = None;
                    self.end = Some(end.map(|StreamEnd { part, after_response }| {
                        self.after_response = after_response;
                        part
                    }));
                }
                Some(part) = self.parts.next() => return Some(Ok(part)),
            }
        }

        // Parts sent before the end precede it.
        if let Some(part) = self.parts.try_next() {
            return Some(Ok(part));
        }
        self.end.take()?.transpose()
    }
}

impl Servable {
    /// Starts to answer one request as a stream, within its budget. A model that does not stream
    /// answers with one part.
    pub fn infer_stream(
        self: &ServableHandle,
        request: InferRequest,
        budget: Budget,
        caller: CallerInfo,
    ) -> ResponseStream {
        let open = self.metrics().streaming(&self.metric_families, &self.id).open();
        let (emitter, parts) = self.new_emitter();
        let deadline = budget.deadline();
        let timings = SharedTimings::default();
        let rows = self.metadata().rows(&request);

        let servable = self.clone();
        let shared = timings.clone();
        let call: RunningCall = if self.template().has(Interface::Streaming) {
            box_future(|| async move {
                servable.infer_parts(request, budget, caller, emitter, rows, &shared).await
            })
        } else {
            box_future(|| async move {
                servable.infer_full_response(request, budget, caller, &shared).await
            })
        };

        ResponseStream {
            call: Some(call),
            parts,
            end: None,
            after_response: None,
            timings,
            deadline,
            open,
            servable: self.clone(),
            rows,
        }
    }

    fn new_emitter(&self) -> (Emitter, PartReceiver) {
        let limits = StreamLimits {
            part: self.settings.limits.response,
            total: self.settings.streaming.total,
        };
        let waiting = self.metrics().streaming(&self.metric_families, &self.id).waiting();
        let tenant = self.factory.tenant().clone();
        Emitter::new(tenant, self.template().metadata().clone(), limits, waiting)
    }

    async fn infer_full_response(
        self: &ServableHandle,
        request: InferRequest,
        budget: Budget,
        caller: CallerInfo,
        timings: &SharedTimings,
    ) -> Result<StreamEnd, InferError> {
        let inference = self.infer(request, budget, caller).await?;
        timings.set_before_call(inference.timings);

        let Inference { response, after_response, .. } = inference;
        Ok(StreamEnd { part: Some(response), after_response })
    }

    async fn infer_parts(
        self: &ServableHandle,
        mut request: InferRequest,
        budget: Budget,
        caller: CallerInfo,
        emitter: Emitter,
        rows: u64,
        timings: &SharedTimings,
    ) -> Result<StreamEnd, InferError> {
        self.metadata().fit_shapes(&mut request);
        let invocation = Invocation::new(self, &request, budget, caller);

        let outcome = match self.active_interceptors() {
            None => self.emit_parts(invocation.with_emitter(emitter), request, timings).await,
            Some(chain) => {
                self.emit_intercepted(chain, invocation, request, &emitter, timings).await
            }
        };
        let after_response = outcome?;

        self.record_single_call(rows, &timings.get());
        Ok(StreamEnd { part: None, after_response })
    }

    /// Passes the request through the interceptors, and each part back through them before it is
    /// sent to `reader`. The parts that they return have the limits of the model's own parts.
    async fn emit_intercepted(
        self: &ServableHandle,
        chain: Arc<InterceptorChain>,
        mut invocation: Invocation<'_>,
        request: InferRequest,
        reader: &Emitter,
        timings: &SharedTimings,
    ) -> Result<Option<AfterResponse>, InferError> {
        let (request, mut intercepted) = invocation.intercept(chain, request).await?;
        timings.set_interceptors(intercepted.took());

        let (emitter, mut parts) = self.new_emitter();
        let mut call = pin!(self.emit_parts(invocation.with_emitter(emitter), request, timings));
        let end = loop {
            tokio::select! {
                biased;
                end = &mut call => break end,
                // If the reader is gone, this future is about to be dropped.
                Some(part) = parts.next() => {
                    forward_part(&mut intercepted, part, reader, timings).await?;
                }
            }
        };

        while let Some(part) = parts.try_next() {
            forward_part(&mut intercepted, part, reader, timings).await?;
        }
        end
    }

    /// Makes the call. Its end is reported to the reader once the session is committed.
    async fn emit_parts(
        self: &ServableHandle,
        invocation: Invocation<'_>,
        request: InferRequest,
        timings: &SharedTimings,
    ) -> Result<Option<AfterResponse>, InferError> {
        let call = |request, call| self.call_streaming(request, call, timings);
        Ok(invocation.run(request, call).await?.after_response)
    }

    async fn call_streaming(
        &self,
        request: InferRequest,
        call: Call,
        timings: &SharedTimings,
    ) -> Result<(), InferError> {
        let (checkout, queue) = self.check_out(&request, &call.budget).await?;

        let timings = timings.clone();
        let body = async move |mut instance: Instance, acquiring: Duration| {
            timings.set_before_call(Timings { queue, instance: acquiring, ..Timings::default() });
            let outcome = instance.infer_stream(request).await;
            (instance, outcome)
        };

        let context = call.context.clone();
        let finish = async move |outcome| match &context.emitter {
            Some(emitter) => check_total(emitter, outcome),
            None => outcome,
        };
        self.run_on_instance(checkout, call, StartOn::CurrentThread, body, finish).await?;
        Ok(())
    }
}

/// Replaces the outcome of a call that exceeded the stream's limit: a model whose emitter refuses
/// further parts may succeed, fail or trap, and the caller must get the reason.
fn check_total(emitter: &Emitter, outcome: Result<(), InferError>) -> Result<(), InferError> {
    match outcome {
        Ok(())
        | Err(InferError::Failed(_) | InferError::Rejected(_) | InferError::Trapped { .. }) => {
            emitter.check_total().and(outcome)
        }
        _ => outcome,
    }
}

/// Passes a part back through the interceptors and sends it to its reader.
async fn forward_part(
    intercepted: &mut InterceptedRequest,
    part: InferResponse,
    reader: &Emitter,
    timings: &SharedTimings,
) -> Result<(), InferError> {
    let part = intercepted.run_after_hooks_on_part(part).await?;
    timings.set_interceptors(intercepted.took());
    reader.forward(part).await
}
