//! A PostgreSQL server for one test: in a directory of its own, reached through a socket in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A running server. Dropping it stops it and removes its directory.
pub(super) struct Postgres {
    directory: tempfile::TempDir,
    programs: PathBuf,
}

/// Says that skipping is a failure, as in CI.
const REQUIRED: &str = "WARDIAN_REQUIRE_POSTGRES";

impl Postgres {
    /// Starts one; `None`, with a reason printed, where there is none to start.
    pub(super) fn start() -> Option<Postgres> {
        match Self::try_start() {
            Ok(postgres) => Some(postgres),
            Err(reason) if std::env::var_os(REQUIRED).is_none() => {
                eprintln!("skipped: {reason}");
                None
            }
            Err(reason) => panic!("{REQUIRED} is set: {reason}"),
        }
    }

    fn try_start() -> Result<Postgres, String> {
        let programs = programs().ok_or("PostgreSQL is not installed (Debian: apt-get install postgresql)")?;
        let directory = tempfile::Builder::new().prefix("wardian-pg-").tempdir().map_err(|error| error.to_string())?;
        let postgres = Postgres { directory, programs };
        if is_root() {
            succeeded(Command::new("chown").arg("postgres").arg(postgres.path("")).output())?;
            succeeded(Command::new("chmod").arg("755").arg(postgres.path("")).output())?;
        }
        std::fs::write(postgres.path("password"), "of the superuser\n").map_err(|error| error.to_string())?;
        let (data, password) = (postgres.path("data"), postgres.path("password"));
        let initdb = ["--username=postgres", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C"];
        succeeded(postgres.run("initdb").args(initdb).arg("--pwfile").arg(password).arg("-D").arg(data).output())?;
        postgres.control("start")?;
        Ok(postgres)
    }

    /// Adds a role with that password, and a database of its own that it alone may connect to.
    pub(super) fn add(&self, name: &str, password: &str) {
        for statement in [
            format!("create role {name} login password '{password}'"),
            format!("create database {name} owner {name}"),
            format!("revoke all on database {name} from public"),
        ] {
            self.administer(&statement);
        }
        std::fs::write(self.path(name), format!("{password}\n")).unwrap();
    }

    /// What a tenant's configuration says of that database.
    pub(super) fn entry(&self, name: &str) -> String {
        let (host, password) = (self.path(""), self.path(name));
        let host = host.display().to_string();
        let url = format!("host={} user={name} dbname={name}", host.trim_end_matches('/'));
        format!("[tenants.default.database]\nurl = '{url}'\npassword_file = '{}'\n", password.display())
    }

    /// Has it end every connection and come back.
    pub(super) fn restart(&self) {
        self.control("restart").unwrap();
    }

    fn administer(&self, statement: &str) {
        let mut psql = self.run("psql");
        psql.env("PGPASSWORD", "of the superuser").arg("-h").arg(self.path(""));
        succeeded(psql.args(["-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement]).output()).unwrap();
    }

    fn control(&self, what: &str) -> Result<(), String> {
        let options =
            format!("-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off", self.path("").display());
        let mut command = self.run("pg_ctl");
        command.arg("-D").arg(self.path("data")).arg("-l").arg(self.path("log"));
        succeeded(command.args(["-w", "-m", "immediate", "-o", &options, what]).output())
    }

    /// One of its programs, which does not start for root.
    fn run(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.path(""));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.control("stop");
    }
}

/// The folder with the programs of the newest release there is.
fn programs() -> Option<PathBuf> {
    let releases = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = releases.flatten().map(|release| release.path().join("bin"));
    folders.filter(|folder| folder.join("initdb").exists()).max()
}

fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn succeeded(output: std::io::Result<Output>) -> Result<(), String> {
    let output = output.map_err(|error| error.to_string())?;
    let told = || String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or_else(told)
}
