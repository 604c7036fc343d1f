//! Mapping the end of a compile process without an artifact to a load error.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;

use super::CompileLimits;
use crate::model::{LoadError, Stage};

/// The end of a compile process that made no artifact.
pub(super) enum ProcessExit {
    /// It reported this error.
    Reported(LoadError),
    /// It panicked, with this message.
    Panicked(String),
    /// It ended without a report.
    Died { status: ExitStatus, stderr: String },
}

impl ProcessExit {
    /// Returns the error to report. `stage` is the stage that the process had reached.
    pub(super) fn explain(self, stage: Stage, limits: &CompileLimits) -> LoadError {
        let (status, stderr) = match self {
            ProcessExit::Reported(error) => return error,
            ProcessExit::Panicked(message) => {
                tracing::error!(%stage, message, "a compile child panicked");
                return LoadError::new(stage, format!("the compile process panicked: {message}"));
            }
            ProcessExit::Died { status, stderr } => (status, stderr),
        };

        if stderr.contains("memory allocation of") {
            let limit = limits.memory >> 20;
            let reason = format!(
                "needed more than the {limit} MiB of memory allowed for compiling (compile.memory)"
            );
            return LoadError::new(stage, reason);
        }

        if status.signal() == Some(Signal::XFSZ.as_raw()) {
            let reason = "wrote a file larger than what is left of this tenant's quota for storage; remove versions \
                          that are not needed, or raise quota.storage";
            return LoadError::new(Stage::Quota, reason);
        }

        if status.signal() == Some(Signal::XCPU.as_raw()) {
            let limit = limits.cpu_time;
            let reason = format!(
                "needed more than the {limit:?} of CPU time allowed for compiling (compile.cpu_time)"
            );
            return LoadError::new(stage, reason);
        }

        tracing::error!(%status, %stderr, "a compile child died");
        if status.signal() == Some(Signal::KILL.as_raw()) {
            // The host never kills a process that it still monitors. The kernel does if memory
            // runs out.
            let reason = "the compile process was killed, as the kernel does when the machine runs out of memory";
            return LoadError::new(Stage::Host, reason);
        }

        LoadError::new(stage, format!("the compile process ended unexpectedly ({status})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn died(status: i32, stderr: &str) -> LoadError {
        let end = ProcessExit::Died { status: ExitStatus::from_raw(status), stderr: stderr.into() };
        end.explain(Stage::Compile, &CompileLimits::default())
    }

    #[test]
    fn a_killed_process_is_a_host_error_and_a_limit_is_the_models() {
        assert_eq!(died(Signal::KILL.as_raw(), "").stage, Stage::Host);
        let cpu = died(Signal::XCPU.as_raw(), "");
        assert!(cpu.stage == Stage::Compile && cpu.reason.contains("compile.cpu_time"), "{cpu}");

        let memory = died(Signal::ABORT.as_raw(), "memory allocation of 12 bytes failed");
        assert!(memory.stage == Stage::Compile && memory.reason.contains("4096 MiB"), "{memory}");
        assert_eq!(died(Signal::SEGV.as_raw(), "").stage, Stage::Compile);

        let file = died(Signal::XFSZ.as_raw(), "");
        assert!(file.stage == Stage::Quota && file.reason.contains("quota.storage"), "{file}");

        let panicked = ProcessExit::Panicked("no such register".into())
            .explain(Stage::Compile, &CompileLimits::default());
        assert!(panicked.reason.contains("no such register"), "{panicked}");
    }
}
