//! Conditions that open and close the circuit breaker.

use std::time::Duration;

use super::*;
use crate::model::{
    CallerInfo, Deadline, Digest, InferRequest, ModelName, Parameter, ParameterValue, RequestId,
    TenantName, Version,
};
use crate::tenant::{ApiKey, KeyScope, RepositoryLocation, TenantSettings};

const PAUSE: Duration = Duration::from_secs(1);

fn breaker_of(faults: u32, keys: &[(&str, KeyScope)]) -> Breaker {
    let credential = |(id, scope): &(&str, KeyScope)| ApiKey {
        id: (*id).into(),
        digest: Digest::sha256(id.as_bytes()),
        scopes: [*scope].into_iter().collect(),
    };
    let unlimited = TenantSettings::unlimited(RepositoryLocation::Directory("models".into()));
    let settings = TenantSettings { keys: keys.iter().map(credential).collect(), ..unlimited };
    let tenant = Tenant::new(TenantName::default_tenant(), settings);
    let id = ModelId {
        tenant: TenantName::default_tenant(),
        name: ModelName::new("model").unwrap(),
        version: Version::new(1).unwrap(),
    };
    Breaker::new(id, BreakerSettings { faults, pause: PAUSE, rollback: true }, tenant)
}

/// A breaker of a tenant without keys.
fn breaker(faults: u32) -> Breaker {
    breaker_of(faults, &[])
}

/// A request with that id and content.
fn request(caller: Option<&str>, id: &str, content: &str) -> RequestSource {
    let key = caller.map(Arc::from);
    let caller = CallerInfo { request_id: RequestId::new(id.to_owned().into()).unwrap(), key };
    let content = Parameter { name: "content".into(), value: ParameterValue::Text(content.into()) };
    RequestSource::new(
        &caller,
        &InferRequest { parameters: vec![content], ..InferRequest::default() },
        false,
    )
}

/// A request that differs from all others.
fn new_request(caller: Option<&str>) -> RequestSource {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    request(caller, &number, &number)
}

fn any() -> RequestSource {
    new_request(None)
}

fn trap() -> Result<(), InferError> {
    Err(InferError::Trapped { detail: String::new() })
}

fn out_of_memory() -> Result<(), InferError> {
    Err(InferError::OutOfMemory { limit: 1, detail: String::new() })
}

fn ends(breaker: &Breaker, source: &RequestSource, outcome: &Result<(), InferError>) {
    breaker.admit(source).unwrap().record(outcome);
}

fn suspended(breaker: &Breaker, now: Instant) -> bool {
    matches!(breaker.admit_at(&any(), now), Err(InferError::Suspended { .. }))
}

#[test]
fn only_consecutive_faults_open_it() {
    let breaker = breaker(3);
    for outcome in
        [trap(), trap(), Ok(()), trap(), trap(), Err(InferError::Rejected("x".into())), trap()]
    {
        assert!(
            !breaker.is_open() && breaker.check(&any()).is_ok() && breaker.check_version().is_ok()
        );
        ends(&breaker, &any(), &outcome);
    }
    assert!(breaker.is_open());
    assert_eq!(*breaker.trips().borrow(), 1);
    assert!(
        breaker.admit(&any()).is_err()
            && breaker.check(&any()).is_err()
            && breaker.check_version().is_err()
    );
    breaker.reset();
    assert!(
        breaker.admit(&any()).is_ok()
            && breaker.check(&any()).is_ok()
            && breaker.check_version().is_ok()
    );
}

#[test]
fn one_probe_after_the_pause_decides() {
    let breaker = breaker(1);
    ends(&breaker, &any(), &trap());
    let later = Instant::now() + PAUSE;
    let probe = breaker.admit_at(&any(), later).unwrap();
    assert!(suspended(&breaker, later), "one at a time");
    probe.record(&trap());
    assert!(suspended(&breaker, Instant::now() + PAUSE), "the pause is longer now");
    let probe = breaker.admit_at(&any(), Instant::now() + 2 * PAUSE).unwrap();
    probe.record(&Ok(()));
    assert!(!breaker.is_open() && breaker.admit(&any()).is_ok());
    assert!(!breaker.counts_anything(), "nothing is kept of what is over");
}

#[test]
fn a_probe_without_an_outcome_allows_another() {
    let breaker = breaker(1);
    ends(&breaker, &any(), &trap());
    let later = Instant::now() + PAUSE;
    drop(breaker.admit_at(&any(), later).unwrap());
    breaker.admit_at(&any(), later).unwrap().record(&Err::<(), _>(InferError::Overloaded));
    assert!(breaker.admit_at(&any(), later).is_ok() && breaker.is_open());
}

#[test]
fn it_can_be_switched_off() {
    let breaker = breaker(0);
    for _ in 0..100 {
        ends(&breaker, &any(), &trap());
    }
    assert!(!breaker.is_open());
}

#[test]
fn errors_that_are_not_the_models_fault_do_not_count() {
    let breaker = breaker(1);
    for error in [
        InferError::InvalidInput("x".into()),
        InferError::NotJson("x".into()),
        InferError::Failed("x".into()),
        InferError::ResponseTooLarge { limit: 1 },
        InferError::DeadlineExceeded(Deadline::from_settings(PAUSE)),
        InferError::InterceptorFailed { name: "x".into(), detail: "x".into() },
    ] {
        ends(&breaker, &any(), &Err(error));
    }
    assert!(!breaker.is_open() && !breaker.counts_anything());
}

#[test]
fn repeats_count_once() {
    let breaker = breaker(2);
    for _ in 0..5 {
        ends(&breaker, &request(None, "the same", "x"), &trap());
        breaker.succeed(&any(), Probes::default());
        // The request ids differ.
        ends(&breaker, &request(None, "one", "huge"), &out_of_memory());
        ends(&breaker, &request(None, "other", "huge"), &out_of_memory());
        assert!(!breaker.is_open());
        breaker.succeed(&any(), Probes::default());
    }
    ends(&breaker, &request(None, "one", "huge"), &out_of_memory());
    ends(&breaker, &request(None, "other", "as huge"), &out_of_memory());
    assert!(breaker.is_open());
}

#[test]
fn one_caller_of_several_is_refused_alone() {
    let breaker = breaker_of(2, &[("a", KeyScope::Infer), ("b", KeyScope::Infer)]);
    let (a, b) = (|| new_request(Some("a")), || new_request(Some("b")));
    for _ in 0..2 {
        ends(&breaker, &a(), &trap());
    }
    assert!(breaker.check(&a()).is_err() && breaker.check(&b()).is_ok());
    assert!(!breaker.is_open() && breaker.check_version().is_ok());
    assert_eq!(*breaker.trips().borrow(), 0);
    // A success of another caller does not clear this caller's faults.
    ends(&breaker, &b(), &Ok(()));
    assert!(breaker.admit(&a()).is_err());
    let probe = breaker.admit_at(&a(), Instant::now() + PAUSE).unwrap();
    assert!(breaker.admit_at(&a(), Instant::now() + PAUSE).is_err(), "one at a time");
    probe.record(&Ok(()));
    assert!(breaker.check(&a()).is_ok() && !breaker.counts_anything());
}

#[test]
fn two_callers_whose_requests_only_fail_open_it() {
    let breaker =
        breaker_of(2, &[("a", KeyScope::Infer), ("b", KeyScope::Infer), ("c", KeyScope::Infer)]);
    for caller in ["a", "a", "b"] {
        ends(&breaker, &new_request(Some(caller)), &trap());
        assert!(!breaker.is_open(), "{caller}");
    }
    ends(&breaker, &new_request(Some("b")), &trap());
    assert!(breaker.is_open() && breaker.check(&new_request(Some("c"))).is_err());
    assert_eq!(*breaker.trips().borrow(), 1);
}

#[test]
fn a_success_of_a_third_caller_keeps_it_closed() {
    let breaker =
        breaker_of(2, &[("a", KeyScope::Infer), ("b", KeyScope::Infer), ("c", KeyScope::Infer)]);
    for caller in ["a", "b", "a", "b"] {
        ends(&breaker, &new_request(Some(caller)), &trap());
        ends(&breaker, &new_request(Some("c")), &Ok(()));
    }
    assert!(!breaker.is_open());
}

#[test]
fn the_faults_of_the_only_caller_open_it() {
    let breaker = breaker_of(2, &[("a", KeyScope::Infer), ("operator", KeyScope::Manage)]);
    for _ in 0..2 {
        ends(&breaker, &new_request(Some("a")), &trap());
    }
    assert!(breaker.is_open());
}
