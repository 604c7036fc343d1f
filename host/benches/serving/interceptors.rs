//! Measures interceptors: the same model behind none, one and three of them, which pass requests on
//! unchanged.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::load::{self, LoadResult, Workload};
use super::models;
use super::options::Options;
use super::process::Server;
use super::report::{Table, format_number, median};
use super::throughput::wait_until_ready;

/// The name, the number of interceptors and their isolation.
const CHAINS: [(&str, usize, &str); 5] = [
    ("none", 0, ""),
    ("1 fresh", 1, "request"),
    ("3 fresh", 3, "request"),
    ("1 pooled", 1, "pooled"),
    ("3 pooled", 3, "pooled"),
];

/// The chain that the others are compared with.
const NONE: usize = 0;

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let servers: Vec<_> =
        CHAINS.iter().map(|chain| serve(folder.path(), chain)).collect::<Result<_>>()?;
    let cases = models::cases()?;
    let mut table = Table::new(&[
        "connections",
        "interceptors",
        "req/s",
        "p50 µs",
        "p99 µs",
        "CPU µs/req",
        "p50 ÷",
        "CPU ÷",
        "CPU µs more",
    ]);

    for connections in options.connections() {
        let mut results: Vec<Vec<LoadResult>> = servers.iter().map(|_| Vec::new()).collect();
        // In turns, so that a disturbance affects all.
        for _ in 0..options.rounds() {
            for (server, rounds) in servers.iter().zip(&mut results) {
                let load = Workload {
                    model: "house-price",
                    cases: &cases,
                    connections,
                    tenant: None,
                    rate: None,
                };
                rounds.push(load::run(server, &load, options.window())?);
            }
        }
        for ((name, ..), rounds) in CHAINS.iter().zip(&results) {
            table.row(row(connections, name, rounds, &results[NONE]));
        }
    }
    table.print("house-price, one row a request, behind interceptors that hand on what they get");

    Ok(())
}

/// Starts a server with `house-price` behind `count` interceptors and waits until it is ready.
fn serve(folder: &Path, (name, count, isolation): &(&str, usize, &str)) -> Result<Server> {
    let repository = folder.join(name.replace(' ', "-"));
    models::install(&repository, "house-price", &models::component()?, "")?;
    for interceptor in ["a", "b", "c"].iter().take(*count) {
        let place = repository.join("interceptors").join(interceptor);
        fs::create_dir_all(place.join("1"))?;
        fs::write(place.join("model.toml"), format!("isolation = \"{isolation}\"\n"))?;
        fs::write(place.join("1/model.wasm"), models::interceptor()?)?;
    }
    let server = Server::wardian(&repository, &folder.join("state").join(name.replace(' ', "-")))?;
    wait_until_ready(&server).with_context(|| format!("behind {name}"))?;
    Ok(server)
}

fn row(connections: usize, name: &str, rounds: &[LoadResult], none: &[LoadResult]) -> Vec<String> {
    let of = |field: fn(&LoadResult) -> f64| median(rounds.iter().map(field));
    let ratio = |field: fn(&LoadResult) -> f64| {
        median(rounds.iter().zip(none).map(|(one, other)| field(one) / field(other)))
    };
    let more = median(rounds.iter().zip(none).map(|(one, other)| one.cpu - other.cpu));
    let figures = [
        of(|m| m.rate),
        of(|m| m.p50),
        of(|m| m.p99),
        of(|m| m.cpu),
        ratio(|m| m.p50),
        ratio(|m| m.cpu),
        more,
    ];

    [connections.to_string(), name.into()].into_iter().chain(figures.map(format_number)).collect()
}
