//! A PostgreSQL server for one test: in a directory of its own, with a socket in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::POSTGRES;

/// A running server. Dropping it stops it and removes its directory.
pub(super) struct Postgres {
    directory: tempfile::TempDir,
    programs: PathBuf,
}

impl Postgres {
    /// Starts a server. Returns `None`, with a reason printed, if PostgreSQL is not installed.
    pub(super) fn start() -> Option<Postgres> {
        match Self::try_start() {
            Ok(postgres) => Some(postgres),
            Err(reason) => {
                POSTGRES.skip(&reason);
                None
            }
        }
    }

    fn try_start() -> Result<Postgres, String> {
        let programs = programs().ok_or("PostgreSQL is not installed")?;
        let directory = tempfile::Builder::new()
            .prefix("wardian-pg-")
            .tempdir()
            .map_err(|error| error.to_string())?;
        let postgres = Postgres { directory, programs };
        if is_root() {
            succeeded(Command::new("chown").arg("postgres").arg(postgres.path("")).output())?;
            succeeded(Command::new("chmod").arg("755").arg(postgres.path("")).output())?;
        }
        std::fs::write(postgres.path("password"), "of the superuser\n")
            .map_err(|error| error.to_string())?;
        let (data, password) = (postgres.path("data"), postgres.path("password"));
        let initdb = [
            "--username=postgres",
            "--auth=scram-sha-256",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
        ];
        succeeded(
            postgres
                .run("initdb")
                .args(initdb)
                .arg("--pwfile")
                .arg(password)
                .arg("-D")
                .arg(data)
                .output(),
        )?;
        let mut settings =
            std::fs::OpenOptions::new().append(true).open(postgres.path("data/postgresql.conf"));
        let settings = settings.as_mut().map_err(|error| error.to_string())?;
        writeln!(settings, "listen_addresses = ''").map_err(|error| error.to_string())?;
        postgres.control("start")?;
        Ok(postgres)
    }

    /// Adds a role with a password, and a database that only this role may connect to.
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

    /// Returns the configuration of a tenant with that database.
    pub(super) fn entry(&self, name: &str) -> String {
        self.entry_with(name, &format!("password_file = '{}'", self.path(name).display()))
    }

    /// Returns the configuration of a tenant that connects as the superuser.
    pub(super) fn entry_of_superuser(&self) -> String {
        self.entry_with(
            "postgres",
            &format!("password_file = '{}'", self.path("password").display()),
        )
    }

    /// Like `entry`, with the password from another source.
    pub(super) fn entry_with(&self, name: &str, password: &str) -> String {
        let host = self.path("").display().to_string();
        let url = format!("host={} user={name} dbname={name}", host.trim_end_matches('/'));
        format!("[tenants.default.database]\nurl = '{url}'\n{password}\n")
    }

    /// Makes the server listen on an unused loopback address with TLS only, with the certificate
    /// and key that `make` returns. Returns the address.
    pub(super) fn listen_with_tls(&self, make: impl FnOnce(&str) -> (String, String)) -> String {
        let [high, low] = [std::process::id() >> 8, std::process::id()].map(|number| number & 0xff);
        let address = format!("127.{high}.{low}.2");
        let (certificate, key) = make(&address);
        for (name, content) in [("server.crt", certificate), ("server.key", key)] {
            let (beside, path) = (self.path(name), self.path("data").join(name));
            std::fs::write(&beside, content).unwrap();
            succeeded(self.run("install").arg("-m").arg("600").arg(beside).arg(path).output())
                .unwrap();
        }
        self.administer(&format!("alter system set listen_addresses = '{address}'"));
        self.administer("alter system set ssl = on");
        let rules = self.path("data").join("pg_hba.conf");
        let before = std::fs::read_to_string(&rules).unwrap();
        std::fs::write(&rules, format!("{before}\nhostssl all all {address}/32 scram-sha-256\n"))
            .unwrap();
        self.restart();
        address
    }

    /// Restarts the server, which ends every connection.
    pub(super) fn restart(&self) {
        self.control("restart").unwrap();
    }

    fn administer(&self, statement: &str) {
        let mut psql = self.run("psql");
        psql.env("PGPASSWORD", "of the superuser").arg("-h").arg(self.path(""));
        succeeded(psql.args(["-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement]).output())
            .unwrap();
    }

    fn control(&self, what: &str) -> Result<(), String> {
        let options =
            format!("-c unix_socket_directories='{}' -c fsync=off", self.path("").display());
        let mut command = self.run("pg_ctl");
        command.arg("-D").arg(self.path("data")).arg("-l").arg(self.path("log"));
        succeeded(command.args(["-w", "-m", "immediate", "-o", &options, what]).output())
    }

    /// A command that runs a PostgreSQL program as another user than root, or a program of the
    /// system as that user.
    fn run(&self, program: &str) -> Command {
        let own = self.programs.join(program);
        let program = if own.exists() { own } else { program.into() };
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

/// Returns the folder with the programs of the newest installed release.
fn programs() -> Option<PathBuf> {
    let releases = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = releases.flatten().map(|release| release.path().join("bin"));
    folders.filter(|folder| folder.join("initdb").exists()).max()
}

fn is_root() -> bool {
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn succeeded(output: std::io::Result<Output>) -> Result<(), String> {
    let output = output.map_err(|error| error.to_string())?;
    let told = || String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or_else(told)
}
