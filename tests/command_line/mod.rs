//! The program's command line: output, streams and exit codes.

mod bench;
mod check;
mod infer;
mod inspect;
mod key;
mod new;
mod serve;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Models, Server, Setup};

/// The output and the exit status of the program.
#[derive(Debug)]
pub(crate) struct Output {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program in a directory until it ends.
pub(crate) fn wardian(directory: &Path, arguments: &[&str]) -> Output {
    run(program(directory, arguments))
}

fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardian"));
    command.current_dir(directory).args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> Output {
    read(command.output())
}

fn read(output: std::io::Result<std::process::Output>) -> Output {
    let output = output.expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// Runs `infer` or `bench` against a server.
fn ask(server: &Server, command: &str, arguments: &[&str]) -> Output {
    let url = format!("http://{}", server.address());
    wardian(server.directory(), &[&[command, "--url", &url], arguments].concat())
}

/// An address without a listener.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Returns a directory with these models in its folder `models`, and with this `wardian.toml`.
pub(crate) fn folder(config: &str, fill: impl FnOnce(&Models)) -> Setup {
    let folder = Server::with_models(fill);
    std::fs::write(folder.directory().join("wardian.toml"), config).unwrap();
    folder
}

impl Output {
    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Output {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Asserts that standard output contains all of these texts.
    #[track_caller]
    pub(crate) fn expect_stdout(self, words: &[&str]) -> Output {
        words.iter().for_each(|word| {
            assert!(self.stdout.contains(word), "'{word}' is not on standard output of {self:?}")
        });
        self
    }

    /// Asserts that standard error contains all of these texts.
    #[track_caller]
    pub(crate) fn expect_stderr(self, words: &[&str]) -> Output {
        words.iter().for_each(|word| {
            assert!(self.stderr.contains(word), "'{word}' is not on standard error of {self:?}")
        });
        self
    }

    /// Returns standard output as a JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}
