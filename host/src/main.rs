//! The program: parses, runs one subcommand, and turns its outcome into an exit code.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    wardian::cli::run()
}
