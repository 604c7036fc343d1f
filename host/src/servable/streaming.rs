//! The scheduler of an answer in parts: a checkout, a call, and parts while it runs.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::breaker::RequestSource;
use super::infer::acquire_instance;
use super::metrics::OpenStream;
use super::pool::Checkout;
use super::{
    AfterResponse, Inference, InterceptedRequest, InterceptorChain, Servable, ServableHandle,
    Timings,
};
use crate::capability::{CallContext, Emitter, PartReceiver, StreamLimits};
use crate::engine::{Budget, Call, Template};
use crate::model::{CallerInfo, InferError, InferRequest, InferResponse};

/// The parts of an answer, as they come. Dropping it ends the call, as does the deadline, whether
/// anybody reads or not; until then it owns the version, the right to an instance, and the
/// instance.
pub struct ResponseStream {
    /// `None` once it has ended.
    call: Option<RunningCall>,
    emitted: PartReceiver,
    /// How the call has ended, until that has been said.
    end: Option<Result<Option<InferResponse>, InferError>>,
    /// What begins when the last part has been taken and the rest of this is dropped.
    afterwards: Option<AfterResponse>,
    begun: SharedTimings,
    deadline: Instant,
    open: OpenStream,
}

type RunningCall = Pin<Box<dyn Future<Output = Result<StreamEnd, InferError>> + Send>>;

/// How a call has ended that went well.
struct StreamEnd {
    /// Only where the answer came as a whole.
    part: Option<InferResponse>,
    afterwards: Option<AfterResponse>,
}

type SharedTimings = Arc<StreamTimings>;

/// Where the time has gone so far.
#[derive(Default)]
struct StreamTimings {
    /// Until the call began, once it has.
    begun: OnceLock<Timings>,
    /// In the interceptors around it, in nanoseconds.
    interceptors: AtomicU64,
}

impl StreamTimings {
    fn begin(&self, timings: Timings) {
        self.begun.get_or_init(|| timings);
    }

    fn intercepted(&self, took: Duration) {
        self.interceptors.store(took.as_nanos() as u64, Ordering::Relaxed);
    }

    fn timings(&self) -> Timings {
        let timings = self.begun.get().copied().unwrap_or_default();
        let around = Duration::from_nanos(self.interceptors.load(Ordering::Relaxed));
        Timings { interceptors: timings.interceptors + around, ..timings }
    }
}

impl ResponseStream {
    /// Waits for the next part; `None` when the answer is complete. An error is the last thing
    /// there is. May be dropped and asked again: nothing is lost.
    pub async fn next(&mut self) -> Option<Result<InferResponse, InferError>> {
        let part = self.wait().await?;
        if let Ok(part) = &part {
            self.open.count(part.size());
        }
        Some(part)
    }

    /// Where the time went until the call began, and in interceptors so far. `compute` is known
    /// only of an answer that came whole.
    pub fn timings(&self) -> Timings {
        self.begun.timings()
    }

    /// What begins once the answer is on its way, to be dropped then; with this, unless it is
    /// taken.
    pub fn take_after_response(&mut self) -> Option<AfterResponse> {
        self.afterwards.take()
    }

    /// When the call has ended at the latest.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    async fn wait(&mut self) -> Option<Result<InferResponse, InferError>> {
        while let Some(call) = &mut self.call {
            tokio::select! {
                biased;
                end = call => {
                    self.call = None;
                    self.end = Some(end.map(|StreamEnd { part, afterwards }| {
                        self.afterwards = afterwards;
                        part
                    }));
                }
                Some(part) = self.emitted.next() => return Some(Ok(part)),
            }
        }
        // What was sent before the end comes before it.
        if let Some(part) = self.emitted.try_next() {
            return Some(Ok(part));
        }
        self.end.take()?.transpose()
    }
}

impl Servable {
    /// Begins to answer one request in parts, within its budget. A model that does not stream
    /// answers in one part.
    pub fn infer_stream(
        self: &ServableHandle,
        request: InferRequest,
        budget: Budget,
        asker: CallerInfo,
    ) -> ResponseStream {
        let open = self.metrics().streaming(&self.metric_families, &self.id).open();
        let (emitter, emitted) = self.emitter();
        let (servable, begun, deadline) =
            (self.clone(), SharedTimings::default(), budget.deadline());
        let seen = begun.clone();
        let call: RunningCall = if self.template().has_streaming() {
            Box::pin(
                async move { servable.infer_parts(request, budget, asker, emitter, &seen).await },
            )
        } else {
            Box::pin(
                async move { servable.infer_full_response(request, budget, asker, &seen).await },
            )
        };
        ResponseStream {
            call: Some(call),
            emitted,
            end: None,
            afterwards: None,
            begun,
            deadline,
            open,
        }
    }

    fn emitter(&self) -> (Emitter, PartReceiver) {
        let limits = StreamLimits {
            part: self.settings.limits.response,
            total: self.settings.streaming.total,
        };
        let waiting = self.metrics().streaming(&self.metric_families, &self.id).waiting();
        Emitter::new(self.template().metadata().clone(), limits, waiting)
    }

    async fn infer_full_response(
        self: &ServableHandle,
        request: InferRequest,
        budget: Budget,
        asker: CallerInfo,
        begun: &SharedTimings,
    ) -> Result<StreamEnd, InferError> {
        let Inference { response, timings, after_response: afterwards } =
            self.infer(request, budget, asker).await?;
        begun.begin(timings);
        Ok(StreamEnd { part: Some(response), afterwards })
    }

    async fn infer_parts(
        self: &ServableHandle,
        mut request: InferRequest,
        budget: Budget,
        asker: CallerInfo,
        emitter: Emitter,
        begun: &SharedTimings,
    ) -> Result<StreamEnd, InferError> {
        self.metadata().fit_shapes(&mut request);
        let rows = self.metadata().rows(&request);
        let outcome = match self.active_interceptors() {
            None => {
                let source = self.request_source(&asker, &request);
                let scope = CallContext {
                    emitter: Some(emitter),
                    ..CallContext::for_request(asker.request_id)
                };
                self.attempt_stream(request, budget, scope, source, begun).await
            }
            Some(chain) => {
                self.infer_parts_intercepted(chain, request, budget, asker, &emitter, begun).await
            }
        };
        if outcome.is_ok() {
            self.record_single_call(rows, &begun.timings());
        }
        outcome.map(|afterwards| StreamEnd { part: None, afterwards })
    }

    /// Leads the request through the interceptors, and each part back through them before its
    /// reader gets it. What they make of the parts has the limit that the model's own parts have.
    async fn infer_parts_intercepted(
        self: &ServableHandle,
        chain: Arc<InterceptorChain>,
        request: InferRequest,
        budget: Budget,
        asker: CallerInfo,
        reader: &Emitter,
        begun: &SharedTimings,
    ) -> Result<Option<AfterResponse>, InferError> {
        let (request_id, source) =
            (asker.request_id.clone(), self.request_source(&asker, &request));
        let (request, mut passed) =
            chain.run_before_hooks(self, request, &budget, asker, source.clone()).await?;
        begun.intercepted(passed.took());
        let (emitter, mut emitted) = self.emitter();
        let values = Some(passed.values().clone());
        let scope =
            CallContext { values, emitter: Some(emitter), ..CallContext::for_request(request_id) };
        let mut call = pin!(self.attempt_stream(request, budget, scope, source, begun));
        let end = loop {
            tokio::select! {
                biased;
                end = &mut call => break end,
                Some(part) = emitted.next() => {
                    // Where nobody reads any more, this future is about to be dropped.
                    forward_part(&mut passed, part, reader, begun).await?;
                }
            }
        };
        while let Some(part) = emitted.try_next() {
            forward_part(&mut passed, part, reader, begun).await?;
        }
        end
    }

    async fn attempt_stream(
        self: &ServableHandle,
        request: InferRequest,
        budget: Budget,
        scope: CallContext,
        source: RequestSource,
        begun: &SharedTimings,
    ) -> Result<Option<AfterResponse>, InferError> {
        // Before it waits for its session; and after that, because it may be the one that tries.
        self.breaker.check(&source)?;
        let mut undertaking =
            self.open_request_session(request.session.as_ref(), &budget, scope).await?;
        let attempt = self.breaker.admit(&source)?;
        let outcome =
            self.emit_parts(request, self.maker.call(budget, undertaking.scope()), begun).await;
        attempt.record(&outcome);
        outcome?;
        // All parts have been emitted by now; their reader hears of the end when everything is
        // kept.
        undertaking.commit(self).await
    }

    async fn emit_parts(
        self: &ServableHandle,
        request: InferRequest,
        call: Call,
        begun: &SharedTimings,
    ) -> Result<(), InferError> {
        self.metadata().check_request(&request).map_err(InferError::InvalidInput)?;
        let arrived = Instant::now();
        let checkout = self.pool.check_out(&self.maker, &call.budget).await?;
        let queue = arrived.elapsed();
        let (loaded, threads) = (self.starts_loaded(&checkout), &self.maker.threads);
        let work =
            work(self.template().clone(), checkout, request, call.clone(), queue, begun.clone());
        if loaded { threads.run(&call, work).await } else { threads.run_long(&call, work).await }
    }
}

/// Leads a part back through the interceptors to its reader.
async fn forward_part(
    passed: &mut InterceptedRequest,
    part: InferResponse,
    reader: &Emitter,
    begun: &SharedTimings,
) -> Result<(), InferError> {
    let part = passed.run_after_hooks_on_part(part).await?;
    begun.intercepted(passed.took());
    reader.forward(part).await
}

async fn work(
    template: Template,
    Checkout { source, place }: Checkout,
    request: InferRequest,
    call: Call,
    queue: Duration,
    begun: SharedTimings,
) -> Result<(), InferError> {
    let (started, scope) = (Instant::now(), call.context.clone());
    let mut instance = acquire_instance(source, &template, call).await?;
    begun.begin(Timings { queue, instance: started.elapsed(), ..Timings::default() });
    let outcome = match instance.migrate_session_state().await {
        Ok(()) => instance.infer_stream(request).await,
        Err(error) => Err(error),
    };
    place.give_back(instance);
    // A model that was told to stop may end well, report a failure or panic; its caller is to know
    // why it ended.
    match (&outcome, &scope.emitter) {
        (
            Ok(())
            | Err(InferError::Failed(_) | InferError::Rejected(_) | InferError::Trapped { .. }),
            Some(emitter),
        ) => emitter.check_total().and(outcome),
        _ => outcome,
    }
}
