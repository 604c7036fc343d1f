//! The commands of the project. `cargo xtask` lists them; `cargo xtask ci` must pass.

mod commands;
mod conformance_files;
mod files;
mod fuzz;
mod guests;
mod no_snapshot;
mod node;
mod prerequisites;
mod provisions;
mod python;
mod python_package;
mod server;
mod skipped_tests;
mod tidy;
mod workspace;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask <command> [arguments]

  guests          build the example models and the test guests, lay them out in target/
  serve [args]    guests, then serve target/models; arguments go to `wardian serve`
  server          build the server as it ships: target/release/wardian, its debug information apart;
                  with --dist optimised as a whole, in half as long again: target/dist/wardian
  test [args]     guests, then every test; arguments go to `cargo test`
  python [args]   the tests of the Python package, and the models that it saves; arguments go to pytest
  lint            formatting, clippy and the invariants of the source text; warnings are errors
  tidy            the invariants of the source text alone; takes a second
  fuzz [seconds] [targets]
                  build the fuzz targets and feed each for so long (15); see fuzz/README.md
  ci              lint, then test, then fuzz
  bench [args]    guests, then the benchmark; arguments go to it, such as --quick or --help
  soak [minutes]  guests, then so long (30) of traffic, swaps and attacks on one server";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();

    match command.as_str() {
        "guests" => {
            prerequisites::ensure(prerequisites::DISK_TO_SERVE).and_then(|()| guests::build())
        }
        "serve" => commands::serve(&rest),
        "server" => server::build_as_asked(&rest),
        "test" => commands::test(&rest),
        "python" => commands::python(&rest),
        "lint" => commands::lint(),
        "tidy" => tidy::check(),
        "fuzz" => fuzz::fuzz(&rest),
        "ci" => commands::ci(),
        "bench" => commands::bench(&rest),
        "soak" => commands::soak(&rest),
        _ => bail!("{USAGE}"),
    }
}
