//! Builds the fuzz targets and runs each of them for a while.
//!
//! `cargo fuzz` would build every dependency with coverage, which takes ten minutes for the engine.
//! Only the host's own code is of interest, so `fuzz/rustc.sh` adds coverage to the workspace's
//! crates alone, and the dependencies are those of every debug build.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result, ensure};

use crate::workspace::{cargo, root, run, target};

/// Enough to find a fault that a change brings. New ground takes hours.
const SECONDS: u32 = 15;

/// Runs the named targets, or all: `[seconds] [target...]`.
pub(crate) fn fuzz(arguments: &[String]) -> Result<()> {
    let seconds: Option<u32> = arguments.first().and_then(|first| first.parse().ok());
    let named = if seconds.is_some() { &arguments[1..] } else { arguments };
    run_targets(
        if named.is_empty() { targets()? } else { named.to_vec() },
        seconds.unwrap_or(SECONDS),
        None,
    )
}

/// Runs all targets as part of `cargo xtask ci`, from a fixed seed, so that findings come from the
/// change and not from chance.
pub(crate) fn run_for_ci() -> Result<()> {
    run_targets(targets()?, SECONDS, Some("-seed=1"))
}

fn run_targets(targets: Vec<String>, seconds: u32, seed: Option<&str>) -> Result<()> {
    run(&mut instrumented("build"))?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    for group in targets.chunks(cores) {
        let started = group.iter().map(|target| start(target, seconds, seed));
        let running = started.collect::<Result<Vec<_>>>()?;
        // All of them end before the first fault is reported, so that none keeps running.
        let ends: Vec<_> =
            group.iter().zip(running).map(|(target, running)| finish(target, running)).collect();
        ends.into_iter().collect::<Result<()>>()?;
    }
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut names: Vec<_> = entries.flatten().filter_map(|entry| stem(&entry.path())).collect();
    names.sort();
    Ok(names)
}

fn instrumented(verb: &str) -> Command {
    let mut command = cargo();
    command.env("RUSTC_WORKSPACE_WRAPPER", root().join("fuzz/rustc.sh"));
    command.args([verb, "--quiet", "--package", "wardian-fuzz"]);
    command
}

fn start(target: &str, seconds: u32, seed: Option<&str>) -> Result<Child> {
    let [corpus, found] =
        ["corpus", "artifacts"].map(|kind| root().join("fuzz").join(kind).join(target));
    for folder in [&corpus, &found, &logs()] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut command = instrumented("run");
    command.args(["--bin", target, "--"]).arg(corpus).arg(root().join("fuzz/seeds").join(target));
    let dictionary = root().join("fuzz/dict").join(target);

    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    // An input has a few kilobytes, so seconds or a gigabyte are a finding.
    command
        .args(["-timeout=5", "-rss_limit_mb=1024", &format!("-max_total_time={seconds}")])
        .args(seed);
    command.arg(format!("-artifact_prefix={}/", found.display()));
    command.stderr(File::create(log(target))?);

    command.spawn().with_context(|| format!("cannot start {target}"))
}

fn logs() -> PathBuf {
    target().join("fuzz")
}

fn log(target: &str) -> PathBuf {
    logs().join(target).with_extension("log")
}

fn finish(target: &str, mut running: Child) -> Result<()> {
    let status = running.wait()?;
    let told = String::from_utf8_lossy(&fs::read(log(target))?).into_owned();
    let (progress, rest): (Vec<_>, Vec<_>) = told.lines().partition(|line| line.contains(" cov: "));
    println!("fuzz {target}: {}", progress.last().unwrap_or(&"tried nothing"));
    ensure!(
        status.success(),
        "{}\nfuzz/README.md says how to try this input again",
        rest.join("\n")
    );
    Ok(())
}
