//! The program: parses the command line, runs one subcommand, and exits with its code.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    wardian::cli::run()
}
