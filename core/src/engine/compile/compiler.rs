//! Starting compile processes when their tenant's turn comes.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use rustix::fs::MemfdFlags;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::compile_slots::CompileSlots;
use super::config::CompileConfig;
use super::monitor::ProcessMonitor;
use super::{InputSource, Job, descriptors, host_error};
use crate::blocking;
use crate::capability::LogSink;
use crate::model::{LoadError, Stage};
use crate::tenant::{FairScheduler, Tenant};

/// Settings of the allocator (mimalloc) in a compile process. Memory counts against
/// `compile.memory` as soon as it is writable, and by default the allocator makes one GiB writable
/// at once, and 32 MiB for each thread.
const ALLOCATOR: [(&str, &str); 2] =
    [("MIMALLOC_ARENA_EAGER_COMMIT", "0"), ("MIMALLOC_EAGER_COMMIT", "0")];

/// Runs compile processes. Their number is bounded, and tenants share the slots by weight. A clone
/// is shallow.
#[derive(Clone)]
pub struct Compiler {
    program: PathBuf,
    slots: CompileSlots,
}

impl Compiler {
    /// A compiler that starts `program compile`, at most `children` of the settings at a time, of
    /// which at most `jobs` compute. While guest calls take turns, at most half as many compute as
    /// there are cores.
    pub fn new(config: &CompileConfig, program: PathBuf, turns: Arc<FairScheduler>) -> Self {
        let slots = CompileSlots::new(config.jobs as usize, config.children as usize, turns);
        Compiler { program, slots }
    }

    /// Makes the artifact that a job describes. Waits for the tenant's turn; no time limit runs
    /// before it. Calls `progress` at the start of each stage, and `log` for every line the guest
    /// writes. Dropping the future ends the compile process.
    pub async fn run(
        &self,
        tenant: &Tenant,
        job: &Job,
        progress: &(dyn Fn(Stage) + Send + Sync),
        log: &LogSink,
    ) -> Result<(), LoadError> {
        let queued = self.slots.enqueue(tenant);
        queued.wait_for_slot().await;

        let files = open(job).await?;

        let child = self.start(job, &files).await;
        let child =
            child.map_err(|error| host_error(format!("cannot start a compile child: {error}")))?;

        let monitor = ProcessMonitor::new(child, queued, job, progress, log);
        monitor
            .map_err(|error| host_error(format!("cannot follow a compile child: {error}")))?
            .run()
            .await
    }

    async fn start(&self, job: &Job, files: &[File]) -> io::Result<Child> {
        let (own, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&self.program);

        // The process runs guest code, so it receives nothing of the server's environment.
        command.arg("compile").env_clear().envs(ALLOCATOR).current_dir("/").kill_on_drop(true);
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).stderr(Stdio::piped());

        let child = command.spawn()?;
        own.set_nonblocking(true)?;
        descriptors::send(&own, files)?;

        let mut own = tokio::net::UnixStream::from_std(own)?;
        own.write_all(&serde_json::to_vec(job)?).await?;
        own.shutdown().await?;

        Ok(child)
    }
}

/// Opens the files of a job, in the order in which the compile process expects them.
async fn open(job: &Job) -> Result<Vec<File>, LoadError> {
    let component = std::iter::once(("component", &job.component));
    let sidecars = job.sidecars.iter().map(|(name, input)| (name.as_str(), input));
    let inputs =
        component.chain(sidecars).map(|(name, input)| (name.to_owned(), input.source.clone()));
    let inputs: Vec<_> = inputs.collect();

    let opened = blocking::run(move || inputs.into_iter().map(open_one).collect()).await;
    opened.map_err(|error| host_error(format!("opening the files ended early: {error}")))?
}

fn open_one((name, source): (String, InputSource)) -> Result<File, LoadError> {
    match source {
        InputSource::Unknown => Err(host_error(format!("{name}: no file is given"))),
        InputSource::File(file) => file
            .open()
            .map_err(|error| LoadError::new(Stage::Read, format!("cannot read {name}: {error}"))),
        InputSource::Content(content) => memory_file(&content)
            .map_err(|error| host_error(format!("{name}: cannot hold it in memory: {error}"))),
    }
}

/// Returns an open file without a name that holds the content.
fn memory_file(content: &[u8]) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("runtime", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn content_in_memory_is_read_like_a_file() {
        let source = InputSource::Content(bytes::Bytes::from_static(b"component"));
        let mut read = String::new();
        open_one(("a".into(), source)).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, "component");
        assert_eq!(open_one(("a".into(), InputSource::Unknown)).unwrap_err().stage, Stage::Host);
    }
}
