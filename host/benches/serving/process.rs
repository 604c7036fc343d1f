//! The measured servers, each in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The longest wait for a server to listen, which takes long under valgrind. Models are loaded
/// later.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A server that listens. It is killed on drop.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    log: Receiver<Line>,
    /// The unread end of the log, which stays open.
    unread: Option<ChildStderr>,
}

/// A line of output with its time.
pub(crate) struct Line {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

impl Server {
    /// Starts the native server, which is this program.
    pub(crate) fn native() -> Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg("--native"))
    }

    /// Starts the native server of gRPC, which is this program.
    pub(crate) fn native_grpc() -> Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg("--native-grpc"))
    }

    /// Starts Wardian with that repository and state.
    pub(crate) fn wardian(models: &Path, state: &Path) -> Result<Self> {
        Self::wardian_of(program().as_ref(), models, state)
    }

    /// Starts another build of Wardian.
    pub(crate) fn wardian_of(program: &Path, models: &Path, state: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--models"])
            .arg(models)
            .arg("--state")
            .arg(state);
        // This folder holds no wardian.toml.
        command.current_dir(models).env_remove("RUST_LOG");
        Self::start(&mut command)
    }

    /// Starts Wardian with the configuration in a folder that also holds the models and the state.
    pub(crate) fn wardian_in(folder: &Path) -> Result<Self> {
        Self::start(&mut in_folder(folder))
    }

    /// The same, with a log that goes into an unread pipe.
    pub(crate) fn wardian_with_unread_log(folder: &Path) -> Result<Self> {
        let mut server = Self::start_with(&mut in_folder(folder), |_| None)?;
        server.unread = server.child.stderr.take();
        Ok(server)
    }

    /// Starts a program that says on standard output where it listens.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        Self::start_with(command, |child| child.stderr.take())
    }

    /// Starts a server and reads the log that `log` returns.
    fn start_with(
        command: &mut Command,
        log: impl FnOnce(&mut Child) -> Option<ChildStderr>,
    ) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start a server")?;
        let out = child.stdout.take().map(follow);
        let log = log(&mut child).map(follow);
        let log = log.unwrap_or_else(|| channel().1);
        let mut server = Server { child, address: ([127, 0, 0, 1], 0).into(), log, unread: None };
        let line = out.context("no output")?.recv_timeout(START_TIMEOUT);
        let line =
            line.with_context(|| format!("a server does not listen: {}", server.log_text()))?;
        let address = line
            .text
            .strip_prefix("listening on http://")
            .context("a server says something else")?;
        server.address = address.parse()?;

        Ok(server)
    }

    /// The address of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id of the server.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines that it has logged since the last call.
    pub(crate) fn log(&self) -> impl Iterator<Item = Line> {
        self.log.try_iter()
    }

    fn log_text(&self) -> String {
        self.log().map(|line| line.text).collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.unread.take());
        // It may have exited already, which its clients have noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that starts Wardian with the configuration in that folder.
fn in_folder(folder: &Path) -> Command {
    let mut command = Command::new(program());
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(folder.join("wardian.toml"));
    command.arg("--state").arg(folder.join("state")).current_dir(folder).env_remove("RUST_LOG");
    command
}

/// The measured program.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_wardian")
}

/// Sends every line with its time, until the writer closes.
fn follow(stream: impl Read + Send + 'static) -> Receiver<Line> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        // An unread pipe would block the server some day.
        lines.for_each(|text| drop(sender.send(Line { at: Instant::now(), text })));
    });
    receiver
}
