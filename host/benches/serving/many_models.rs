//! Measures a server with many models of one component, each with data of its own.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::http_client::{self, Client};
use super::models::{self, Case};
use super::options::Options;
use super::process::Server;
use super::process_stats;
use super::report::{Table, format_number};
use super::throughput::wait_until_ready;

/// The models to measure: many of the same code.
pub(crate) struct Source<'a> {
    /// The beginning of each name, and what the table says.
    pub(crate) name: &'a str,
    /// A request to each, with the answer.
    pub(crate) case: &'a Case,
    /// Writes the model of that number into its empty version folder.
    pub(crate) install: &'a dyn Fn(&Path, usize) -> Result<()>,
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let case = models::cases()?.into_iter().next().context("no golden case")?;
    let component = models::component()?;
    let install = |version: &Path, number: usize| {
        fs::write(version.join("model.wasm"), &component)?;
        Ok(fs::write(version.join("label.txt"), number.to_string())?)
    };
    measure_all(options, &Source { name: "house-price", case: &case, install: &install })
}

/// Measures and prints for every number of models.
pub(crate) fn measure_all(options: &Options, source: &Source<'_>) -> Result<()> {
    let mut table = Table::new(&[
        "models",
        "artifact store",
        "ready s",
        "ms/model",
        "PSS MB",
        "PSS kB/model",
        "store MB",
        "store kB/model",
    ]);

    let one = [Measured::default(); 2];
    let one = measure(&mut table, 1, source, &one)?;
    for count in options.many_models() {
        measure(&mut table, count, source, &one)?;
    }
    table
        .print(&format!("many models of the same code as {}, each with its own data", source.name));
    println!("\n  Figures for each model are without those of the first, whose code they share.");
    Ok(())
}

/// A server with all its models ready.
#[derive(Clone, Copy, Default)]
struct Measured {
    seconds: f64,
    /// Bytes.
    memory: f64,
    store: f64,
}

/// Starts a server twice with the same state, first without artifacts. `one` are the figures of a
/// server with one model.
fn measure(
    table: &mut Table,
    count: usize,
    source: &Source<'_>,
    one: &[Measured; 2],
) -> Result<[Measured; 2]> {
    let folder = tempfile::tempdir()?;
    install(&folder.path().join("models"), count, source)?;

    let mut measured = [Measured::default(); 2];
    for ((measured, one), store) in measured.iter_mut().zip(one).zip(["cold", "warm"]) {
        *measured = start(folder.path(), count, source)?;
        // Not a number for the first model alone.
        let others = if count > 1 { (count - 1) as f64 } else { f64::NAN };
        let each = |all: f64, one: f64, unit: f64| format_number((all - one) / others / unit);

        table.row([
            count.to_string(),
            store.into(),
            format_number(measured.seconds),
            each(measured.seconds, one.seconds, 1e-3),
            format_number(measured.memory / 1e6),
            each(measured.memory, one.memory, 1e3),
            format_number(measured.store / 1e6),
            each(measured.store, one.store, 1e3),
        ]);
    }
    Ok(measured)
}

fn install(models: &Path, count: usize, source: &Source<'_>) -> Result<()> {
    for number in 0..count {
        let version = models.join(name(source, number)).join("1");
        fs::create_dir_all(&version)?;
        (source.install)(&version, number)?;
    }
    Ok(())
}

fn start(folder: &Path, count: usize, source: &Source<'_>) -> Result<Measured> {
    let started = Instant::now();
    let state = folder.join("state");
    let server = Server::wardian(&folder.join("models"), &state)?;
    wait_until_ready(&server)?;
    let seconds = started.elapsed().as_secs_f64();
    let memory = process_stats::memory(server.pid())?.proportional;

    let mut client = Client::connect(server.address())?;
    for name in (0..count).map(|number| name(source, number)) {
        let body = client.send(&http_client::infer(None, &name, &source.case.request))?;
        let answered = body.is_some_and(|body| source.case.is_answered_by(&body));
        answered.then_some(()).with_context(|| format!("{name} answers wrongly"))?;
    }
    Ok(Measured { seconds, memory, store: size_of(&state.join("artifacts"))? as f64 })
}

/// Bytes of all files below a folder.
fn size_of(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        size += if metadata.is_dir() { size_of(&entry.path())? } else { metadata.len() };
    }
    Ok(size)
}

fn name(source: &Source<'_>, number: usize) -> String {
    format!("{}-{number}", source.name)
}
