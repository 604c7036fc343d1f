//! The program: parses the command line, runs one subcommand, and exits with its code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// glibc keeps the memory of a burst of large requests for the life of the process;
/// `docs/benchmarks.md` has the comparison. SQLite and other C code use the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    wardian::cli::run()
}
