//! A running server with its directories.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::Signal;

use super::compiled_code;
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
    compiles_anew: bool,
}

/// A running server. Dropping it kills it and removes its directories.
pub(crate) struct Server {
    // Fields are dropped in this order: the process before its directories.
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

    /// Limits the number of file descriptors.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// Sends the log elsewhere than to the test.
    pub(crate) fn log_to(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Gives the server no code that another server of this run has compiled.
    pub(crate) fn compiles_anew(mut self) -> Self {
        self.compiles_anew = true;
        self
    }

    /// Serves models from a URL instead of the directory.
    pub(crate) fn models_at(mut self, url: &str) -> Self {
        self.models_at = Some(url.to_owned());
        self
    }

    /// Returns the repository of a tenant that is configured with `repository = 'NAME'`.
    pub(crate) fn repository(&self, name: &str) -> Models {
        let root = self.directory.path().join(name);
        std::fs::create_dir_all(&root).unwrap();
        Models::new(root)
    }

    /// Returns the repository that will be served.
    pub(crate) fn models(&self) -> &Models {
        &self.models
    }

    /// Returns the server's state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Returns the working directory of the server, which belongs to the test.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the server, and returns when it listens, whatever it has loaded by then.
    pub(crate) fn start(mut self) -> Server {
        if !self.compiles_anew {
            compiled_code::link_into(&self.state());
        }

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

impl Drop for Setup {
    fn drop(&mut self) {
        if !self.compiles_anew {
            compiled_code::keep_from(&self.state());
        }
    }
}

/// Returns the command of the server, with a limit on file descriptors.
fn program(descriptors: Option<u32>) -> Command {
    let program = env!("CARGO_BIN_EXE_wardian");
    let Some(most) = descriptors else { return Command::new(program) };
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\""), program]);
    shell
}

impl Server {
    /// A server, not yet started, that finds these models when it starts.
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
            compiles_anew: false,
        }
    }

    /// Starts a server without models.
    pub(crate) fn empty() -> Server {
        Self::with_models(|_| {}).start()
    }

    // === The server's surroundings ===

    /// Returns the repository.
    pub(crate) fn models(&self) -> &Models {
        &self.setup.models
    }

    /// Returns the repository of a tenant that is configured with `repository = 'NAME'`.
    pub(crate) fn repository(&self, name: &str) -> Models {
        self.setup.repository(name)
    }

    /// Returns the working directory of the server, on the file system of the repository.
    pub(crate) fn directory(&self) -> &Path {
        self.setup.directory()
    }

    /// Returns the state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.setup.state()
    }

    /// Returns the address on which the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the process id.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Returns the resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// Returns the peak of the resident memory, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Returns the log written so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    // === Telling it something ===

    /// Makes the server read its configuration again (SIGHUP).
    pub(crate) fn reload(&self) {
        self.process.signal(Signal::HUP);
    }

    /// Makes the server stop (SIGTERM).
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits until the process has ended.
    pub(crate) fn until_ended(&self) -> ExitStatus {
        self.process.until_ended()
    }

    /// Kills the server, if it still runs. Its directories stay for the next start.
    pub(crate) fn kill(self) -> Setup {
        self.process.signal(Signal::KILL);
        self.until_ended();
        self.setup
    }

    /// Kills the server while clients may be sending requests.
    pub(crate) fn kill_now(&self) {
        self.process.signal(Signal::KILL);
    }

    /// Stops the server in an orderly way. Its directories stay for the next start.
    pub(crate) fn stop(self) -> Setup {
        self.terminate();
        let status = self.until_ended();
        assert!(status.success(), "{status}");
        self.setup
    }
}
