//! Tasks and threads without which the server cannot work.
//!
//! A server whose manager or clock has ended would still answer requests and do nothing else. If
//! one of these panics, the process ends with a log line and status [`EXIT_STATUS`], and its
//! supervisor starts it again.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use crate::telemetry;

/// The exit status of the process (`EX_SOFTWARE` in BSD's `sysexits.h`).
pub const EXIT_STATUS: i32 = 70;

/// Spawns an essential task.
pub fn spawn(
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if AssertUnwindSafe(task).catch_unwind().await.is_err() {
            end_process(name);
        }
    })
}

/// Runs the work of an essential thread.
pub fn run(name: &'static str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        end_process(name);
    }
}

/// Ends the process. The panic itself is already logged.
fn end_process(name: &str) -> ! {
    tracing::error!(
        task = name,
        "a task that the server cannot do without has panicked; the process ends"
    );
    telemetry::flush_log();
    process::exit(EXIT_STATUS)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The environment variable of the process that is to end.
    const CHILD: &str = "WARDIAN_TEST_ESSENTIAL";

    /// Runs one test of this module again in a process of its own, and returns its status.
    fn status_of(test: &str) -> Option<i32> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("essential::tests::{test}")]).env(CHILD, "1");
        command.output().unwrap().status.code()
    }

    #[tokio::test]
    async fn a_task_that_panics_ends_the_process() {
        if std::env::var_os(CHILD).is_none() {
            return assert_eq!(status_of("a_task_that_panics_ends_the_process"), Some(EXIT_STATUS));
        }
        spawn("a test", async { panic!("as the test wants") }).await.unwrap();
    }

    #[test]
    fn a_thread_that_panics_ends_the_process() {
        if std::env::var_os(CHILD).is_none() {
            return assert_eq!(
                status_of("a_thread_that_panics_ends_the_process"),
                Some(EXIT_STATUS)
            );
        }
        run("a test", || panic!("as the test wants"));
    }

    #[tokio::test]
    async fn a_task_that_ends_well_ends_nothing() {
        spawn("a test", async {}).await.unwrap();
        run("a test", || {});
    }
}
