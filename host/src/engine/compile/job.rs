//! The compile process: every step from a component to an artifact.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, nice, set_parent_process_death_signal, setrlimit,
};
use wasmtime::Store;
use wasmtime::component::{Component, Instance};

use super::super::artifact::{
    ArtifactContent, ModelInfo, Snapshot, storage_exceeded, write_artifact, write_error,
};
use super::super::bindings::inference;
use super::super::budget::ThreadKind;
use super::super::instance::new_store;
use super::super::store_state::State;
use super::super::{Budget, Call, Engine, trap};
use super::{
    CompileLimits, InputFile, Job, Report, Role, StageName, StorageLeft, descriptors, snapshot,
    validate,
};
use crate::capability::{ConfigValues, Grants, Sidecar, Sidecars};
use crate::files::read_from;
use crate::model::{Digest, InferError, LoadError, Metadata, Stage, TenantName};
use crate::tenant::{CpuShare, FairScheduler, Tenant};

/// Runs the job from standard input and reports to standard output. Fails only if it cannot report.
pub fn run() -> anyhow::Result<()> {
    let files = descriptors::receive(io::stdin())?;
    let mut job = Vec::new();
    io::stdin().read_to_end(&mut job)?;

    let job: Job = serde_json::from_slice(&job)?;
    report_panics();

    report(match run_confined(&job, files) {
        Ok(()) => Report::Done,
        Err(error) => error.into(),
    });
    Ok(())
}

fn run_confined(job: &Job, files: Vec<File>) -> Result<(), LoadError> {
    confine(&job.limits).map_err(|error| host_error("confine the compile process", &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime
        .map_err(|error| host_error("start the compile process", &error))?
        .block_on(make_artifact(job, files))
}

/// Reports the message of a panic. Its location is written to the host's log only.
fn report_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));

        report(Report::Panicked {
            message: text.unwrap_or("without a message").chars().take(MAX_MESSAGE).collect(),
        });
        tell(panic);
    }));
}

/// The longest reported panic message, in characters.
const MAX_MESSAGE: usize = 1000;

/// Sets the limits of this process, until its end.
fn confine(limits: &CompileLimits) -> anyhow::Result<()> {
    // Without its parent the process could not report.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let exactly = |value| Rlimit { current: Some(value), maximum: Some(value) };

    // Private writable memory. The address space is not limited: the engine reserves terabytes of
    // it and uses next to none.
    setrlimit(Resource::Data, exactly(limits.memory))?;

    let seconds = limits.cpu_time.as_secs().max(1);
    // The soft limit sends a signal that identifies the reason; the hard limit kills.
    setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: Some(seconds + 5) })?;
    setrlimit(Resource::Core, exactly(0))?;

    // Requests have precedence. Not the lowest priority, or a busy server would never load an
    // update.
    nice(10)?;
    Ok(())
}

fn report(report: Report) {
    let mut out = io::stdout().lock();
    // If the parent is gone, the report is lost.
    let _ = serde_json::to_writer(&mut out, &report)
        .map_err(io::Error::from)
        .and_then(|()| writeln!(out));
}

async fn make_artifact(job: &Job, files: Vec<File>) -> Result<(), LoadError> {
    report(Report::Stage(StageName::Read));
    let mut files = files.into_iter();
    let component = read("the component", &job.component, files.next())?;
    let sidecars = job
        .sidecars
        .iter()
        .map(|(name, input)| Ok((name.clone(), Bytes::from(read(name, input, files.next())?))));
    let sidecars = sidecars.collect::<Result<BTreeMap<_, _>, LoadError>>()?;

    report(Report::Stage(StageName::Validate));
    validate::validate_component(&component, job.role, &job.granted)?;

    let engine =
        Engine::for_compile_process(&job.engine_config(), FairScheduler::for_this_machine());
    let engine = engine.map_err(|error| LoadError::new(Stage::Host, format!("{error:#}")))?;
    let _ticking = engine.keep_ticking();
    let (code, about) = match job.role {
        Role::Model => compile_and_snapshot(&engine, job, &component, &sidecars).await?,
        Role::Interceptor => compile_interceptor(&engine, &component)?,
    };

    write(job, &ArtifactContent::new(&code, &about, &sidecars).map_err(write_error)?)
}

/// Writes the artifact, if it fits into the tenant's storage.
fn write(job: &Job, content: &ArtifactContent<'_>) -> Result<(), LoadError> {
    let StorageLeft { left, quota } = job.storage;
    if content.size() > left {
        return Err(storage_exceeded(content.size(), quota, left));
    }

    limit_file_size(left).map_err(|error| host_error("limit the size of files", &error))?;
    write_artifact(&job.output, content).map_err(write_error)
}

/// Limits the size of each file written from now on. Not earlier, because the engine keeps memory
/// in files as well.
fn limit_file_size(size: u64) -> io::Result<()> {
    let size = getrlimit(Resource::Fsize).maximum.unwrap_or(u64::MAX).min(size);
    if size < u64::MAX {
        setrlimit(Resource::Fsize, Rlimit { current: Some(size), maximum: Some(size) })?;
    }
    Ok(())
}

/// Compiles and loads the model, and takes a snapshot if possible. Returns the machine code and the
/// model's description.
async fn compile_and_snapshot(
    engine: &Engine,
    job: &Job,
    component: &[u8],
    sidecars: &BTreeMap<String, Bytes>,
) -> Result<(Vec<u8>, ModelInfo), LoadError> {
    let instrumented = match snapshot::instrument(component) {
        Ok(instrumented) => instrumented,
        Err(reason) => {
            return compile_without_snapshot(engine, job, component, sidecars, reason).await;
        }
    };

    let (_, compiled) = compile(engine, instrumented.bytes())?;
    let mut loaded = load(engine, job, &compiled, sidecars).await?;

    if let Some(reason) = snapshot::too_large(loaded.store.data().memory.used(), component.len()) {
        drop(loaded);
        return compile_without_snapshot(engine, job, component, sidecars, reason).await;
    }

    let taken = match instrumented.take_snapshot(&mut loaded.store, loaded.instance).await {
        Ok(taken) => taken,
        Err(reason) => {
            return compile_without_snapshot(engine, job, component, sidecars, reason).await;
        }
    };

    drop(loaded.store);
    report(Report::Stage(StageName::Compile));

    let code = engine.wasmtime().precompile_component(&taken).map_err(compile_error)?;
    Ok((code, ModelInfo { metadata: loaded.metadata, snapshot: Snapshot::Taken }))
}

/// Compiles an interceptor. It has no `load` and no metadata, so its memory starts as compiled.
fn compile_interceptor(
    engine: &Engine,
    component: &[u8],
) -> Result<(Vec<u8>, ModelInfo), LoadError> {
    let (code, _) = compile(engine, component)?;
    Ok((code, ModelInfo { metadata: Metadata::default(), snapshot: Snapshot::Taken }))
}

async fn compile_without_snapshot(
    engine: &Engine,
    job: &Job,
    component: &[u8],
    sidecars: &BTreeMap<String, Bytes>,
    reason: String,
) -> Result<(Vec<u8>, ModelInfo), LoadError> {
    let (code, compiled) = compile(engine, component)?;
    let loaded = load(engine, job, &compiled, sidecars).await?;
    Ok((code, ModelInfo { metadata: loaded.metadata, snapshot: Snapshot::Impossible(reason) }))
}

fn compile(engine: &Engine, component: &[u8]) -> Result<(Vec<u8>, Component), LoadError> {
    report(Report::Stage(StageName::Compile));
    let compiled = Component::new(engine.wasmtime(), component).map_err(compile_error)?;
    Ok((compiled.serialize().map_err(compile_error)?, compiled))
}

struct Loaded {
    store: Store<State>,
    instance: Instance,
    metadata: Metadata,
}

async fn load(
    engine: &Engine,
    job: &Job,
    component: &Component,
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
        log: Arc::new(|line| report(line.into())),
    };

    let mut store = unmetered_store(engine, &grants, job.load.memory, budget.clone())?;
    // The CPU time of compiling does not count.
    budget.resume(ThreadKind::Request);

    let outcome = call_load(engine, component, &mut store).await;
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
    engine: &Engine,
    component: &Component,
    store: &mut Store<State>,
) -> Result<(Instance, Metadata), CallError> {
    let pre = engine.linker().instantiate_pre(component)?;
    let instance = pre.instantiate_async(&mut *store).await?;
    let inference = inference::GuestIndices::new(&pre)?.load(&mut *store, &instance)?;

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
                    format!("load failed: {text}")
                }
                other => other.to_string(),
            },
        )
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

fn read(name: &str, input: &InputFile, file: Option<File>) -> Result<Vec<u8>, LoadError> {
    let file = file.ok_or_else(|| {
        LoadError::new(Stage::Host, format!("{name} was not handed to the compile process"))
    })?;
    let content = read_from(file, u64::MAX)
        .map_err(|error| LoadError::new(Stage::Read, format!("cannot read {name}: {error}")))?;

    if Digest::sha256(&content).to_string() != input.sha256 {
        return Err(LoadError::new(Stage::Read, format!("{name} changed while it was being read")));
    }

    Ok(content)
}

/// Returns a compile error, or a host error if the machine has run out of a resource.
fn compile_error(error: impl Into<anyhow::Error>) -> LoadError {
    let error = error.into();
    let exhausted =
        error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(is_exhaustion);
    LoadError::new(if exhausted { Stage::Host } else { Stage::Compile }, format!("{error:#}"))
}

/// True if the machine is out of threads, descriptors or disk. Memory does not count: this process
/// has a limit of its own.
fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOSPC, Errno::DQUOT];
    error
        .raw_os_error()
        .is_some_and(|number| exhausted.iter().any(|errno| errno.raw_os_error() == number))
}

fn host_error(what: &str, error: &dyn std::fmt::Display) -> LoadError {
    LoadError::new(Stage::Host, format!("cannot {what}: {error}"))
}

fn load_error(reason: String) -> LoadError {
    LoadError::new(Stage::Load, reason)
}
