//! The parent's side: starting compile children when their turn has come.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::Job;
use super::follow::Following;
use super::slots::Slots;
use crate::capability::LogSink;
use crate::model::{LoadError, Stage};
use crate::tenant::{Tenant, Turns};

/// Runs compile children: a bounded number at work at a time, which all tenants share by weight. A clone is shallow.
#[derive(Clone)]
pub struct Compiler {
    program: PathBuf,
    slots: Slots,
}

impl Compiler {
    /// A compiler that starts `program compile`: at most `children` at a time, of which at most `jobs` compute. While
    /// calls take turns, at most half as many compute as there are cores.
    pub fn new(program: PathBuf, jobs: usize, children: usize, turns: Arc<Turns>) -> Self {
        Compiler { program, slots: Slots::new(jobs, children, turns) }
    }

    /// Makes the artifact that the tenant's job describes. Waits for the tenant's turn; no time limit counts before
    /// it. Calls `progress` whenever a stage begins and `log` for every line the guest writes. Dropping the future ends
    /// the child.
    pub async fn run(
        &self,
        tenant: &Tenant,
        job: &Job,
        progress: &(dyn Fn(Stage) + Send + Sync),
        log: &LogSink,
    ) -> Result<(), LoadError> {
        let place = self.slots.line_up(tenant);
        place.granted().await;
        let child = self.start(job).await;
        let child = child.map_err(|error| in_host(format!("cannot start a compile child: {error}")))?;
        let following = Following::new(child, place, job, progress, log);
        following.map_err(|error| in_host(format!("cannot follow a compile child: {error}")))?.run().await
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

pub(super) fn in_host(reason: impl Into<String>) -> LoadError {
    LoadError::new(Stage::Host, reason)
}
