//! The parent's side: starting a compile child, following it and explaining its end.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::Semaphore;

use super::{Job, Report, level};
use crate::capability::{LogLine, LogSink};
use crate::model::{LoadError, RequestId, Stage};

/// Runs compile children, a bounded number at a time. A clone is shallow.
#[derive(Clone)]
pub struct Compiler {
    program: PathBuf,
    permits: Arc<Semaphore>,
}

/// The longest line a child may write; a guest's log lines are cut well below it.
const MAX_LINE: u64 = 64 << 10;

/// How much of a child's standard error is kept to explain its end, in bytes.
const MAX_STDERR: u64 = 16 << 10;

impl Compiler {
    /// A compiler that starts `program compile`, at most `jobs` at a time.
    pub fn new(program: PathBuf, jobs: usize) -> Self {
        Compiler { program, permits: Arc::new(Semaphore::new(jobs)) }
    }

    /// Makes the artifact that the job describes. Calls `progress` whenever a stage begins and `log`
    /// for every line the guest writes. Dropping the future ends the child.
    pub async fn run(
        &self,
        job: &Job,
        progress: &(dyn Fn(Stage) + Send + Sync),
        log: &LogSink,
    ) -> Result<(), LoadError> {
        let _permit = self.permits.acquire().await.map_err(|_| broken("the compiler is closed"))?;
        let child = self.start(job).await.map_err(|error| broken(format!("cannot start a compile child: {error}")))?;
        let mut last = Stage::Read;
        let watch = follow(child, &mut last, progress, log);
        match tokio::time::timeout(job.limits.wall_time, watch).await {
            Ok(Ok(outcome)) => outcome.map_err(|end| end.explain(last, job)),
            Ok(Err(error)) => Err(broken(format!("lost the compile child: {error}"))),
            Err(_) => Err(LoadError::new(last, format!("took longer than {:?}", job.limits.wall_time))),
        }
    }

    async fn start(&self, job: &Job) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        // Nothing of the server's environment is any business of a process that runs guest code.
        command.arg("compile").env_clear().current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().ok_or_else(|| io::Error::other("no standard input"))?;
        stdin.write_all(&serde_json::to_vec(job)?).await?;
        Ok(child)
    }
}

/// How a child ended that did not succeed.
enum End {
    Reported(LoadError),
    Died { status: ExitStatus, stderr: String },
}

async fn follow(
    mut child: Child,
    last: &mut Stage,
    progress: &(dyn Fn(Stage) + Send + Sync),
    log: &LogSink,
) -> io::Result<Result<(), End>> {
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
    let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no standard error"))?;
    let stderr = tokio::spawn(read_stderr(stderr));
    let mut lines = BufReader::new(stdout);
    let mut line = String::new();
    loop {
        line.clear();
        if (&mut lines).take(MAX_LINE).read_line(&mut line).await? == 0 {
            let status = child.wait().await?;
            let stderr = stderr.await.unwrap_or_default();
            return Ok(Err(End::Died { status, stderr }));
        }
        match serde_json::from_str(&line)? {
            Report::Stage(stage) => {
                *last = stage.into();
                progress(*last);
            }
            Report::Log { level: name, context, message } => {
                log(LogLine { level: level(&name), context, message, request_id: RequestId::none() });
            }
            Report::Done => return Ok(Ok(())),
            Report::Failed { stage, reason } => {
                return Ok(Err(End::Reported(LoadError::new(stage.into(), reason))));
            }
        }
    }
}

async fn read_stderr(stderr: ChildStderr) -> String {
    let mut content = Vec::new();
    // What is beyond the bound is left unread; the child may block on it until it is killed.
    let _ = stderr.take(MAX_STDERR).read_to_end(&mut content).await;
    String::from_utf8_lossy(&content).trim().to_owned()
}

impl End {
    fn explain(self, stage: Stage, job: &Job) -> LoadError {
        let (status, stderr) = match self {
            End::Reported(error) => return error,
            End::Died { status, stderr } => (status, stderr),
        };
        let limits = &job.limits;
        if stderr.contains("memory allocation of") {
            let limit = limits.memory >> 20;
            return LoadError::new(stage, format!("needed more than the {limit} MiB of memory allowed for compiling"));
        }
        if status.signal() == Some(rustix::process::Signal::XCPU.as_raw()) {
            let limit = limits.cpu_time;
            return LoadError::new(stage, format!("needed more than the {limit:?} of CPU time allowed for compiling"));
        }
        tracing::error!(%status, %stderr, "a compile child died");
        LoadError::new(stage, format!("the compile process ended unexpectedly ({status})"))
    }
}

fn broken(reason: impl Into<String>) -> LoadError {
    LoadError::new(Stage::Host, reason)
}
