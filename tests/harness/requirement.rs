//! Programs that some tests need and that may be missing.

use std::fs::OpenOptions;
use std::io::Write;

/// A program, or a set of packages, that some tests need.
pub(crate) struct Requirement {
    /// The name, for messages.
    pub(crate) name: &'static str,
    /// The command that installs it.
    pub(crate) command: &'static str,
    /// The environment variable that makes its absence a failure, as in CI.
    pub(crate) required_by: &'static str,
}

/// curl, which the documentation uses.
pub(crate) const CURL: Requirement = Requirement {
    name: "curl",
    command: "apt-get install curl",
    required_by: "WARDIAN_REQUIRE_CURL",
};

/// Python with the packages of `tests/requirements.txt`, or of a client in `tests/clients`.
pub(crate) const PYTHON: Requirement = Requirement {
    name: "Python 3 with the test packages",
    command: "apt-get install python3-venv, then cargo xtask test",
    required_by: "WARDIAN_REQUIRE_PYTHON",
};

/// A library that NVIDIA's `perf_analyzer` loads. The program exists for x86-64 only.
pub(crate) const LIBB64: Requirement = Requirement {
    name: "libb64 for perf_analyzer, on x86-64",
    command: "apt-get install libb64-0d",
    required_by: "WARDIAN_REQUIRE_PYTHON",
};

/// Node.js with the packages of `tests/package.json`.
pub(crate) const NODE: Requirement = Requirement {
    name: "Node.js with the test packages",
    command: "apt-get install nodejs npm, then cargo xtask test",
    required_by: "WARDIAN_REQUIRE_NODE",
};

/// A PostgreSQL server.
pub(crate) const POSTGRES: Requirement = Requirement {
    name: "PostgreSQL",
    command: "apt-get install postgresql",
    required_by: "WARDIAN_REQUIRE_POSTGRES",
};

/// nginx.
pub(crate) const NGINX: Requirement = Requirement {
    name: "nginx",
    command: "apt-get install nginx",
    required_by: "WARDIAN_REQUIRE_NGINX",
};

/// Chromium, which the dashboard is tested with.
pub(crate) const CHROMIUM: Requirement = Requirement {
    name: "Chromium",
    command: "apt-get install chromium",
    required_by: "WARDIAN_REQUIRE_CHROMIUM",
};

/// A second name of the loopback address.
pub(crate) const LOOPBACK_NAME: Requirement = Requirement {
    name: "a second name of 127.0.0.1 in /etc/hosts",
    command: "echo '127.0.0.1 loopback.test' >> /etc/hosts",
    required_by: "WARDIAN_REQUIRE_LOOPBACK_NAME",
};

impl Requirement {
    /// Notes that the running test is skipped. `reason` says what is missing.
    ///
    /// `cargo xtask test` prints the notes when all tests have run.
    ///
    /// # Panics
    ///
    /// Panics if the requirement is mandatory.
    #[track_caller]
    pub(crate) fn skip(&self, reason: &str) {
        let Requirement { name, command, required_by } = self;
        assert!(std::env::var_os(required_by).is_none(), "{required_by} is set, but {reason}");
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");

        eprintln!("skipped for want of {name}: {reason}");
        if let Some(file) = std::env::var_os("WARDIAN_SKIPPED_TESTS") {
            let mut file = OpenOptions::new()
                .append(true)
                .open(file)
                .expect("the list of skipped tests can be opened");
            // A single write, so that lines of several tests do not mix.
            file.write_all(format!("{test}\t{name}\t{command}\n").as_bytes())
                .expect("it can be written");
        }
    }
}
