//! Measures model files in their runtime: beside the libraries that trained them and ONNX Runtime,
//! and over HTTP beside servers in Python.
//!
//! The models are trained by `train.py`. `cargo xtask bench` installs the packages and names the
//! interpreters by environment variables.

mod library;
mod peers;
mod saved;

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::http_client::Client;
use super::load::{self, LoadResult, Workload};
use super::many_models::{self, Source};
use super::options::Options;
use super::process::Server;
use super::report::{Aim, Table, format_number, median};
use super::throughput::wait_until_ready;
use library::Library;
use peers::Contender;
use saved::{SavedModels, Tables};

/// The numbers of rows in a request.
const ROWS: [usize; 3] = [1, 32, 1000];

/// The number of connections of the HTTP load.
const CONNECTIONS: usize = 16;

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let models = SavedModels::train()?;
    predictions(options, &models)?;
    requests(options, &models)?;
    many(options, &models)
}

/// The shortest times of one model and number of rows in each round, in microseconds.
#[derive(Default)]
struct Predictions {
    fresh: Vec<f64>,
    pooled: Vec<f64>,
    original: Vec<f64>,
    onnxruntime: Vec<f64>,
}

fn predictions(options: &Options, models: &SavedModels) -> Result<()> {
    let fresh = models.serve("request")?;
    let pooled = models.serve("pooled")?;
    let mut library = Library::start(models)?;
    let mut table = Table::new(&[
        "model",
        "rows",
        "pooled µs",
        "fresh µs",
        "library µs",
        "ONNX Runtime µs",
        "pooled ÷ ONNX Runtime",
        "pooled ÷ library",
    ]);

    for model in saved::NAMES {
        let requests = models.requests(model)?;
        for rows in ROWS {
            let request = &requests.of(rows)?.request;
            let mut times = Predictions::default();
            for _ in 0..options.rounds() {
                times.pooled.push(in_sandbox(&pooled, model, request, options)?);
                times.onnxruntime.push(library.time("onnxruntime", model, rows, options)?);
                times.original.push(library.time("original", model, rows, options)?);
                times.fresh.push(in_sandbox(&fresh, model, request, options)?);
            }
            table.row(predictions_row(model, rows, &times));
        }
    }
    table.print("a prediction on one thread, without HTTP: medians of minima");
    println!("\n  Of Wardian it is the time for an instance and the time in the guest.");
    Ok(())
}

fn predictions_row(model: &str, rows: usize, times: &Predictions) -> Vec<String> {
    let ratio = |other: &[f64]| {
        median(times.pooled.iter().zip(other).map(|(pooled, other)| pooled / other))
    };

    let absolute = [&times.pooled, &times.fresh, &times.original, &times.onnxruntime];
    let mut row = vec![model.to_owned(), rows.to_string()];
    row.extend(absolute.map(|times| format_number(median(times.iter().copied()))));
    row.extend([&times.onnxruntime, &times.original].map(|other| format_number(ratio(other))));
    row
}

/// The shortest time for an instance and in the guest, in microseconds, of requests one after the
/// other.
fn in_sandbox(server: &Server, model: &str, request: &[u8], options: &Options) -> Result<f64> {
    let request = super::http_client::infer(None, model, request);
    let mut client = Client::connect(server.address())?;
    client.send_timed(&request)?;

    let end = Instant::now() + options.window() / 4;
    let mut least = f64::INFINITY;
    while least.is_infinite() || Instant::now() < end {
        let timing = client.send_timed(&request)?;
        least = least.min(timing.microseconds(&["instance", "compute"])?);
    }
    Ok(least)
}

fn requests(options: &Options, models: &SavedModels) -> Result<()> {
    let columns = ["model", "server", "req/s", "p50 µs", "p99 µs", "CPU µs/req"];
    let mut table = Table::new(&[&columns[..], &["req/s of pooled ÷", "CPU of pooled ÷"]].concat());
    let mut least = f64::INFINITY;

    for model in saved::REGRESSORS {
        let contenders = peers::start(models, model)?;
        let results = measure(options, models, model, &contenders)?;
        let [pooled, ..] = results.as_slice() else { continue };

        for (contender, rounds) in contenders.iter().zip(&results) {
            let of =
                |field: fn(&LoadResult) -> f64| format_number(median(rounds.iter().map(field)));
            let ratio = |field: fn(&LoadResult) -> f64| {
                median(pooled.iter().zip(rounds).map(|(one, other)| field(one) / field(other)))
            };
            if contender.is_peer() {
                least = least.min(ratio(|m| m.rate));
            }

            let mut row = vec![model.to_owned(), contender.name.to_owned()];
            row.extend([of(|m| m.rate), of(|m| m.p50), of(|m| m.p99), of(|m| m.cpu)]);
            row.extend([ratio(|m| m.rate), ratio(|m| m.cpu)].map(format_number));
            table.row(row);
        }
    }
    table.print(&format!("one row a request, {CONNECTIONS} connections"));
    println!();
    Aim::AtLeast(5.0).print("pooled ÷ the faster server in Python, requests/s", least);
    Ok(())
}

/// Measures a server with many models of one runtime.
fn many(options: &Options, models: &SavedModels) -> Result<()> {
    let name = "gradient-boosting";
    let server = models.serve("pooled")?;
    let case = first_answer(&server, name, &models.requests(name)?)?;
    drop(server);

    let install = |version: &Path, number: usize| models.install_labelled(name, version, number);
    many_models::measure_all(options, &Source { name, case: &case, install: &install })
}

/// Measures the contenders in turns. Returns their results by round.
fn measure(
    options: &Options,
    models: &SavedModels,
    model: &str,
    contenders: &[Contender],
) -> Result<Vec<Vec<LoadResult>>> {
    let requests = models.requests(model)?;
    let cases: Vec<_> = contenders
        .iter()
        .map(|contender| first_answer(&contender.server, model, &requests))
        .collect::<Result<_>>()?;
    let mut results: Vec<Vec<LoadResult>> = contenders.iter().map(|_| Vec::new()).collect();

    for _ in 0..options.rounds() {
        for ((contender, case), rounds) in contenders.iter().zip(&cases).zip(&mut results) {
            let load = Workload {
                model,
                cases: std::slice::from_ref(case),
                connections: CONNECTIONS,
                tenant: None,
                rate: None,
            };
            rounds.push(load::run(&contender.server, &load, options.window())?);
        }
    }
    Ok(results)
}

/// Returns the request of one row with the server's own answer to it, which must be the library's
/// but for 32-bit floats.
fn first_answer(server: &Server, model: &str, requests: &Tables) -> Result<super::models::Case> {
    wait_until_ready(server)?;
    let case = requests.of(1)?;
    let request = super::http_client::infer(None, model, &case.request);
    let answer = Client::connect(server.address())?.send(&request)?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.unwrap_or_default())?;
    let first = answer["outputs"][0]["data"][0].clone();

    let given = first.as_f64().unwrap_or(f64::NAN);
    let distance = (given - case.answer).abs() / case.answer.abs().max(1.0);
    ensure!(distance < 1e-5, "{model}: a server answers {given}, the library {}", case.answer);
    Ok(super::models::Case { request: case.request.clone(), answer: first })
}
