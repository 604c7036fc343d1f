//! Making an artifact of a component, in a child process.
//!
//! Compiling is the one thing here whose cost a stranger chooses: a small file can keep a compiler
//! busy for minutes and gigabytes. So it happens in a process of its own, `wardian compile`, with
//! limits on memory, CPU and time and with low priority, together with running the guest's `load`
//! and taking the snapshot. When a limit is passed the child dies and nobody else notices.
//!
//! [`child`] is the parent's side. A job waits in the [`queue`], which all tenants share by weight.
//! Then [`child`] starts the process, [`follow`] follows its [`Report`]s and stops it while others
//! have a better claim, and [`end`] explains its end.
//!
//! [`job`] is the child's side: [`validate`], compile, load, [`snapshot`], write. A [`Job`] goes in
//! on standard input as one JSON document, after its files as open [`descriptors`]; reports come
//! out on standard output, one JSON document a line.

mod child;
mod clock;
mod descriptors;
mod end;
mod follow;
pub mod job;
mod queue;
mod slots;
mod snapshot;
mod usage;
pub mod validate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use child::Compiler;

use super::EngineConfig;
use crate::capability::{Level, LogLine};
use crate::files::FileIn;
use crate::model::{Capability, LoadError, ModelName, Stage};

/// What a compile child is to do and within which limits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What the component is to be.
    pub role: Role,
    /// The component.
    pub component: Input,
    /// The files that its `load` may read, by name.
    pub sidecars: BTreeMap<String, Input>,
    /// The values that its `load` may ask `wasi:config` for.
    pub config: BTreeMap<String, String>,
    /// What the model is granted. Nothing of it can be used during `load`, but its imports need the
    /// grant.
    pub granted: Vec<Capability>,
    /// The directory to write the artifact into.
    pub output: PathBuf,
    /// How large the artifact may be.
    pub storage: StorageLeft,
    /// What the guest's `load` may use.
    pub load: LoadLimits,
    /// What the child itself may use.
    pub limits: CompileLimits,
    /// The most bytes of memory that the engine lets any guest have.
    pub max_memory: u64,
    /// Bytes of stack that the engine gives a guest.
    pub stack: u64,
}

/// What a component is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// To answer requests. It is loaded once, and snapshotted.
    Model,
    /// To wrap models. It has nothing to load.
    Interceptor,
}

impl Role {
    /// What a component is wanted for that goes by this name.
    pub fn of(name: &ModelName) -> Self {
        if name.is_interceptor() { Role::Interceptor } else { Role::Model }
    }
}

/// A file whose content is known by its digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Input {
    /// SHA-256 of its content, in hexadecimal; the job fails if the file no longer matches.
    pub sha256: String,
    /// The file, which goes to the child as an open descriptor: the component's first, then the
    /// sidecars' in the order of their names.
    #[serde(skip)]
    pub file: Option<FileIn>,
}

/// How large an artifact may be, in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StorageLeft {
    /// What is left of the tenant's quota `storage`; [`u64::MAX`] where there is none.
    pub left: u64,
    /// The quota.
    pub quota: u64,
}

/// What a guest's `load` may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadLimits {
    /// Bytes of guest memory.
    pub memory: u64,
    /// Wall-clock and CPU time, in milliseconds.
    pub deadline_ms: u64,
}

/// What a compile child may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileLimits {
    /// Bytes of memory.
    pub memory: u64,
    /// CPU time.
    pub cpu_time: Duration,
    /// Wall-clock time.
    pub wall_time: Duration,
}

impl Default for CompileLimits {
    // The largest model measured (20 MB of code) took 11 s and less than 1 GiB; its tenfold is a
    // bomb.
    fn default() -> Self {
        CompileLimits {
            memory: 4 << 30,
            cpu_time: Duration::from_secs(120),
            wall_time: Duration::from_secs(240),
        }
    }
}

impl Job {
    fn engine_config(&self) -> EngineConfig {
        EngineConfig { max_memory: self.max_memory, instances: 1, stack: self.stack }
    }
}

/// What a compile child says, one line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// It has come to that stage.
    Stage(StageName),
    /// The guest wrote a log line while loading.
    Log { level: String, context: String, message: String },
    /// The artifact is written.
    Done,
    /// It cannot be made.
    Failed { stage: StageName, reason: String },
    /// The child has met a fault of its own.
    Panicked { message: String },
}

/// A [`Stage`] as it is written down.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StageName {
    Read,
    Validate,
    Compile,
    Load,
    Quota,
    Host,
    Disk,
}

impl From<StageName> for Stage {
    fn from(name: StageName) -> Stage {
        match name {
            StageName::Read => Stage::Read,
            StageName::Validate => Stage::Validate,
            StageName::Compile => Stage::Compile,
            StageName::Load => Stage::Load,
            StageName::Quota => Stage::Quota,
            StageName::Host => Stage::Host,
            StageName::Disk => Stage::Disk,
        }
    }
}

impl From<LoadError> for Report {
    fn from(error: LoadError) -> Report {
        let stage = match error.stage {
            Stage::Read => StageName::Read,
            Stage::Validate => StageName::Validate,
            Stage::Load => StageName::Load,
            Stage::Compile
            | Stage::Link
            | Stage::WarmUp
            | Stage::Golden
            | Stage::Intercept
            | Stage::Migrate
            | Stage::Serve => StageName::Compile,
            Stage::Quota => StageName::Quota,
            Stage::Host => StageName::Host,
            Stage::Disk => StageName::Disk,
        };
        Report::Failed { stage, reason: error.reason }
    }
}

impl From<LogLine> for Report {
    fn from(line: LogLine) -> Report {
        Report::Log {
            level: line.level.name().into(),
            context: line.context,
            message: line.message,
        }
    }
}

fn level(name: &str) -> Level {
    match name {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        _ => Level::Error,
    }
}
