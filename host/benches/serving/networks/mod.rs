//! Measures whole networks in the runtime `onnx` beside ONNX Runtime: in the engine and over HTTP,
//! in fresh and in pooled instances.
//!
//! `networks.py` writes the networks. `cargo xtask bench` installs the packages that it takes them
//! from, and names the interpreter by an environment variable.

mod files;
mod kernel_call;
mod neighbour;
mod reference;

use std::time::Instant;

use anyhow::Result;

use super::http_client::Client;
use super::options::Options;
use super::process::Server;
use super::report::{Aim, Table, format_number, median};
use files::{NETWORKS, Network, Networks};
use reference::Reference;

/// Measures and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    kernel_call::run(options)?;
    let networks = Networks::write()?;
    whole_networks(options, &networks)?;
    neighbour::run(options, &networks)
}

/// The times of calls in one round, in microseconds.
#[derive(Clone, Copy)]
struct Times {
    least: f64,
    median: f64,
}

/// The times of all rounds of one network and size.
#[derive(Default)]
struct Rounds {
    reference: Vec<Times>,
    pooled: Vec<Times>,
    fresh: Vec<Times>,
    http_pooled: Vec<Times>,
    http_fresh: Vec<Times>,
}

const COLUMNS: [&str; 10] = [
    "network",
    "size",
    "ONNX Runtime ms",
    "pooled ms",
    "fresh ms",
    "HTTP ms",
    "pooled ÷",
    "fresh ÷",
    "HTTP pooled ÷",
    "HTTP fresh ÷",
];

fn whole_networks(options: &Options, networks: &Networks) -> Result<()> {
    let fresh = networks.serve("request")?;
    let pooled = networks.serve("pooled")?;
    let mut reference = Reference::start(networks)?;
    let mut least = Table::new(&COLUMNS);
    let mut medians = Table::new(&COLUMNS);
    let mut aims = Vec::new();

    for network in &NETWORKS {
        for case in network.cases {
            let mut rounds = Rounds::default();
            let seconds = options.window().as_secs_f64() / 4.0;
            for _ in 0..options.rounds() {
                rounds.reference.push(reference.time(
                    network.file,
                    case,
                    network.threads,
                    seconds,
                )?);
                let [engine, http] = served(&pooled, networks, network, case, seconds)?;
                rounds.pooled.push(engine);
                rounds.http_pooled.push(http);
                let [engine, http] = served(&fresh, networks, network, case, seconds)?;
                rounds.fresh.push(engine);
                rounds.http_fresh.push(http);
            }
            least.row(row(network.name, case, &rounds, |rounds| {
                rounds.iter().map(|times| times.least).fold(f64::INFINITY, f64::min)
            }));
            medians.row(row(network.name, case, &rounds, |rounds| {
                median(rounds.iter().map(|times| times.median))
            }));
            aims.push((network, case, smallest(&rounds.fresh) / smallest(&rounds.reference)));
        }
    }

    least.print("one request after another: the least times of all rounds");
    medians.print("the same: medians of the rounds' medians");
    println!(
        "\n  Pooled and fresh are the times for an instance and in the guest, ÷ is to ONNX\n  Runtime's, and the column HTTP is the whole exchange with pooled instances.\n"
    );
    for (network, case, ratio) in aims {
        Aim::AtMost(network.aim).print(&format!("{} {case}, fresh", network.name), ratio);
    }
    Ok(())
}

fn smallest(rounds: &[Times]) -> f64 {
    rounds.iter().map(|times| times.least).fold(f64::INFINITY, f64::min)
}

fn row(name: &str, case: &str, rounds: &Rounds, of: fn(&[Times]) -> f64) -> Vec<String> {
    let reference = of(&rounds.reference);
    let absolute = [&rounds.reference, &rounds.pooled, &rounds.fresh, &rounds.http_pooled];
    let relative = [&rounds.pooled, &rounds.fresh, &rounds.http_pooled, &rounds.http_fresh];

    let mut row = vec![name.to_owned(), case.to_owned()];
    row.extend(absolute.map(|rounds| format_number(of(rounds) / 1e3)));
    row.extend(relative.map(|rounds| format_number(of(rounds) / reference)));
    row
}

/// Sends requests one after another for that many seconds, and checks the first answer. Returns the
/// times for an instance and in the guest, and those of the whole exchange.
fn served(
    server: &Server,
    networks: &Networks,
    network: &Network,
    case: &str,
    seconds: f64,
) -> Result<[Times; 2]> {
    const LEAST_CALLS: usize = 3;
    let request = networks.request(None, network, case)?;
    let mut client = Client::connect(server.address())?;
    networks.check(network, case, &client.send_measured(&request)?.body)?;

    let (mut engine, mut http) = (Vec::new(), Vec::new());
    let started = Instant::now();
    while started.elapsed().as_secs_f64() < seconds || http.len() < LEAST_CALLS {
        let exchange = client.send_measured(&request)?;
        engine.push(exchange.timing.microseconds(&["instance", "compute"])?);
        http.push(exchange.elapsed.as_secs_f64() * 1e6);
    }
    Ok([engine, http].map(|times| Times {
        least: times.iter().copied().fold(f64::INFINITY, f64::min),
        median: median(times),
    }))
}
