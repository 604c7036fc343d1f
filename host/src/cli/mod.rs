//! The command line: one file per subcommand, each of which ends in a library call.
//!
//! Exit codes: 0, it worked; 1, it did not, and the reason is on standard error; 2, the command line
//! itself is wrong; 3, `check` or `infer` worked and the answer is no.

mod logging;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Serves models as sandboxed WebAssembly components.
#[derive(Parser)]
#[command(version, about, after_help = "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 the answer is no.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the models of a directory over HTTP.
    Serve(serve::Serve),
    /// Compile a component; started by the server, reads its job from standard input.
    #[command(hide = true)]
    Compile,
}

/// How a command that could be carried out came out.
pub(crate) enum Outcome {
    /// Yes.
    Success,
    /// No, and it has been said why.
    No,
}

/// Runs the program.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Compile => crate::engine::compile::job::run().map(|()| Outcome::Success),
    };
    match outcome {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(3),
        Err(error) => {
            // The whole chain: what was being done, and why it could not be.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
