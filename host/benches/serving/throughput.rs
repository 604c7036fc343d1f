//! Requests per second, latencies and CPU time per request: native, pooled, fresh.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::load::{self, Measured};
use super::models::{self, Case};
use super::options::Options;
use super::process::Server;
use super::report::{Aim, Table, digits, median};
use super::wire::{Client, get};

const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// The aims are about that many connections.
const AIMED_AT: usize = 16;

const NAMES: [&str; 3] = ["native", "pooled", "fresh"];
const NATIVE: usize = 0;

/// One server at one number of connections, once a round.
type Rounds = Vec<Measured>;

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cases = models::cases()?;
    let servers = [Server::native()?, wardian(folder.path(), "pooled")?, wardian(folder.path(), "request")?];
    let results = CONNECTIONS.map(|_| NAMES.map(|_| Rounds::new()));
    let results = measure(options, &servers, &cases, results)?;
    table(&results).print("house-price, one row a request");
    println!("\n  Ratios are medians over rounds of what was measured one after the other.\n");
    if let Some(at) = CONNECTIONS.iter().position(|&connections| connections == AIMED_AT) {
        aims(&results[at]);
    }
    Ok(())
}

/// A server with `house-price` in it that has become ready.
fn wardian(folder: &Path, isolation: &str) -> Result<Server> {
    let (repository, state) = (folder.join(isolation), folder.join("state").join(isolation));
    let settings = format!("isolation = \"{isolation}\"\n");
    models::install(&repository, "house-price", &models::component()?, &settings)?;
    let server = Server::wardian(&repository, &state)?;
    wait_until_ready(&server)?;
    Ok(server)
}

/// Waits until every model has been tried.
pub(crate) fn wait_until_ready(server: &Server) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(600);
    let (mut client, started) = (Client::connect(server.address())?, Instant::now());
    while client.ask(&get("/v2/health/ready"))?.is_none() {
        ensure!(started.elapsed() < PATIENCE, "a server does not become ready");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// In turns, so that what disturbs one disturbs all.
fn measure<const N: usize, const M: usize>(
    options: &Options,
    servers: &[Server; M],
    cases: &[Case],
    mut results: [[Rounds; M]; N],
) -> Result<[[Rounds; M]; N]> {
    for _ in 0..options.rounds() {
        for (connections, row) in CONNECTIONS.iter().zip(&mut results) {
            for (server, rounds) in servers.iter().zip(row) {
                rounds.push(load::run(server, cases, *connections, options.window())?);
            }
        }
    }
    Ok(results)
}

fn table(results: &[[Rounds; NAMES.len()]]) -> Table {
    let mut table = Table::new(&[
        "connections",
        "server",
        "req/s",
        "p50 µs",
        "p99 µs",
        "CPU µs/req",
        "req/s ÷ native",
        "p99 ÷",
        "CPU ÷",
    ]);
    for (connections, row) in CONNECTIONS.iter().zip(results) {
        for (name, rounds) in NAMES.iter().zip(row) {
            let of = |field: fn(&Measured) -> f64| digits(median(rounds.iter().map(field)));
            let ratio = |field| digits(ratio(rounds, &row[NATIVE], field));
            let absolute = [of(|m| m.rate), of(|m| m.p50), of(|m| m.p99), of(|m| m.cpu)];
            let relative = [ratio(|m| m.rate), ratio(|m| m.p99), ratio(|m| m.cpu)];
            let named = [connections.to_string(), name.to_string()];
            table.row(named.into_iter().chain(absolute).chain(relative));
        }
    }
    table
}

fn ratio(rounds: &Rounds, native: &Rounds, field: fn(&Measured) -> f64) -> f64 {
    median(rounds.iter().zip(native).map(|(one, native)| field(one) / field(native)))
}

fn aims(row: &[Rounds; NAMES.len()]) {
    let [native, pooled, fresh] = row;
    for (name, rounds, rate, p99, cpu) in [("pooled", pooled, 0.85, 1.3, 1.3), ("fresh", fresh, 0.5, 2.0, 2.5)] {
        let say = |aim: Aim, what: &str, field| {
            aim.print(&format!("{name}/native {what} at {AIMED_AT}"), ratio(rounds, native, field));
        };
        say(Aim::AtLeast(rate), "throughput", |m| m.rate);
        say(Aim::AtMost(p99), "p99", |m| m.p99);
        say(Aim::AtMost(cpu), "CPU per request", |m| m.cpu);
    }
}
