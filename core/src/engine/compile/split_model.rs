//! Compiles a model that can be split: into its state, and the code that it shares with others.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use bytes::Bytes;
use wasmtime::Module;
use wasmtime::component::Component;

use super::super::artifact::{
    ArtifactContent, ArtifactKey, Form, ModelInfo, SHARED_CODE_PREFIX, Snapshot, read_artifact,
    write_artifact, write_error,
};
use super::super::{Engine, map_artifact};
use super::run_load::run_load;
use super::split::{LoadedState, SplitComponent, check_instructions};
use super::steps::{self, check_fits, compile_error, report, write};
use super::{Job, Report, StageName, snapshot, validate};
use crate::model::LoadError;

/// A compiled model without its code.
pub(super) struct SplitModel {
    state: Vec<u8>,
    form: Form,
    info: ModelInfo,
    /// Bytes of shared code that were written for it.
    written: u64,
}

/// Compiles the model, loads it and takes a snapshot. Makes the shared code if the tenant does not
/// have it. Returns `None` if the component must be compiled whole.
pub(super) async fn compile(
    engine: &Engine,
    job: &Job,
    component: &[u8],
    sidecars: &BTreeMap<String, Bytes>,
) -> Result<Option<SplitModel>, LoadError> {
    let Ok(split) = SplitComponent::new(component) else { return Ok(None) };
    let key = ArtifactKey::of_shared_code(&job.code_scope, &split.code);

    let (code, written) = match find_code(engine, job, &key) {
        Some(code) => {
            validate::validate_known_component(component, job.role, &job.granted)?;
            (code, 0)
        }
        None => {
            validate::validate_component(component, job.role, &job.granted)?;
            if check_instructions(component).is_err() {
                return Ok(None);
            }
            make_code(engine, job, &key, &split)?
        }
    };

    let Some((state, info)) = load_state(engine, job, &split, &code, sidecars).await? else {
        return Ok(None);
    };
    Ok(Some(SplitModel { state, form: Form::State { code: key }, info, written }))
}

impl SplitModel {
    /// Writes the artifact, if it fits into the tenant's storage.
    pub(super) fn write(&self, job: &Job) -> Result<(), LoadError> {
        let none = BTreeMap::new();
        let content = ArtifactContent::new(&self.state, &self.form, &self.info, &none);
        write(job, &content.map_err(write_error)?, self.written)
    }
}

/// Maps the shared code from the tenant's artifacts; `None` if it is not there, or not as it was
/// written.
fn find_code(engine: &Engine, job: &Job, key: &ArtifactKey) -> Option<Component> {
    let files = read_artifact(&job.artifacts.join(key.to_string())).ok()?;
    match files.form {
        Form::Code { .. } => map_artifact::map_artifact(engine.wasmtime(), &files.code).ok(),
        Form::Whole | Form::State { .. } => None,
    }
}

/// Compiles the shared code and writes it beside the model's artifact. Returns it and its size in
/// bytes.
fn make_code(
    engine: &Engine,
    job: &Job,
    key: &ArtifactKey,
    split: &SplitComponent,
) -> Result<(Component, u64), LoadError> {
    let (machine_code, component) = steps::compile(engine, &split.code)?;
    let content = ArtifactContent::of_shared_code(&machine_code, split.tables);
    let content = content.map_err(write_error)?;

    check_fits(&content, &job.storage)?;
    write_code(job, key, &content).map_err(write_error)?;
    Ok((component, content.size()))
}

/// Writes shared code under another name first, so that the parent never finds a part of it.
fn write_code(job: &Job, key: &ArtifactKey, content: &ArtifactContent<'_>) -> io::Result<()> {
    let unfinished = job.output.join("unfinished-code");
    fs::create_dir(&unfinished)?;
    write_artifact(&unfinished, content)?;
    fs::rename(unfinished, job.output.join(format!("{SHARED_CODE_PREFIX}{key}")))
}

/// Runs `load` and compiles the state that it leaves. Returns `None` if that is not only memory.
async fn load_state(
    engine: &Engine,
    job: &Job,
    split: &SplitComponent,
    code: &Component,
    sidecars: &BTreeMap<String, Bytes>,
) -> Result<Option<(Vec<u8>, ModelInfo)>, LoadError> {
    let initial = Module::new(engine.wasmtime(), &split.initial_state).map_err(compile_error)?;
    let linked = engine.link_state(code, &initial);
    let mut loaded = run_load(engine, job, linked, sidecars).await?;
    if snapshot::too_large(loaded.store.data().memory.used(), 0).is_some() {
        return Ok(None);
    }

    let state = LoadedState::read(split, &mut loaded.store, loaded.instance).await;
    let state = state.map_err(compile_error)?;
    drop(loaded.store);

    report(Report::Stage(StageName::Compile));
    let Ok(state) = state.into_module(split) else { return Ok(None) };
    let state = engine.wasmtime().precompile_module(&state).map_err(compile_error)?;
    Ok(Some((state, ModelInfo { metadata: loaded.metadata, snapshot: Snapshot::Taken })))
}
