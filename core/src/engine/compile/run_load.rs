//! Runs the `load` of a model, in an instance of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::super::bindings::inference;
use super::super::budget::ThreadKind;
use super::super::instance::new_store;
use super::super::store_state::{ExceededLimit, State};
use super::super::{Budget, Call, Engine, trap};
use super::steps::report;
use super::{CompileLimits, Job, Report, StageName};
use crate::capability::{ConfigValues, Grants, KernelGrant, Sidecar, Sidecars};
use crate::model::{InferError, LoadError, Metadata, Stage, TenantName};
use crate::tenant::{CpuShare, Tenant};

/// An instance that has run `load`.
pub(super) struct Loaded {
    pub(super) store: Store<State>,
    pub(super) instance: Instance,
    pub(super) metadata: Metadata,
}

/// Makes an instance and runs `load` in it.
pub(super) async fn run_load(
    engine: &Engine,
    job: &Job,
    linked: wasmtime::Result<InstancePre<State>>,
    sidecars: &BTreeMap<String, Bytes>,
) -> Result<Loaded, LoadError> {
    report(Report::Stage(StageName::Load));
    let allowed = Duration::from_millis(job.load.deadline_ms);

    // The parent limits the wall-clock time, because the time in which this process is paused does
    // not count.
    let budget = Budget::new(Instant::now(), Duration::MAX, allowed);
    let config = ConfigValues::new(job.config.clone(), Arc::default());
    let sidecars =
        sidecars.iter().map(|(name, content)| (name.clone(), Sidecar::Content(content.clone())));
    let sidecars =
        Sidecars::new(sidecars.collect(), None).with_model_file(job.model_file.as_deref());
    let grants = Grants {
        config,
        sidecars,
        http: None,
        key_value: None,
        sql: None,
        // Kernels reach nothing but the guest's own memory, so `load` has them whatever is granted.
        kernels: Some(KernelGrant::default()),
        log: Arc::new(|line| report(line.into())),
    };

    let mut store = unmetered_store(engine, &grants, job.load.memory, budget.clone())?;
    // The CPU time of compiling does not count.
    budget.resume(ThreadKind::Request);

    let outcome = match linked {
        Ok(linked) => call_load(&linked, &mut store).await,
        Err(error) => Err(CallError::Engine(error)),
    };
    let (instance, metadata) = outcome.map_err(|error| error.explain(job, &store))?;

    metadata.check().map_err(load_error)?;
    Ok(Loaded { store, instance, metadata })
}

/// A store that is charged to no tenant: the process is limited as a whole.
fn unmetered_store(
    engine: &Engine,
    grants: &Grants,
    memory: u64,
    budget: Budget,
) -> Result<Store<State>, LoadError> {
    let tenant = Tenant::unlimited(TenantName::default_tenant());
    let share = CpuShare::new(tenant.account().clone());
    let call = Call { budget, share, context: Arc::default() };
    new_store(engine, grants, memory, call, &tenant).map_err(|error| load_error(error.to_string()))
}

async fn call_load(
    pre: &InstancePre<State>,
    store: &mut Store<State>,
) -> Result<(Instance, Metadata), CallError> {
    let instance = pre.instantiate_async(&mut *store).await?;
    let inference = inference::GuestIndices::new(pre)?.load(&mut *store, &instance)?;

    store.data_mut().ctx.set_loading(true);
    let outcome = inference.call_load(&mut *store).await;
    store.data_mut().ctx.set_loading(false);

    match outcome? {
        Ok(metadata) => Ok((instance, metadata.into())),
        Err(error) => Err(CallError::Model(error.into())),
    }
}

/// The reason why `load` returned no metadata.
enum CallError {
    Engine(wasmtime::Error),
    Model(InferError),
}

impl From<wasmtime::Error> for CallError {
    fn from(error: wasmtime::Error) -> Self {
        CallError::Engine(error)
    }
}

impl CallError {
    fn explain(self, job: &Job, store: &Store<State>) -> LoadError {
        let error = match self {
            CallError::Engine(error) if trap::is_host_out_of_memory(&error, store.data()) => {
                return starved(&job.limits, &trap::detail(&error, store.data()));
            }
            CallError::Engine(error) => trap::classify(&error, store.data()),
            CallError::Model(error) => error,
        };
        let seconds = Duration::from_millis(job.load.deadline_ms);

        LoadError::new(
            Stage::Load,
            match error {
                InferError::Trapped { detail } => format!("load did not return: {detail}"),
                InferError::OutOfMemory { limit, detail } => {
                    format!(
                        "load needed more than the {limit} bytes that limits.memory allows: {detail}"
                    )
                }
                InferError::DeadlineExceeded(_) | InferError::CpuTimeExceeded(_) => {
                    format!("load took longer than {seconds:?}")
                }
                InferError::Rejected(text) | InferError::Failed(text) => {
                    format!("load failed: {text}{}", memory_hint(store.data()))
                }
                other => other.to_string(),
            },
        )
    }
}

/// Returns the cause of an error that a guest returned after it got no more memory.
fn memory_hint(state: &State) -> String {
    match state.memory.exceeded() {
        Some(ExceededLimit::Model) => format!(
            "; load needed more than the {} bytes that limits.memory allows",
            state.memory.limit()
        ),
        _ => String::new(),
    }
}

/// The error of a `load` that did not fit into this process beside the compiler.
fn starved(limits: &CompileLimits, detail: &str) -> LoadError {
    let limit = limits.memory >> 20;
    load_error(format!(
        "load needed more than the {limit} MiB of memory allowed for compiling (compile.memory): \
         {detail}"
    ))
}

fn load_error(reason: String) -> LoadError {
    LoadError::new(Stage::Load, reason)
}
