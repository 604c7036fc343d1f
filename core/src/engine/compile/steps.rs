//! Steps that every compilation takes, and their errors.

use std::io::{self, Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wasmtime::component::Component;

use super::super::Engine;
use super::super::artifact::{ArtifactContent, storage_exceeded, write_artifact, write_error};
use super::{Job, Report, StageName, StorageLeft};
use crate::model::{LoadError, Stage};

/// Reports to the parent.
pub(super) fn report(report: Report) {
    let mut out = io::stdout().lock();
    // If the parent is gone, the report is lost.
    let _ = serde_json::to_writer(&mut out, &report)
        .map_err(io::Error::from)
        .and_then(|()| writeln!(out));
}

/// Compiles a component. Returns its machine code and the component itself.
pub(super) fn compile(
    engine: &Engine,
    component: &[u8],
) -> Result<(Vec<u8>, Component), LoadError> {
    report(Report::Stage(StageName::Compile));
    let compiled = Component::new(engine.wasmtime(), component).map_err(compile_error)?;
    Ok((compiled.serialize().map_err(compile_error)?, compiled))
}

/// Writes the artifact, if it fits into the tenant's storage beside `written` bytes.
pub(super) fn write(
    job: &Job,
    content: &ArtifactContent<'_>,
    written: u64,
) -> Result<(), LoadError> {
    let left = job.storage.left;
    let left = if left == u64::MAX { left } else { left.saturating_sub(written) };
    check_fits(content, &StorageLeft { left, ..job.storage })?;

    limit_file_size(left).map_err(|error| host_error("limit the size of files", &error))?;
    write_artifact(&job.output, content).map_err(write_error)
}

/// Fails if the artifact does not fit into what is left of the tenant's storage.
pub(super) fn check_fits(
    content: &ArtifactContent<'_>,
    storage: &StorageLeft,
) -> Result<(), LoadError> {
    let StorageLeft { left, quota } = *storage;
    let size = content.size();
    if size > left { Err(storage_exceeded(size, quota, left)) } else { Ok(()) }
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

/// Returns a compile error, or a host error if the machine has run out of a resource.
pub(super) fn compile_error(error: impl Into<anyhow::Error>) -> LoadError {
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

/// Returns the error of an operation of the host that failed.
pub(super) fn host_error(what: &str, error: &dyn std::fmt::Display) -> LoadError {
    LoadError::new(Stage::Host, format!("cannot {what}: {error}"))
}
