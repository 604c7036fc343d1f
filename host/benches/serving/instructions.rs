//! Counts the instructions of a request. They do not depend on what else the machine does, so small
//! differences between builds can be seen.
//!
//! The servers run under valgrind's callgrind, which counts user instructions of all threads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::http_client::{Client, get, infer};
use super::models;
use super::options::Options;
use super::process::{self, Server};
use super::report::{Table, format_number};
use super::throughput::wait_until_ready;

/// Requests before the count, so that everything is allocated that is kept.
const WARM_UP: usize = 200;

/// The part by which a count may exceed the recorded one.
const TOLERANCE: f64 = 0.03;

/// The recorded counts of a release build, in the folder of this package.
const RECORDED: &str = "benches/instructions.toml";

/// A server under callgrind, with the requests to count.
struct Counted {
    name: &'static str,
    server: Server,
    profiles: PathBuf,
    request: Vec<u8>,
}

/// Counts and prints, or fails if a count exceeds the recorded one.
pub(crate) fn run(options: &Options) -> Result<()> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        ensure!(!options.is_only(), "valgrind, which counts the instructions, is not installed");
        println!("\nvalgrind is not installed: no instructions are counted");
        return Ok(());
    }

    let folder = tempfile::tempdir()?;
    let case = models::cases()?.into_iter().next().context("no golden case")?;
    let inference = infer(None, "house-price", &case.request);
    let mut counts = Vec::new();
    for (name, isolation, request) in [
        ("native", None, &inference),
        ("pooled", Some("pooled"), &inference),
        ("fresh", Some("request"), &inference),
        ("ready", Some("pooled"), &get("/v2/health/ready")),
    ] {
        let counted = Counted::start(name, isolation, request, folder.path())?;
        counts.push((name, counted.count(options.counted_requests())?));
    }

    print(&counts);
    if options.check { check(&counts) } else { Ok(()) }
}

impl Counted {
    fn start(
        name: &'static str,
        isolation: Option<&str>,
        request: &[u8],
        folder: &Path,
    ) -> Result<Self> {
        let profiles = folder.join(name);
        fs::create_dir(&profiles)?;

        let mut command = callgrind(&profiles);
        match isolation {
            None => drop(command.arg(std::env::current_exe()?).arg("--native")),
            Some(isolation) => serve(&mut command, isolation, &profiles)?,
        }
        let server = Server::start(&mut command)?;
        if isolation.is_some() {
            wait_until_ready(&server)?;
        }

        Ok(Counted { name, server, profiles, request: request.to_vec() })
    }

    /// The instructions of a request, the mean over that many.
    fn count(&self, requests: usize) -> Result<f64> {
        eprintln!("counting {}", self.name);
        let mut client = Client::connect(self.server.address())?;
        let mut send = |count| {
            (0..count).try_for_each(|_| {
                let answer = client.send(&self.request)?;
                answer.map(drop).with_context(|| self.refusal())
            })
        };

        send(WARM_UP)?;
        self.dump()?;
        send(requests)?;
        Ok(self.dump()? / requests as f64)
    }

    fn refusal(&self) -> String {
        let log: Vec<_> = self.server.log().map(|line| line.text).collect();
        format!("{} refused a request; its log: {}", self.name, log.join("; "))
    }

    /// Makes callgrind write what it has counted since the last time. Returns that number.
    fn dump(&self) -> Result<f64> {
        let before = self.profiles_of_server()?;
        let pid = self.server.pid().to_string();
        let output = Command::new("callgrind_control").args(["--dump", &pid]).output();
        let output = output.context("cannot run callgrind_control")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let new = self.profiles_of_server()?.into_iter().find(|path| !before.contains(path));
        let new = new.context("callgrind wrote no profile")?;
        let profile = fs::read_to_string(new)?;
        let totals = profile.lines().find_map(|line| line.strip_prefix("totals: "));
        Ok(totals.context("a profile has no total")?.trim().parse()?)
    }

    fn profiles_of_server(&self) -> Result<Vec<PathBuf>> {
        let start = format!("{}.", self.server.pid());
        let paths = fs::read_dir(&self.profiles)?.map(|entry| Ok(entry?.path()));
        let paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
        let is_dump = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start))
        };
        Ok(paths.into_iter().filter(is_dump).collect())
    }
}

/// The command that counts the instructions of a program, which follows. Compile processes run
/// under it as well: its processor has other instructions, for which they must compile.
fn callgrind(profiles: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind", "--trace-children=yes"]);
    command.arg(format!("--callgrind-out-file={}/%p", profiles.display()));
    command
}

/// As many slots as valgrind has addresses for, and time for a program that is fifty times as slow.
const CONFIGURATION: &str = "ready_timeout = \"30m\"\n[engine]\ninstances = 8\n\
    [compile]\ncpu_time = \"30m\"\nwall_time = \"30m\"\nload_deadline = \"10m\"\n";

/// Adds the arguments of a server with `house-price`.
fn serve(command: &mut Command, isolation: &str, folder: &Path) -> Result<()> {
    let settings = format!("isolation = \"{isolation}\"\n");
    models::install(&folder.join("models"), "house-price", &models::component()?, &settings)?;
    fs::write(folder.join("wardian.toml"), CONFIGURATION)?;

    command.args([process::program(), "serve", "--listen", "127.0.0.1:0", "--config"]);
    command.arg(folder.join("wardian.toml")).arg("--state").arg(folder.join("state"));
    command.current_dir(folder).env_remove("RUST_LOG");
    Ok(())
}

fn print(counts: &[(&str, f64)]) {
    let native =
        counts.iter().find(|(name, _)| *name == "native").map_or(f64::NAN, |count| count.1);
    let mut table = Table::new(&["server", "instructions a request", "÷ native"]);
    for (name, count) in counts {
        table.row([(*name).into(), format!("{count:.0}"), format_number(count / native)]);
    }
    table.print("house-price, one row a request, one connection, user instructions");
}

fn check(counts: &[(&str, f64)]) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED);
    let recorded: BTreeMap<String, f64> = toml::from_str(&fs::read_to_string(path)?)?;

    for (name, count) in counts {
        let Some(before) = recorded.get(*name) else { continue };
        ensure!(
            *count <= before * (1.0 + TOLERANCE),
            "a request to {name} takes {count:.0} instructions, more than 3 % above the recorded \
             {before:.0}; make it cheaper, or record the new count in host/{RECORDED} and say why"
        );
    }
    Ok(())
}
