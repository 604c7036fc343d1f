//! Measures requests per second, latencies and CPU time per request: native, pooled, fresh.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::http_client::{Client, get};
use super::load::{self, LoadResult, Workload};
use super::models;
use super::options::Options;
use super::process::{self, Server};
use super::report::{Aim, Table, format_number, median};

/// The number of connections of the aims.
const AIMED_AT: usize = 16;

/// The contender that the others are compared with.
const NATIVE: usize = 0;

/// A server and its name in the tables.
struct Contender {
    name: &'static str,
    server: Server,
}

/// The results of one contender at one number of connections, in each round.
type Rounds = Vec<LoadResult>;

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let contenders = contenders(folder.path(), options)?;
    let connections = options.connections();
    let results = measure(options, &contenders, &connections)?;
    table(&contenders, &connections, &results).print("house-price, one row a request");
    println!("\n  Ratios are medians over rounds of what was measured one after the other.\n");
    if let Some(at) = connections.iter().position(|&connections| connections == AIMED_AT) {
        aims(&results[at]);
    }
    Ok(())
}

fn contenders(folder: &Path, options: &Options) -> Result<Vec<Contender>> {
    let mut contenders = vec![
        Contender { name: "native", server: Server::native()? },
        wardian("pooled", process::program().as_ref(), &folder.join("this"), "pooled")?,
        wardian("fresh", process::program().as_ref(), &folder.join("this"), "request")?,
    ];
    if let Some(program) = &options.against {
        contenders.push(wardian("other pooled", program, &folder.join("other"), "pooled")?);
        contenders.push(wardian("other fresh", program, &folder.join("other"), "request")?);
    }
    Ok(contenders)
}

/// Starts Wardian with `house-price` and waits until it is ready.
fn wardian(
    name: &'static str,
    program: &Path,
    folder: &Path,
    isolation: &str,
) -> Result<Contender> {
    let repository = folder.join(isolation);
    let state = folder.join("state").join(isolation);
    let settings = format!("isolation = \"{isolation}\"\n");
    models::install(&repository, "house-price", &models::component()?, &settings)?;
    let server = Server::wardian_of(program, &repository, &state)?;
    wait_until_ready(&server)?;
    Ok(Contender { name, server })
}

/// Waits until every model is loaded or has failed.
pub(crate) fn wait_until_ready(server: &Server) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(600);
    let mut client = Client::connect(server.address())?;
    let started = Instant::now();
    while client.send(&get("/v2/health/ready"))?.is_none() {
        ensure!(started.elapsed() < PATIENCE, "a server does not become ready");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Measures in turns, so that a disturbance affects all. Returns results by connections, then by
/// contender.
fn measure(
    options: &Options,
    contenders: &[Contender],
    connections: &[usize],
) -> Result<Vec<Vec<Rounds>>> {
    let cases = models::cases()?;
    let mut results: Vec<Vec<Rounds>> = Vec::new();
    results.resize_with(connections.len(), || contenders.iter().map(|_| Rounds::new()).collect());

    for _ in 0..options.rounds() {
        for (&connections, row) in connections.iter().zip(&mut results) {
            for (contender, rounds) in contenders.iter().zip(row) {
                let load = Workload {
                    model: "house-price",
                    cases: &cases,
                    connections,
                    tenant: None,
                    rate: None,
                };
                rounds.push(load::run(&contender.server, &load, options.window())?);
            }
        }
    }
    Ok(results)
}

fn table(contenders: &[Contender], connections: &[usize], results: &[Vec<Rounds>]) -> Table {
    let columns = ["connections", "server", "req/s", "p50 µs", "p99 µs", "CPU µs/req"];
    let mut table = Table::new(&[&columns[..], &["req/s ÷ native", "p99 ÷", "CPU ÷"]].concat());

    for (connections, row) in connections.iter().zip(results) {
        for (contender, rounds) in contenders.iter().zip(row) {
            let of =
                |field: fn(&LoadResult) -> f64| format_number(median(rounds.iter().map(field)));
            let ratio = |field| format_number(ratio(rounds, &row[NATIVE], field));
            let absolute = [of(|m| m.rate), of(|m| m.p50), of(|m| m.p99), of(|m| m.cpu)];
            let relative = [ratio(|m| m.rate), ratio(|m| m.p99), ratio(|m| m.cpu)];
            let named = [connections.to_string(), contender.name.into()];
            table.row(named.into_iter().chain(absolute).chain(relative));
        }
    }
    table
}

fn ratio(rounds: &Rounds, native: &Rounds, field: fn(&LoadResult) -> f64) -> f64 {
    median(rounds.iter().zip(native).map(|(one, native)| field(one) / field(native)))
}

fn aims(row: &[Rounds]) {
    let [native, pooled, fresh, ..] = row else { return };
    for (name, rounds, rate, p99, cpu) in
        [("pooled", pooled, 0.85, 1.3, 1.3), ("fresh", fresh, 0.5, 2.0, 2.5)]
    {
        let say = |aim: Aim, what: &str, field| {
            aim.print(&format!("{name}/native {what} at {AIMED_AT}"), ratio(rounds, native, field));
        };
        say(Aim::AtLeast(rate), "throughput", |m| m.rate);
        say(Aim::AtMost(p99), "p99", |m| m.p99);
        say(Aim::AtMost(cpu), "CPU per request", |m| m.cpu);
    }
}
