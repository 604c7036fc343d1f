//! The compile process: every step from a component to an artifact.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};

use super::super::artifact::{ArtifactContent, Form, ModelInfo, Snapshot, write_error};
use super::super::{Engine, Role};
use super::run_load::run_load;
use super::steps::{compile, compile_error, host_error, report, write};
use super::{
    CompileLimits, InputFile, Job, Report, StageName, descriptors, snapshot, split_model, validate,
};
use crate::files::read_from;
use crate::model::{Digest, LoadError, Metadata, Stage};
use crate::tenant::FairScheduler;

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

async fn make_artifact(job: &Job, files: Vec<File>) -> Result<(), LoadError> {
    report(Report::Stage(StageName::Read));
    let mut files = files.into_iter();
    let component = read("the component", &job.component, files.next())?;
    let sidecars = job
        .sidecars
        .iter()
        .map(|(name, input)| Ok((name.clone(), Bytes::from(read(name, input, files.next())?))));
    let sidecars = sidecars.collect::<Result<BTreeMap<_, _>, LoadError>>()?;

    let engine =
        Engine::for_compile_process(&job.engine_config(), FairScheduler::for_this_machine());
    let engine = engine.map_err(|error| LoadError::new(Stage::Host, format!("{error:#}")))?;
    let _ticking = engine.keep_ticking();

    report(Report::Stage(StageName::Validate));
    if job.role == Role::Model
        && let Some(model) = split_model::compile(&engine, job, &component, &sidecars).await?
    {
        return model.write(job);
    }

    validate::validate_component(&component, job.role, &job.granted)?;
    let (code, about) = match job.role {
        Role::Model => compile_and_snapshot(&engine, job, &component, &sidecars).await?,
        Role::Interceptor => compile_interceptor(&engine, &component)?,
    };

    let content = ArtifactContent::new(&code, &Form::Whole, &about, &sidecars);
    write(job, &content.map_err(write_error)?, 0)
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
    let linked = engine.linker().instantiate_pre(&compiled);
    let mut loaded = run_load(engine, job, linked, sidecars).await?;

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
    let linked = engine.linker().instantiate_pre(&compiled);
    let loaded = run_load(engine, job, linked, sidecars).await?;
    Ok((code, ModelInfo { metadata: loaded.metadata, snapshot: Snapshot::Impossible(reason) }))
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
