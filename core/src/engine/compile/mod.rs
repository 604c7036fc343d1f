//! Compilation of components into artifacts, in a child process.
//!
//! Compilation is the one operation whose cost an uploader chooses: a small file can occupy a
//! compiler for minutes and gigabytes. So it runs in a process of its own, `wardian compile`, with
//! limits on memory, CPU and wall-clock time and with low priority. The guest's `load` and the
//! snapshot run there too. If a limit is exceeded, only the process ends.
//!
//! Server side: a job waits in the [`queue`], which all tenants share by weight. [`compiler`]
//! starts the process. [`monitor`] handles its [`Report`]s and pauses it while other jobs have
//! precedence. [`process_exit`] explains its end.
//!
//! Process side: [`job`] runs [`validate`], compile, [`run_load`], snapshot and write. A component
//! that can be [`split`] is compiled into shared code and the state of one model ([`split_model`]).
//! For any other one the [`snapshot`] is a whole component. The process receives the files of a
//! [`Job`] as open [`descriptors`] on standard input, and after them the job as one JSON document.
//! It writes reports to standard output, one JSON document a line.

mod compile_slots;
mod compiler;
mod config;
mod cpu_time;
mod descriptors;
pub mod job;
mod monitor;
mod process_exit;
mod queue;
mod run_load;
mod snapshot;
mod split;
mod split_model;
mod steps;
mod stopwatch;
pub mod validate;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use compiler::Compiler;
pub use config::{CompileConfig, CompileLimits};
pub(super) use split::STATE;

use super::{EngineConfig, Role};
use crate::capability::{Level, LogLine};
use crate::files::ConfinedFile;
use crate::model::{Capability, LoadError, Stage};

/// A compilation, with its inputs and limits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The role that the component must have.
    pub role: Role,
    /// The file of the component.
    pub component: InputFile,
    /// The files that `load` may read, by name.
    pub sidecars: BTreeMap<String, InputFile>,
    /// The sidecar that the component serves as a runtime; `None` if it is a model itself.
    pub model_file: Option<String>,
    /// The values that `wasi:config` returns to `load`.
    pub config: BTreeMap<String, String>,
    /// The granted capabilities. None can be used during `load`, but the component may import only
    /// what is granted.
    pub granted: Vec<Capability>,
    /// The directory to write the artifact into.
    pub output: PathBuf,
    /// The tenant's artifacts, among them the code that its models share.
    pub artifacts: PathBuf,
    /// Everything that the key of shared code depends on, apart from its bytes.
    pub code_scope: String,
    /// The limit on the artifact's size, together with shared code that is made for it.
    pub storage: StorageLeft,
    /// The limits of the guest's `load`.
    pub load: LoadLimits,
    /// The limits of the compile process.
    pub limits: CompileLimits,
    /// The most bytes of memory that the engine permits an instance.
    pub max_memory: u64,
    /// Bytes of stack that the engine gives an instance.
    pub stack: u64,
}

/// A file with a known digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InputFile {
    /// SHA-256 of its content in hexadecimal. The job fails if the file does not match.
    pub sha256: String,
    /// The file. It is passed as an open descriptor: the component's first, then those of the
    /// sidecars in the order of their names.
    #[serde(skip)]
    pub source: InputSource,
}

/// The place of a file's content.
#[derive(Clone, Debug, Default)]
pub enum InputSource {
    /// Unknown, as in the compile process.
    #[default]
    Unknown,
    /// A file in a repository.
    File(ConfinedFile),
    /// This content, such as that of a runtime.
    Content(Bytes),
}

/// The limit on an artifact's size, in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StorageLeft {
    /// The free part of the tenant's quota `storage`; [`u64::MAX`] if there is no quota.
    pub left: u64,
    /// The quota.
    pub quota: u64,
}

/// The limits of a guest's `load`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadLimits {
    /// Bytes of guest memory.
    pub memory: u64,
    /// CPU time, and wall-clock time while not paused, in milliseconds.
    pub deadline_ms: u64,
}

impl Job {
    fn engine_config(&self) -> EngineConfig {
        EngineConfig { max_memory: self.max_memory, instances: 1, stack: self.stack }
    }
}

/// A report of a compile process, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// A stage begins.
    Stage(StageName),
    /// The guest wrote a log line in `load`.
    Log { level: String, context: String, message: String },
    /// The artifact is written.
    Done,
    /// The artifact cannot be made.
    Failed { stage: StageName, reason: String },
    /// The process panicked.
    Panicked { message: String },
}

/// The serialized form of a [`Stage`].
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
            | Stage::Routes
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

fn parse_level(name: &str) -> Level {
    match name {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warn,
        _ => Level::Error,
    }
}

/// The error of a compilation that failed for a reason of the host's own.
fn host_error(reason: impl Into<String>) -> LoadError {
    LoadError::new(Stage::Host, reason)
}
