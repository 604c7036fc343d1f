//! The call of one interceptor for one request.

use std::future::Future;
use std::time::Instant;

use crate::capability::{CallContext, Level, LogLine, sanitize_line};
use crate::engine::{Budget, Instance};
use crate::model::{InferError, RequestId};
use crate::servable::breaker::RequestSource;
use crate::servable::guest_call::CallOutcome;
use crate::servable::{ServableHandle, Timings};

/// The call of one interceptor for one request. It is admitted, limited and counted like a request
/// to the interceptor.
pub(super) struct InterceptorCall<'a> {
    pub(super) interceptor: &'a ServableHandle,
    /// The request's identity for the circuit breaker.
    pub(super) source: &'a RequestSource,
    /// The budget of the whole request.
    pub(super) budget: &'a Budget,
    pub(super) context: CallContext,
    /// True if an instance of the model is held meanwhile.
    pub(super) beside: bool,
}

impl InterceptorCall<'_> {
    /// Runs `hook` on an instance and checks its output, whose bytes `size` returns. Fails with the
    /// interceptor's refusal, with [`InferError::InterceptorFailed`] for any fault of the
    /// interceptor, or with an error of the request such as its deadline.
    pub(super) async fn run<T, F>(
        self,
        hook: impl FnOnce(Instance) -> F + Send + 'static,
        size: fn(&T) -> u64,
        check: impl FnOnce(&T) -> Result<(), String> + Send + 'static,
    ) -> Result<T, InferError>
    where
        T: Send + 'static,
        F: Future<Output = (Instance, Result<T, InferError>)> + Send + 'static,
    {
        let interceptor = self.interceptor;
        let request_id = self.context.request_id.clone();
        let public = |error| public_error(interceptor.id().name.base_name(), error);

        let begun = Instant::now();
        let attempt = interceptor.breaker.admit(self.source).map_err(public)?;
        let outcome = self.run_on_instance(hook, size, check).await;

        attempt.record(&outcome);
        match &outcome {
            Ok((_, timings)) => interceptor.metrics().succeeded(timings, 1),
            Err(error) => interceptor.metrics().failed(error, begun.elapsed()),
        }

        outcome.map(|(value, _)| value).map_err(|error| {
            let error = public(error);
            write_interceptor_log(interceptor, request_id, &error);
            error
        })
    }

    async fn run_on_instance<T, F>(
        self,
        hook: impl FnOnce(Instance) -> F + Send + 'static,
        size: fn(&T) -> u64,
        check: impl FnOnce(&T) -> Result<(), String> + Send + 'static,
    ) -> Result<(T, Timings), InferError>
    where
        T: Send + 'static,
        F: Future<Output = (Instance, Result<T, InferError>)> + Send + 'static,
    {
        let InterceptorCall { interceptor, budget, context, beside, .. } = self;

        let own = &interceptor.settings.limits;
        let arrived = Instant::now();
        let left = budget.deadline().saturating_duration_since(arrived);
        let call = interceptor
            .factory
            .call(Budget::new(arrived, left.min(own.deadline), own.cpu_time), context);

        let late = |error| {
            if left <= own.deadline { request_deadline_error(budget, error) } else { error }
        };

        let checkout = match beside {
            true => interceptor.pool.try_check_out_extra(&interceptor.factory)?,
            false => interceptor
                .pool
                .check_out(&interceptor.factory, &call.budget)
                .await
                .map_err(late)?,
        };

        let queue = arrived.elapsed();
        // If the request's remaining time is shorter than the interceptor's own deadline, missing
        // it is not the interceptor's fault.
        let own_fault =
            |error| if left <= own.deadline { late(error) } else { own_deadline_error(error) };

        let checked = move |value| check(&value).map(|()| value).map_err(InferError::BadOutput);
        let called = interceptor.run_and_process(checkout, call, hook, size, checked).await;
        let CallOutcome { outcome, instance, compute } = called.map_err(own_fault)?;
        Ok((outcome, Timings { queue, instance, compute, ..Timings::default() }))
    }
}

/// Replaces a missed deadline with the request's, which is the one reported to the caller.
fn request_deadline_error(budget: &Budget, error: InferError) -> InferError {
    match error {
        InferError::DeadlineExceeded(_) => budget.deadline_exceeded(),
        other => other,
    }
}

/// Turns a missed deadline into a trap, because it was the interceptor's own.
fn own_deadline_error(error: InferError) -> InferError {
    match error {
        late @ InferError::DeadlineExceeded(_) => {
            InferError::Trapped { detail: fault_detail(&late) }
        }
        other => other,
    }
}

/// Returns the error for the caller: it names the interceptor and hides the detail of its fault.
fn public_error(name: &str, error: InferError) -> InferError {
    match error {
        InferError::Suspended { retry_after_seconds } => InferError::NotReady(format!(
            "the interceptor '{name}' keeps failing and is out of service for {retry_after_seconds} s"
        )),
        InferError::Refused { .. }
        | InferError::DeadlineExceeded(_)
        | InferError::QueueFull { .. }
        | InferError::QuotaExceeded(_)
        | InferError::Overloaded => error,
        fault => InferError::InterceptorFailed { name: name.into(), detail: fault_detail(&fault) },
    }
}

/// Returns the detail of a fault, for the interceptor's owner.
pub(super) fn fault_detail(fault: &InferError) -> String {
    match fault {
        InferError::Trapped { detail } => detail.clone(),
        InferError::OutOfMemory { limit, detail } => {
            format!("it ran out of its {limit} bytes of memory: {detail}")
        }
        InferError::CpuTimeExceeded(time) => format!("it used up its {time:?} of CPU time"),
        InferError::DeadlineExceeded(deadline) => {
            format!("it took longer than {:?}", deadline.allowed)
        }
        InferError::OversizedOutput(detail) => format!("its output is too large: {detail}"),
        InferError::BadOutput(detail) => format!("its output is not valid: {detail}"),
        other => other.private_detail().map_or_else(|| other.to_string(), str::to_owned),
    }
}

/// Writes the fault to the interceptor's log, which may be the only one that its owner can read.
fn write_interceptor_log(interceptor: &ServableHandle, request_id: RequestId, error: &InferError) {
    if let InferError::InterceptorFailed { detail, .. } = error {
        interceptor.template().write_log(LogLine {
            level: Level::Error,
            context: "interceptor".into(),
            message: sanitize_line(detail, MAX_DETAIL),
            request_id,
        });
    }
}

/// Limit on the stored detail of a fault, in bytes. A backtrace fits.
const MAX_DETAIL: usize = 4096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Deadline;

    #[test]
    fn an_interceptors_fault_names_it_and_hides_the_detail() {
        let faults = [
            InferError::Trapped { detail: "secret".into() },
            InferError::OutOfMemory { limit: 1, detail: "secret".into() },
            InferError::BadOutput("secret".into()),
            InferError::CpuTimeExceeded(Duration::from_secs(1)),
            own_deadline_error(InferError::DeadlineExceeded(Deadline::from_settings(
                Duration::from_secs(1),
            ))),
            InferError::OversizedOutput("secret".into()),
        ];
        for fault in faults {
            let blamed = public_error("audit", fault.clone());
            assert!(matches!(blamed, InferError::InterceptorFailed { .. }), "{fault:?}");
            assert!(
                blamed.to_string().contains("'audit'") && !blamed.to_string().contains("secret"),
                "{blamed}"
            );
        }
        let refused = InferError::Refused { status: 403, message: "no".into() };
        assert_eq!(public_error("audit", refused.clone()), refused);
        let resting = public_error("audit", InferError::Suspended { retry_after_seconds: 5 });
        assert!(
            matches!(&resting, InferError::NotReady(text) if text.contains("'audit'")),
            "{resting}"
        );
    }
}
