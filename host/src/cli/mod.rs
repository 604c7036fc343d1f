//! The command line: one file per subcommand, each of which calls the library.
//!
//! Exit codes: 0, success; 1, failure, with the reason on standard error; 2, wrong usage; 3,
//! `check`, `infer` or `bench` ran and the result is negative.

mod bench;
mod check;
mod infer;
mod inspect;
mod key;
mod new;
mod serve;

mod describe;
mod logging;
mod npy;
mod offline_loader;
mod output;
mod progress;
mod request;
mod value_parsers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Serves models as sandboxed WebAssembly components.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 the answer is no."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the models of a directory over HTTP.
    Serve(serve::Serve),
    /// Do everything that the host does before it publishes a model, without serving it.
    Check(check::Check),
    /// Show the contents and the metadata of a component.
    Inspect(inspect::Inspect),
    /// Send one request to a server.
    Infer(infer::Infer),
    /// Send many requests to a server and print their latencies.
    Bench(bench::Bench),
    /// Make a crate for a new model.
    New(new::New),
    /// Make keys for callers.
    Key(key::Key),
    /// Compile a component; started by the server, reads its job from standard input.
    #[command(hide = true)]
    Compile,
}

/// The result of a command that ran.
pub(crate) enum Outcome {
    /// A positive result.
    Success,
    /// A negative result, which has been printed with its reason.
    Negative,
}

/// Runs the program.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Infer(infer) => infer.run(),
        Command::Bench(bench) => bench.run(),
        Command::New(new) => new.run(),
        Command::Key(key) => key.run(),
        Command::Compile => crate::engine::compile::job::run().map(|()| Outcome::Success),
    };

    match outcome {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::Negative) => ExitCode::from(3),
        Err(error) => {
            // The last log lines may hold more detail.
            crate::telemetry::flush_log();
            output::print_stderr(&format!("error: {}", error_chain(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Joins an error with its causes. A cause that is already part of the text is skipped.
fn error_chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        text if text.ends_with(&cause) => text.to_owned(),
        text => format!("{text}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn each_cause_is_printed_once() {
        let refused: anyhow::Result<()> =
            Err(std::io::Error::other("in use")).context("cannot listen");
        let error = refused.context("cannot serve").unwrap_err();
        assert_eq!(error_chain(&error), "cannot serve: cannot listen: in use");
        let error = error.context("no luck, and in the end cannot serve");
        assert_eq!(
            error_chain(&error),
            "no luck, and in the end cannot serve: cannot listen: in use"
        );
    }
}
