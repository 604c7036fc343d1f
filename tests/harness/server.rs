//! A running server with its directories.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::Signal;

use super::models::Models;
use super::process::Process;

/// A server that is not running, with its directories.
pub(crate) struct Setup {
    directory: tempfile::TempDir,
    models: Models,
    models_at: Option<String>,
    config: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    descriptors: Option<u32>,
    stderr: Option<Stdio>,
}

/// A running server. Dropping it kills it and removes its directories.
pub(crate) struct Server {
    // Fields are dropped in this order: the process before what it works on.
    process: Process,
    address: SocketAddr,
    setup: Setup,
}

impl Setup {
    /// Sets keys of `wardian.toml`.
    pub(crate) fn config(mut self, toml: &str) -> Self {
        self.config = toml.to_owned();
        self
    }

    /// Adds an argument to the command line of `wardian serve`.
    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets a variable of the server's environment.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets it have so many file descriptors and no more.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// Sends its log elsewhere than to the test.
    pub(crate) fn log_to(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Has it take its models from a URL, and not from its directory.
    pub(crate) fn models_at(mut self, url: &str) -> Self {
        self.models_at = Some(url.to_owned());
        self
    }

    /// The repository of a tenant that is configured with `repository = 'NAME'`.
    pub(crate) fn repository(&self, name: &str) -> Models {
        let root = self.directory.path().join(name);
        std::fs::create_dir_all(&root).unwrap();
        Models::new(root)
    }

    /// The models that will be served.
    pub(crate) fn models(&self) -> &Models {
        &self.models
    }

    /// The server's state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// A directory of the test's own, in which the server will run.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the server, which then listens, whatever it has loaded.
    pub(crate) fn start(mut self) -> Server {
        let directory = self.directory.path();
        let config = directory.join("wardian.toml");
        std::fs::write(&config, &self.config).unwrap();
        let mut command = program(self.descriptors);
        command.current_dir(directory).env_remove("RUST_LOG").args([
            "serve",
            "--listen",
            "127.0.0.1:0",
        ]);
        let models = self.models_at.as_ref().map_or_else(|| self.models.path(""), PathBuf::from);
        command.arg("--config").arg(config).arg("--models").arg(models);
        command.arg("--state").arg(self.state()).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let (process, address) = Process::serve(command, self.stderr.take());
        Server { process, address, setup: self }
    }
}

/// The server's program, with so many file descriptors.
fn program(descriptors: Option<u32>) -> Command {
    let program = env!("CARGO_BIN_EXE_wardian");
    let Some(most) = descriptors else { return Command::new(program) };
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\""), program]);
    shell
}

impl Server {
    /// A server, not yet running, that finds these models when it starts.
    pub(crate) fn with_models(fill: impl FnOnce(&Models)) -> Setup {
        let directory = tempfile::Builder::new().prefix("wardian-test-").tempdir().unwrap();
        let root = directory.path().join("models");
        std::fs::create_dir(&root).unwrap();
        let models = Models::new(root);
        fill(&models);
        Setup {
            directory,
            models,
            models_at: None,
            config: String::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            descriptors: None,
            stderr: None,
        }
    }

    /// A running server without models.
    pub(crate) fn empty() -> Server {
        Self::with_models(|_| {}).start()
    }

    // === What is around it ===

    /// Its repository.
    pub(crate) fn models(&self) -> &Models {
        &self.setup.models
    }

    /// The repository of a tenant that is configured with `repository = 'NAME'`.
    pub(crate) fn repository(&self, name: &str) -> Models {
        self.setup.repository(name)
    }

    /// A directory of the test's own, on the file system of the repository.
    pub(crate) fn directory(&self) -> &Path {
        self.setup.directory()
    }

    /// Its state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.setup.state()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Bytes of its resident memory.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most bytes of resident memory that it has ever had.
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Everything it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    // === Telling it something ===

    /// Tells it to read its configuration again (SIGHUP).
    pub(crate) fn reload(&self) {
        self.process.signal(Signal::HUP);
    }

    /// Tells it to stop (SIGTERM).
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits until it has ended.
    pub(crate) fn until_ended(&self) -> ExitStatus {
        self.process.until_ended()
    }

    /// Kills it, if it has not ended by itself; what it worked on stays, to be started with again.
    pub(crate) fn kill(self) -> Setup {
        self.process.signal(Signal::KILL);
        self.until_ended();
        self.setup
    }

    /// Kills it, while others may be asking it.
    pub(crate) fn kill_now(&self) {
        self.process.signal(Signal::KILL);
    }

    /// Stops it in an orderly way; what it worked on stays, to be started with again.
    pub(crate) fn stop(self) -> Setup {
        self.terminate();
        let status = self.until_ended();
        assert!(status.success(), "{status}");
        self.setup
    }
}
