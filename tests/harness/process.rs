//! The program as a child process, which is killed on drop.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::until_some;

/// A running program. Dropping it kills it.
pub(super) struct Process {
    child: Mutex<Child>,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts a server, and returns when it listens.
    ///
    /// The log goes to `stderr`, or is collected if that is `None`.
    pub(super) fn serve(mut command: Command, stderr: Option<Stdio>) -> (Process, SocketAddr) {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.unwrap_or_else(Stdio::piped));
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, log.clone());
        }
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let process = Process { child: Mutex::new(child), log };
        let address = said.trim().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| {
            panic!("it does not listen; it said '{said}' and:\n{}", process.log())
        });
        (process, address.parse().unwrap())
    }

    pub(super) fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Returns the log written so far.
    pub(super) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends a signal; a process that has ended gets none.
    pub(super) fn signal(&self, signal: Signal) {
        let mut child = self.child.lock().unwrap();
        if let (Ok(None), Some(pid)) = (child.try_wait(), Pid::from_raw(child.id() as i32)) {
            kill_process(pid, signal).unwrap();
        }
    }

    /// Waits until the process has ended.
    pub(super) fn until_ended(&self) -> ExitStatus {
        until_some("the end of the server", || self.child.lock().unwrap().try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
        if std::thread::panicking() {
            let log = self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let lines: Vec<String> =
                log.lines().map(|line| line.chars().take(400).collect()).collect();
            let end = &lines[lines.len().saturating_sub(60)..];
            eprintln!("--- the end of the server's log ---\n{}\n---", end.join("\n"));
        }
    }
}

/// Reads until the other side closes, so that the program never blocks on its log.
fn collect(stream: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
}
